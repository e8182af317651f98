"""The time at which a decision counts, and which of two is in force. Pure: times in, answers out.

Nothing was decided after it was received. A decision counts at the earlier of the time that was sent and the time
of its receipt; the later one is in force, and of two at the same time a *deny*.

The two choices differ where a clock cannot be right, so that an acknowledged *no* never loses to an *allow* that was
received before it:

- a *deny* may count up to the latest time any entry has so far: a clock that stepped back makes no *deny* older;
- a *deny* with a time before EARLIEST counts at its receipt, because the sender's clock was not set;
- an *allow* that counts later than the receipt of a *deny* gives way to it: the clock stepped back between the two;
- an *allow* from a clock ahead of ours gives way to every *deny* that is received after it: which of the two was
  decided first cannot be known;
- a *deny* whose time is whole seconds counts as the last decision of its second: many senders cut the rest off.

`training_runs.eligibility.deriving` and `outsider/verify.py` compute the same in code of their own; docs/reference/proof-format.md says it
for others.
"""

import datetime as dt
from dataclasses import dataclass

from consent.choices import Choice

EARLIEST = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
"""No product kept settings before; an older time is a sender's mistake (epoch 0, a missing century)."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """The times of the entry that a decision was received in."""

    at: dt.datetime
    """Its `recorded_at`."""
    latest: dt.datetime
    """The latest `recorded_at` of all entries up to it: later than `at` only after a clock stepped back."""


@dataclass(frozen=True, slots=True)
class Counted:
    """A choice, and the time at which it counts as decided."""

    choice: str
    at: dt.datetime
    is_ahead: bool = False
    """Whether it is an *allow* that was sent with a later time than its receipt."""

    def takes_over_from(self, before: "Counted | None", *, received_at: dt.datetime) -> bool:
        """Whether this choice, received last and then, is in force from now on instead of the one before."""
        if before is None or self.at > before.at:
            return True
        if self.choice != Choice.DENY:
            return False
        if before.choice == Choice.DENY:
            return False
        is_later = self.at == before.at or (
            not self.at.microsecond and self.at == before.at.replace(microsecond=0)
        )
        return is_later or before.is_ahead or before.at > received_at


def counted(choice: str, decided_at: dt.datetime | None, received: Receipt) -> Counted:
    """A decision as it counts. `decided_at` is as sent; None stands for the moment of receipt."""
    if choice != Choice.DENY:
        sent = decided_at or received.at
        return Counted(choice, min(sent, received.at), is_ahead=sent > received.at)
    if decided_at is None or decided_at < EARLIEST:
        return Counted(choice, received.latest)
    return Counted(choice, min(decided_at, received.latest))
