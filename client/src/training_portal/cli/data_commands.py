"""`verify`: whether a directory is a data set."""

from pathlib import Path

import click

from training_portal.cli.saying import Out, says
from training_portal.errors import NotVerified


@click.command("verify")
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False, exists=True))
@click.option("--run", help="The run that it has to be of.")
@click.option(
    "--offline", is_flag=True, help="Do not ask the portal: only the key of this machine counts."
)
@says
def verify_command(out: Out, directory: Path, run: str | None, offline: bool) -> None:
    """Check that DIRECTORY is a data set: its receipt is signed, every file is as it says, and its lease lasts."""
    from training_portal import keys
    from training_portal.prepare import verify_directory
    from training_portal.runs import Portal
    from training_portal.settings import directories

    if offline:
        own = keys.load(directories()[1])
        if own is None:
            raise NotVerified(
                "There is no key on this machine that could have signed the receipt.",
                "Ask the portal for the keys of your account: leave out --offline.",
            )
        found = verify_directory(directory, keys=[own.public_key()], run=run)
    else:
        with Portal.from_environment(progress=out.progress) as portal:
            found = portal.data_set(directory, run=run)
    said = found.predicate
    facts = {
        "run": said["run"],
        "delivery": said["delivery"]["reference"],
        "leased_until": said["delivery"]["leased_until"],
        "rows": said["rows"]["kept"],
        "files": said["outputs"],
    }
    out.show(
        facts,
        f"{directory} is a data set of {said['run']}: {said['rows']['kept']:,} rows in {len(found.names)} files, as"
        f" its receipt says; to be used until {said['delivery']['leased_until']}.",
    )
