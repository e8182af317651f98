"""`status`: who one is to the portal, and how a run stands."""

from typing import Any

import click

from training_portal.cli.saying import Out, says
from training_portal.errors import PortalError


@click.command("status")
@click.argument("run", required=False)
@says
def status_command(out: Out, run: str | None) -> None:
    """Say whether address, token and key fit together; with RUN, how the run stands and whether it may be trained on."""
    from training_portal.runs import Portal

    with Portal.from_environment(progress=out.progress) as portal:
        if run is None:
            me = portal.me()
            pinned = [str(key) for key in portal.trust.keys]
            out.show({**me, "pinned": pinned}, *_lines_of_me(me, pinned))
            return
        facts = portal.run(run).facts
        gate = _gate(portal, run)
    out.show({**facts, "gate": gate}, *_lines_of_run(facts, gate))


def _gate(portal: Any, run: str) -> dict[str, Any]:
    try:
        return {"open": True, **portal.run(run).gate()}
    except PortalError as error:
        return {"open": False, **error.as_json()}


def _lines_of_me(me: dict[str, Any], pinned: list[str]) -> list[str]:
    token = me["token"] or {}
    said = {"+".join(text.split("+")[:2]) for text in me["verifier_keys"]}
    lines = [
        f"You are {me['user']} ({', '.join(me['roles']) or 'no role'}); API {me['api_version']}.",
        f"The token {token.get('name', '')!r} may {', '.join(token.get('scopes', []))}, until {token.get('expires_at')}.",
    ]
    for key in pinned:
        known = (
            "is one that the portal names too" if key in said else "is NONE that the portal names"
        )
        lines.append(f"The pinned key {key} {known}.")
    return lines


def _lines_of_run(facts: dict[str, Any], gate: dict[str, Any]) -> list[str]:
    use = facts["use"]
    lines = [
        f"{facts['reference']} ({facts['tracker_run_id']}) is {facts['state']}:"
        f" {facts['purpose']}, {', '.join(facts['data_categories'])}, of {facts['team']}.",
    ]
    manifest = facts["manifest"]
    if manifest:
        lines.append(
            f"Its manifest has {manifest['included']:,} of {manifest['population']:,} members, and the second"
            f" computation {manifest['verification']}."
        )
    if use["delivery"]:
        until = f", until {use['leased_until']}" if use["leased_until"] else ""
        lines.append(
            f"{use['delivery']} is {use['delivery_state']}{until}; {use['receipts']} receipts."
        )
    lines += [f"FINDING {one['kind']}, {one['found_at']}" for one in facts["findings"]]
    words = (
        "It may be trained on now."
        if gate["open"]
        else f"It may not be trained on: {gate['problem']}"
    )
    return [*lines, words]
