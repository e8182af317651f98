"""`run`: from a purpose to a data set with a receipt, in one command that goes on where it stopped."""

import json
import os
import uuid
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from training_portal.cli.columns import columns_of, paths_of, words_of
from training_portal.cli.saying import Out, says
from training_portal.errors import Refused

if TYPE_CHECKING:
    from training_portal.runs import Portal, TrainingRun

_ENDED = ("run_completed", "run_cancelled")


@click.command("run")
@click.option("--purpose", required=True, help="What the run is for, such as generative-ai.")
@click.option(
    "--categories", required=True, help="Categories of the data, with commas: posts,profile."
)
@click.option(
    "--input",
    "inputs",
    multiple=True,
    required=True,
    help="Raw Parquet files; a pattern in quotation marks.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="A new directory.",
)
@click.option("--member-column", help="The column of accounts, or of member numbers.")
@click.option(
    "--text", default="", help="Columns of text, with commas: they are kept and redacted."
)
@click.option(
    "--columns",
    "columns_file",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="A TOML file that says what each column is, in place of the two above.",
)
@click.option(
    "--profile", default="default", help="What is redacted: a shipped profile, or a TOML file."
)
@click.option(
    "--without-redaction",
    is_flag=True,
    help="Leave the text as it is; the receipt says nothing of redaction.",
)
@click.option(
    "--redaction-list/--no-redaction-list",
    default=None,
    help="Borrow the list of people without an account; by default where the token may.",
)
@click.option(
    "--accept-unknown", default="", help="Why so many authors are unknown, for the receipt."
)
@click.option(
    "--accept-unmatched",
    is_flag=True,
    help="Start although old objections reach no account yet; the portal's ledger keeps it.",
)
@click.option(
    "--tracker-run-id", default="", help="The experiment tracker's id: the same gives the same run."
)
@click.option("--title", default="", help="What people call the run.")
@click.option("--parent", help="The run whose members may be used again.")
@click.option(
    "--engine",
    type=click.Choice(["duckdb", "spark"]),
    default="duckdb",
    help="spark: beyond one machine, in the session that Spark's configuration describes. The rows are the same.",
)
@click.option("--form", type=click.Choice(["list", "set"]), default="list")
@says
def run_command(out: Out, **said: Any) -> None:
    """Register a run, take its delivery, verify it, prepare the data set, sign the receipt and send it.

    The same command again, after a fault, goes on where it was: with the same run, to the same bytes.
    """
    from training_portal import data_sets
    from training_portal.runs import Portal

    paths = paths_of(said["inputs"])
    categories = words_of(said["categories"])
    columns = columns_of(said, categories)
    with Portal.from_environment(progress=out.progress) as portal:
        run = _registered(portal, said)
        run.form = said["form"]
        run.accept_unmatched = said["accept_unmatched"]
        _permit(portal, run, said)
        redaction = None
        if not said["without_redaction"]:
            redaction = data_sets.redaction_of(
                run, said["profile"], with_list=said["redaction_list"]
            )
        made = data_sets.make(
            run,
            paths,
            said["output"],
            columns=columns,
            redaction=redaction,
            accept_unknown=said["accept_unknown"],
            engine=said["engine"],
        )
    done, rows = made.predicate, made.predicate["rows"]
    facts = {
        "run": run.reference,
        "delivery": done["delivery"]["reference"],
        "receipt": made.receipt,
        "data": str(said["output"]),
        "rows": dict(rows),
        "leased_until": done["delivery"]["leased_until"],
    }
    dropped = ", ".join(f"{count:,} {name}" for name, count in rows["dropped"].items())
    out.show(
        facts,
        f"{said['output']} is a data set of {run.reference}: {rows['kept']:,} of {rows['in']:,} rows"
        + (f" (without {dropped})" if dropped else "")
        + f". Receipt {made.receipt}; to be used until {facts['leased_until']}.",
        f"Train on it: training-portal exec --data {said['output']} -- python train.py",
    )


def _registered(portal: "Portal", said: dict[str, Any]) -> "TrainingRun":
    """The run of the tracker's id, else the one that this directory was begun for."""
    tracked = said["tracker_run_id"] or os.environ.get("MLFLOW_RUN_ID", "")
    return portal.register(
        purpose=said["purpose"],
        data_categories=words_of(said["categories"]),
        tracker_run_id=tracked or _remembered(portal.settings.state, said["output"]),
        title=said["title"],
        parent=said["parent"],
    )


def _permit(portal: "Portal", run: "TrainingRun", said: dict[str, Any]) -> None:
    try:
        run.permission()
    except Refused as error:
        if error.code in _ENDED:
            # The next call for this directory is a run of its own.
            _begun(portal.settings.state, said["output"]).unlink(missing_ok=True)
        raise


def _begun(state: Path, output: Path) -> Path:
    name = sha256(str(output.resolve()).encode()).hexdigest()[:32]
    return state / "begun" / f"{name}.json"


def _remembered(state: Path, output: Path) -> str:
    """An id of our own, kept before the run is registered: a second call finds the same run."""
    from training_portal.trust.memory import write_private

    path = _begun(state, output)
    if path.exists():
        return str(json.loads(path.read_text())["tracker_run_id"])
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    made = f"training-portal-{uuid.uuid4()}"
    write_private(path, json.dumps({"tracker_run_id": made}).encode())
    return made
