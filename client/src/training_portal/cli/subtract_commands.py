"""`subtract`: a data set without the members who have left."""

from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from training_portal.cli.saying import Out, says
from training_portal.errors import LeaseOver, NotVerified, Refused

if TYPE_CHECKING:
    from training_portal.runs import Portal
    from training_portal.trust.archives import Cohorts


@click.command("subtract")
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False, exists=True))
@says
def subtract_command(out: Out, directory: Path) -> None:
    """Renew the delivery of the data set in DIRECTORY, and take out the members who have left.

    Only files with rows of theirs are written. The new receipt is sent; the same call again, after a fault, goes on.
    """
    from training_portal import keys
    from training_portal.prepare import Options, resume, subtract
    from training_portal.prepare.verifying import read_receipt
    from training_portal.runs import Portal

    with Portal.from_environment(progress=out.progress) as portal:
        key = keys.load_or_make(portal.settings.state)
        keys.register(portal.session, key)
        made = resume(directory)
        if made is None:
            known = keys.trusted(portal.settings.state, portal.session)
            said = read_receipt(directory, known).predicate
            run = portal.run(said["run"])
            # A data set has member numbers, so no list of accounts is needed.
            run.form = "set"
            made = subtract(
                directory,
                permission=run.renew(),
                before=_cohorts(portal, said["delivery"]),
                keys=known,
                key=key,
                options=Options(now=portal.session.now, progress=portal.progress),
            )
        done = made.statement["predicate"]
        receipt = portal.run(done["run"]).send_envelope(made.envelope)["reference"]
    gone = sum(made.rows["dropped"].values())
    facts = {
        "run": done["run"],
        "delivery": done["delivery"]["reference"],
        "receipt": receipt,
        "rows": dict(made.rows),
        "files": list(made.files),
        "leased_until": done["delivery"]["leased_until"],
    }
    out.show(
        facts,
        f"{gone:,} rows of members who have left were taken out of {directory}, from {len(made.files)} files."
        f" {made.rows['kept']:,} rows are left. Receipt {receipt}; to be used until {facts['leased_until']}.",
    )


def _cohorts(portal: "Portal", delivery: dict[str, Any]) -> "Cohorts":
    """From which days on members' content could be used when the data set was prepared."""
    from training_portal.trust.archives import read_delivery

    try:
        data = portal.session.get(f"deliveries/{delivery['reference']}/archive").body
    except (LeaseOver, Refused):
        portal.progress.warn(
            f"The archive of {delivery['reference']} is not given out any more: every member who has a first day is"
            " taken out."
        )
        return ()
    if sha256(data).hexdigest() != delivery["archive"]:
        raise NotVerified(f"The archive of {delivery['reference']} is not the one of the receipt.")
    return read_delivery(data, delivery["reference"]).cohorts
