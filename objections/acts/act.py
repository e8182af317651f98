"""An act on a ticket: one value that says everything about it. Each module of this package makes one.

`why_not` is the only rule of an act: its button shows the sentence, the page for many tickets asks it for each, and
`acting`, inside of which every act is done, raises it under the ledger's lock.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from django import forms
from django.contrib.auth.models import User

from common.staff.site import VersionedForm
from ledger.open_entry import OpenEntry
from ledger.registry import EntryKind
from objections.acts.previews import Preview
from objections.choices import LetterKind
from objections.errors import refuse
from objections.models import Ticket
from objections.ticket.case import Case, locked_case
from objections.ticket.checks import recorded

WORK = ("objections.view_ticket", "objections.work_ticket")
IDENTITY = "objections.view_requester"
OFFICER = (*WORK, IDENTITY)
"""An officer who acts on a ticket also sees the requester."""

Said = dict[str, Any]
"""The values of a form, as far as they are known."""
Rule = Callable[[Case, User], str]
"""Why not, in a sentence; empty when it can be done."""


class ActForm(VersionedForm):
    """The form of an act: what it says are the act's arguments, with the version of the ticket that its reader saw."""

    def said(self) -> Said:
        return dict(self.cleaned_data)


@dataclass(frozen=True, kw_only=True)
class Page:
    """The sentences and values that the page of an act shows beside its form."""

    will: Sequence[str]
    """The consequences, a sentence each; empty ones are left out."""
    warnings: Sequence[str] = ()
    initial: Mapping[str, Any] = field(default_factory=dict)
    """Initial values of the form."""
    form_takes: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of the form besides its fields."""
    to_send: Callable[[forms.Form, Said], list[Preview]] | None = None
    """The letters as they would be sent."""
    shows: Callable[[Said], Said] | None = None
    """Other effects of the act."""
    dangerous: bool = False
    context: Mapping[str, Any] = field(default_factory=dict)
    """For the template."""


@dataclass(frozen=True, kw_only=True)
class Many:
    """The act for many tickets in one go: each in an entry of its own, by the same rule and the same function."""

    action: str
    """Its line in the list of actions."""
    title: str
    lead: str
    button: str
    done: str
    will: Callable[[Case], str]
    """The consequences for a ticket."""
    asks: Mapping[str, Callable[[], forms.Field]] = field(default_factory=dict)
    """The fields of its form, by name."""
    warns: Callable[[Case], Sequence[str]] = lambda case: ()
    """Warnings about a ticket, shown before the act."""


@dataclass(frozen=True, kw_only=True)
class Act:
    """An act on a ticket."""

    name: str
    """Of its page and its button."""
    title: str
    kinds: Sequence[EntryKind] = ()
    """Of its entries, with their words in a ticket's timeline."""
    permission: Collection[str] = OFFICER
    form: type[ActForm] = ActForm
    comes_up: Callable[[Case, User], bool] = lambda case, actor: True
    """Whether its button is there at all; `why_not` says whether it can be pressed."""
    why_not: Rule
    do: Callable[..., Any]
    """Takes `ticket`, `version`, `actor` and what the form says."""
    letters: Collection[LetterKind] = ()
    """The kinds of letters that it may send."""
    page: Callable[[Case, User], Page] | None = None
    """None for an act that is done to many tickets only."""
    done: Callable[[Case, Said, Any], str] = lambda case, said, result: ""
    """The sentence after the act: from the case before it, the arguments of `do` and its result."""
    button: str = ""
    """The label of the form's button, where it differs from the title."""
    many: Many | None = None


@contextmanager
def acting(
    kind: str,
    ticket: Ticket,
    actor: User,
    why_not: Rule,
    *,
    version: int,
    reason: str = "",
) -> Iterator[tuple[Case, OpenEntry]]:
    """The entry of an act, with the case as it is now, locked.

    Raises StaleEdit unless the ticket is at the version that its reader saw, and then what the rule says.
    """
    with recorded(kind, ticket, actor, reason=reason) as opened:
        case = locked_case(ticket, version)
        refuse(why_not(case, actor))
        yield case, opened
