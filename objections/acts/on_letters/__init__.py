"""The acts of officers on one letter of a ticket: one module each. Pages, addresses and kinds of entries follow from `ALL`."""

from ledger.registry import EntryKind
from objections.acts.on_letters import record_posted, record_returned, repeat, try_again
from objections.acts.on_letters.letter_act import LetterAct

__all__ = ["record_posted", "record_returned", "repeat", "try_again"]

ALL: list[LetterAct] = [try_again.ACT, repeat.ACT, record_posted.ACT, record_returned.ACT]

KINDS: list[EntryKind] = [kind for act in ALL for kind in act.kinds]
