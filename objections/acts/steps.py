"""What may be done to a ticket now, and in a sentence why not: for the buttons of its page.

The services decide. This says it before anybody has typed a word.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from django.contrib.auth.models import User

from objections.acts import deciding
from objections.choices import ChangeKind, Regime, State
from objections.clock.days import today
from objections.letters import composing
from objections.models import Proposal, ProposedChange, Ticket
from objections.ticket import clocks, retention, two_person
from objections.ticket.states import why_no_move


@dataclass(frozen=True)
class Case:
    """A ticket, what waits on it for a second person, and who looks at it."""

    ticket: Ticket
    proposal: Proposal | None
    reader: User

    @cached_property
    def erasure(self) -> ProposedChange | None:
        """The erasure of its words that waits for a second person; only a closed ticket can have one."""
        if self.ticket.is_open or self.ticket.erased_at:
            return None
        return two_person.waiting(ChangeKind.ERASURE, self.ticket.reference)

    @property
    def is_in_review(self) -> bool:
        return self.ticket.state in (State.IN_REVIEW, State.EXTENDED)


@dataclass(frozen=True)
class Step:
    """An act that comes up on a ticket; `why_not` is empty when it can be done."""

    name: str
    title: str
    why_not: str

    @property
    def page(self) -> str:
        return f"admin:objections_ticket_{self.name}"


Rule = Callable[[Case], str | None]
"""Empty: it can be done. A sentence: why it cannot. None: it does not come up at all."""

_WAITS = "An outcome waits for a second person: it is approved or sent back first."
_ERASED = "The personal data is erased: nobody can be written to."
_SET_ASIDE = "It was set aside: release it first, so that it may be answered."


# --- The way to an answer -----------------------------------------------------------------------


def _release(case: Case) -> str | None:
    if not (case.ticket.is_set_aside and case.ticket.is_open):
        return None
    return _WAITS if case.proposal else ""


def _review(case: Case) -> str | None:
    if case.proposal is None:
        return None
    return ""


def _begin_review(case: Case) -> str | None:
    return "" if case.ticket.state == State.RECEIVED else None


def _ask_identity(case: Case) -> str | None:
    ticket = case.ticket
    if ticket.state != State.RECEIVED:
        return None
    if ticket.is_verified:
        return "The person was logged in, or has answered: identity is not asked for (GDPR Art. 12(6))."
    if ticket.regime == Regime.US_CA:
        return "California asks nobody who opts out for identity (CCPA regulations, § 7026(d))."
    return _WAITS if case.proposal else _not_to_write(case)


def _not_to_write(case: Case) -> str:
    """Why nothing is written to the person now."""
    if case.ticket.erased_at:
        return _ERASED
    return _SET_ASIDE if case.ticket.is_set_aside else ""


def _identity_is_open(case: Case) -> str | None:
    if case.ticket.state != State.IDENTITY_CHECK:
        return None
    return _WAITS if case.proposal else ""


def _decide(case: Case) -> str | None:
    if not case.ticket.is_open:
        return None
    if case.ticket.state == State.RECEIVED:
        return "Begin the review first: what is only received cannot become upheld or refused."
    if case.ticket.state == State.IDENTITY_CHECK:
        return "Identity was asked for: record the answer, or go on without it, first."
    if case.proposal:
        return _WAITS
    # What is upheld needs no letter: a ticket without words can be.
    return _SET_ASIDE if case.ticket.is_set_aside else ""


def _extend(case: Case) -> str | None:
    ticket = case.ticket
    if not case.is_in_review:
        return None
    clock = clocks.clock_of(ticket)
    if ticket.extended_on:
        return "A ticket is extended once (GDPR Art. 12(3))."
    if ticket.extension_reason:
        return "The notice is written; the extension counts once it is sent."
    if clock.extended_due is None:
        return f"No extension exists: {ticket.get_regime_display()}."
    if today() > clock.base_due:
        return f"The first deadline was {clock.base_due}: after it nothing is extended (GDPR Art. 12(3))."
    return _WAITS if case.proposal else _not_to_write(case)


def _withdraw(case: Case) -> str | None:
    if not case.ticket.is_open:
        return None
    if case.proposal:
        return _WAITS
    return _not_to_write(case) or deciding.why_not_told(case.ticket)


def _close_unidentified(case: Case) -> str | None:
    # How long the person has to answer depends on what came back, which only the form can ask.
    if case.ticket.state != State.IDENTITY_CHECK:
        return None
    if case.proposal:
        return _WAITS
    return _not_to_write(case) or deciding.why_not_unidentified(case.ticket)


# --- Around it ----------------------------------------------------------------------------------


def _always(case: Case) -> str | None:
    return ""


def _open(case: Case) -> str | None:
    return "" if case.ticket.is_open else None


def _take(case: Case) -> str | None:
    return _open(case) if case.ticket.assignee_id != case.reader.pk else None


def _not_erased(case: Case) -> str | None:
    return None if case.ticket.erased_at else ""


def _keep_files(case: Case) -> str | None:
    return "" if any(file.waits_until for file in case.ticket.attachments.all()) else None


def _match(case: Case) -> str | None:
    return "" if case.ticket.member_id is None else None


def _confirm_address(case: Case) -> str | None:
    ticket = case.ticket
    if not ticket.is_open or ticket.erased_at or composing.is_proven(ticket):
        return None
    return _not_to_write(case)


def _correct_address(case: Case) -> str | None:
    if case.ticket.erased_at:
        return None
    return composing.why_not_readdressed(case.ticket, case.reader.pk)


def _erase(case: Case) -> str | None:
    ticket = case.ticket
    if ticket.is_open or ticket.erased_at:
        return None
    if case.erasure:
        return "An erasure waits for a second person: it is approved or sent back first."
    return retention.why_not_erased(ticket)


def _review_erasure(case: Case) -> str | None:
    return "" if case.erasure else None


FORWARD: list[tuple[str, str, Rule]] = [
    ("release", "Release it", _release),
    ("close_abuse", "Close as abuse", _release),
    ("review", "Review the proposal", _review),
    ("review_erasure", "Review the erasure", _review_erasure),
    ("begin_review", "Begin the review", _begin_review),
    ("decide", "Decide", _decide),
    ("record_identity", "Record the identity answer", _identity_is_open),
    ("go_on_without_identity", "Go on without identity", _identity_is_open),
    ("ask_identity", "Ask for identity", _ask_identity),
    ("extend", "Extend with notice", _extend),
    ("withdraw", "Record a withdrawal", _withdraw),
    ("close_unidentified", "Close, not identified", _close_unidentified),
]
"""The acts that bring an answer nearer, in the order of their buttons."""

AROUND: list[tuple[str, str, Rule]] = [
    ("take", "Take it", _take),
    ("assign", "Assign", _open),
    ("note", "Write a note", _not_erased),
    ("attach", "Attach files", _not_erased),
    ("keep_files", "Keep the files", _keep_files),
    ("match", "Match to a member", _match),
    ("link", "Link another ticket", _always),
    ("confirm_address", "Confirm the address", _confirm_address),
    ("correct_address", "Correct the address", _correct_address),
    ("correct_receipt", "Correct the receipt", _always),
    ("correct_country", "Correct the country", _open),
    ("erase", "Erase personal data", _erase),
]

TITLES = {name: title for name, title, _ in [*FORWARD, *AROUND]}
_RULES = {name: rule for name, _, rule in [*FORWARD, *AROUND]}


def steps_of(case: Case, table: list[tuple[str, str, Rule]]) -> list[Step]:
    """The acts of a table that come up on the ticket now."""
    found = [(name, title, rule(case)) for name, title, rule in table]
    return [Step(name, title, why_not) for name, title, why_not in found if why_not is not None]


def why_not(case: Case, name: str) -> str:
    """Why the act cannot be done on the ticket now; empty when it can."""
    answer = _RULES[name](case)
    return _why_never(case.ticket, name) if answer is None else answer


_LEADS_TO = {
    "begin_review": State.IN_REVIEW,
    "ask_identity": State.IDENTITY_CHECK,
    "decide": State.UPHELD,
    "withdraw": State.WITHDRAWN,
    "close_unidentified": State.CLOSED_UNIDENTIFIED,
}
_DOES_NOT_COME_UP = {
    "take": "a closed ticket is worked by nobody.",
    "assign": "a closed ticket is worked by nobody.",
    "release": "it is not set aside.",
    "record_identity": "nobody was asked who they are.",
    "go_on_without_identity": "nobody was asked who they are.",
    "extend": "only a review is extended.",
    "note": "its personal data is erased: nothing is added to it.",
    "attach": "its personal data is erased: nothing is added to it.",
    "keep_files": "no file waits: they are kept, or gone.",
    "match": "it belongs to a member already; that does not change.",
    "confirm_address": "there is nothing to confirm.",
    "correct_country": "its clock has run.",
    "erase": "its personal data is erased already.",
}


def _why_never(ticket: Ticket, name: str) -> str:
    """Why an act does not come up on a ticket."""
    if name == "begin_review" and ticket.state == State.IDENTITY_CHECK:
        return "Identity was asked for: record the answer, or close the ticket."
    if name == "review":
        return "Nothing waits for a second person: somebody has decided on it already."
    if name == "review_erasure":
        return "No erasure of it waits for a second person."
    if name == "erase" and ticket.is_open:
        return f"{ticket} is open: the person could not be answered any more."
    if name in _LEADS_TO and (sentence := why_no_move(ticket, _LEADS_TO[name])):
        return sentence
    sentence = _DOES_NOT_COME_UP.get(name, "this does not come up.")
    return f"{ticket} is {ticket.get_state_display()}: {sentence}"
