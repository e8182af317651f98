"""`audit`: a data set against the raw files that it was made from."""

import tempfile
from pathlib import Path
from typing import Any

import click

from training_portal.cli.saying import Out, says
from training_portal.errors import Misuse


@click.command("audit")
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False, exists=True))
@click.option(
    "--input",
    "inputs",
    multiple=True,
    required=True,
    help="The raw Parquet files; a pattern in quotation marks.",
)
@click.option("--member-column", help="As it was prepared.")
@click.option("--text", default="", help="As it was prepared.")
@click.option(
    "--columns",
    "columns_file",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="As it was prepared.",
)
@click.option("--profile", default="default", help="As it was prepared.")
@click.option(
    "--sample", type=click.IntRange(0), default=1_000, help="Rows that are prepared again."
)
@click.option("--seed", type=click.IntRange(0), help="Picks the sample of an earlier audit again.")
@says
def audit_command(out: Out, directory: Path, **said: Any) -> None:
    """Repeat the preparation of the data set in DIRECTORY: the filter for every row, the redaction for a sample.

    Ends with 4 where anything differs. Needs the raw files, and the delivery while its lease lasts.
    """
    from training_portal import data_sets
    from training_portal.cli.columns import columns_of, paths_of
    from training_portal.prepare import Options, audit
    from training_portal.runs import Portal

    with Portal.from_environment(progress=out.progress) as portal:
        found = portal.data_set(directory)
        done = found.predicate
        run = portal.run(done["run"])
        permission = run.permission_of(done["delivery"]["reference"])
        redaction = None
        if "redaction" in done:
            version = done["redaction"].get("list_version")
            redaction = data_sets.redaction_of(run, said["profile"], with_list=version is not None)
            lent = redaction.redaction_list
            if lent is not None and lent.version != version:
                raise Misuse(
                    "The redaction list has changed since the data set was prepared.",
                    "Rows that it names are redacted otherwise now: prepare again, from a renewed delivery.",
                    code="list_changed",
                )
        with tempfile.TemporaryDirectory(dir=directory.resolve().parent) as scratch:
            result = audit(
                found,
                paths_of(said["inputs"]),
                Path(scratch),
                permission=permission,
                columns=columns_of(said, tuple(done["data_categories"])),
                redaction=redaction,
                sample=said["sample"],
                seed=said["seed"],
                options=Options(now=portal.session.now, progress=portal.progress),
            )
    facts = {
        "run": done["run"],
        "rows": result.rows,
        "sampled": result.sampled,
        "seed": result.seed,
    }
    out.show(
        facts,
        f"{directory} is what a preparation makes of its raw files: {result.rows:,} rows are of the members whose they"
        f" should be, and {result.sampled:,} sampled rows are equal (seed {result.seed}).",
    )
