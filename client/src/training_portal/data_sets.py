"""The data set of a run: prepared, its receipt sent; and again without doing anything twice."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training_portal import keys, receipts
from training_portal.prepare import Columns, Engine, Options, Redaction, prepare, verify_directory

if TYPE_CHECKING:
    from training_portal.runs import TrainingRun

LIST_SCOPE = "suppression:read"
"""The scope that lends the list of people without an account."""


@dataclass(frozen=True)
class Made:
    """A data set whose receipt the portal has."""

    directory: Path
    receipt: str
    predicate: dict[str, Any]
    """The receipt's predicate."""


def make(
    run: "TrainingRun",
    inputs: Sequence[Path],
    output: Path,
    *,
    columns: Columns,
    redaction: Redaction | None,
    accept_unknown: str = "",
    engine: Engine = "duckdb",
) -> Made:
    """Prepare the data set of a run and send its receipt. Called again after a fault, it goes on where it was.

    Raises what `training_portal.prepare.prepare` raises, and Refused where the portal does not take the receipt.
    """
    portal = run.portal
    key = keys.load_or_make(portal.settings.state)
    # First: a token that may send no receipt would be noticed hours later.
    keys.register(portal.session, key)
    permission = run.permission()
    if (output / receipts.FILE).exists():
        # It was made before; perhaps its receipt did not reach the portal.
        done = verify_directory(
            output, keys=[key.public_key()], now=portal.session.now(), run=run.reference
        )
        envelope, statement = done.envelope, done.statement
    else:
        made = prepare(
            inputs,
            output,
            permission=permission,
            columns=columns,
            key=key,
            redaction=redaction,
            accept_unknown=accept_unknown,
            options=Options(engine=engine, now=portal.session.now, progress=portal.progress),
        )
        envelope, statement = dict(made.envelope), dict(made.statement)
    receipt = run.send_envelope(envelope)
    return Made(output, receipt["reference"], statement["predicate"])


def redaction_of(
    run: "TrainingRun", profile: str | Path = "default", *, with_list: bool | None = None
) -> Redaction:
    """The redaction of text by a profile, and by the list of people without an account.

    `with_list` None borrows the list where the token may, and warns where it may not.
    """
    from training_portal.redaction import Profile, RedactionList

    portal = run.portal
    if with_list is None:
        with_list = LIST_SCOPE in (portal.me()["token"] or {}).get("scopes", [])
        if not with_list:
            portal.progress.warn(
                f"The redaction list is not borrowed: the token lacks the scope {LIST_SCOPE}."
            )
    lent = RedactionList.read(run.redaction_list()) if with_list else None
    return Redaction(Profile.load(profile), redaction_list=lent)
