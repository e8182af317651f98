"""`fetch`: what a run may use, on this machine and verified."""

from typing import Any

import click

from training_portal.cli.saying import Out, says
from training_portal.permission import Permission


@click.command("fetch")
@click.argument("run")
@click.option(
    "--form",
    type=click.Choice(["list", "set"]),
    default="list",
    help="Accounts as Parquet, or the numbers alone for data that has them.",
)
@click.option("--renew", is_flag=True, help="The next delivery, without those who left meanwhile.")
@says
def fetch_command(out: Out, run: str, form: str, renew: bool) -> None:
    """Bring what RUN may use, and verify it. It is in the cache until its lease ends."""
    from training_portal.runs import Portal

    with Portal.from_environment(progress=out.progress) as portal:
        training_run = portal.run(run)
        training_run.form = "set" if form == "set" else "list"
        if renew:
            training_run.freeze()
            permission = training_run.renew()
        else:
            permission = training_run.permission()
    out.show(facts_of(permission), *_lines(permission))


def facts_of(permission: Permission) -> dict[str, Any]:
    """A permission in counts, digests and paths."""
    return {
        "run": permission.run,
        "purpose": permission.purpose,
        "data_categories": list(permission.data_categories),
        "delivery": permission.delivery,
        "manifest": permission.manifest,
        "archive": permission.archive,
        "form": permission.form,
        "as_of": permission.as_of.isoformat(),
        "leased_until": permission.leased_until_text,
        "members": len(permission.members),
        "withdrawn_since": len(permission.withdrawn),
        "left_out_per_mille": permission.left_out_per_mille,
        "files": [
            {"path": str(one.path), "name": one.name, "sha256": one.sha256, "rows": one.rows}
            for one in permission.files
        ],
    }


def _lines(permission: Permission) -> list[str]:
    since = len(permission.withdrawn)
    lines = [
        f"{permission.delivery} of {permission.run} is verified: {len(permission.members):,} members may be used for"
        f" {permission.purpose} ({', '.join(permission.data_categories)}), until {permission.leased_until_text}.",
    ]
    if since:
        lines.append(f"{since:,} more are in the list and have withdrawn since: leave them out.")
    lines += [f"  {one.path}  ({one.rows:,} rows)" for one in permission.files]
    return lines
