"""`exec`: train on a verified data set."""

from pathlib import Path
from typing import Any

import click

from training_portal.cli.saying import Out, says


@click.command("exec", context_settings={"ignore_unknown_options": True})
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    required=True,
    help="The data set.",
)
@click.option(
    "--on-withdrawal",
    type=click.Choice(["stop", "acknowledge"]),
    default="stop",
    help="What happens when members of the data set withdraw.",
)
@click.argument("command", nargs=-1, type=click.UNPROCESSED, required=True)
@says
def exec_command(out: Out, data: Path, on_withdrawal: Any, command: tuple[str, ...]) -> int:
    """Run COMMAND on a data set: its files are hashed again, the gate is asked, the run is kept alive while it trains.

    The command gets PORTAL_RUN, PORTAL_DELIVERY, PORTAL_DATA and more, and no token. Its exit code is passed on: 0
    completes the run, another one marks it failed. When the lease ends or members withdraw it is stopped, with code 5.
    """
    from training_portal.execute import execute
    from training_portal.runs import Portal

    with Portal.from_environment(progress=out.progress) as portal:
        done = execute(portal, data, command, on_withdrawal=on_withdrawal)
    state = "completed" if done.is_completed else "failed"
    facts = {"run": done.run, "receipt": done.receipt, "exit_code": done.exit_code, "state": state}
    if out.as_json:
        out.show(facts)
    else:
        out.progress.step(f"{done.run} is {state}; the command ended with {done.exit_code}")
    return done.exit_code
