"""An act on a letter: one value that says everything about it. Each module of this package makes one.

`why_not` is its only rule: the page shows the sentence, and `do` raises it under the ledger's lock.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django import forms

from common.staff.forms import ConfirmForm
from ledger.registry import EntryKind
from objections.choices import LetterKind
from objections.models import Letter

Said = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class LetterAct:
    """An act of an officer on one letter of a ticket."""

    name: str
    """Of its page: `letters/<number>/<name>/`."""
    title: str
    """`{letter}` stands for the kind of letter."""
    button: str
    kinds: Sequence[EntryKind] = ()
    """Of its entries, with their words in a ticket's timeline."""
    form: type[forms.Form] = ConfirmForm
    why_not: Callable[[Letter], str]
    """Why not, in a sentence; empty when it can be done."""
    do: Callable[..., Letter]
    """Takes `letter`, `actor` and what the form says. Raises LetterNotSent with what the rule says."""
    will: Callable[[Letter], Sequence[str]]
    """The consequences, a sentence each; empty ones are left out."""
    writes: bool = True
    """Whether the requester is written to: then the page warns of what is uncertain about the address."""
    done: str
    """The sentence after the act; `{letter}` as above, and the values of the form by their names."""


def what_goes(letter: Letter, otherwise: str) -> str:
    """The message to send: a new link where the letter asks to confirm the address, else the letter itself."""
    if letter.kind == LetterKind.CONFIRMATION:
        return "The person gets a fresh link, at the address known now."
    return otherwise


def why_erased(letter: Letter) -> str:
    """The sentence for a letter whose text, or the address it would go to, was erased."""
    if letter.ticket.erased_at or not hasattr(letter, "text"):
        return f"The personal data of {letter.ticket} is erased, this letter's text with it."
    return ""
