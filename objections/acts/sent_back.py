"""Proposed outcomes that came back to their author: their words, and where to go on."""

from collections.abc import Iterator
from typing import Any

from django.urls import reverse
from django.utils.text import capfirst

from common.staff import start_page
from common.staff.start_page import SentBack
from common.text.words import visible
from consent.choices import Purpose
from objections.acts.outcomes import act_of, words_of
from objections.choices import ChangeKind, ChangeVerdict, NoteKind, Outcome
from objections.clock import deadlines
from objections.clock.days import day_of
from objections.letters.differences import TextLine, differences
from objections.models import Proposal, ProposedChange, Ticket


@start_page.sent_back("objections.work_ticket")
def outcomes(officer: Any) -> Iterator[SentBack]:
    """Outcomes that were sent back to an officer, what is due first at the top."""
    found = Proposal.objects.returned_to(officer).select_related(
        "ticket", "approval__entry", "approval__reviewer"
    )
    for one in found.order_by("ticket__due_on", "pk"):
        yield SentBack(
            f"{one.ticket}: {one.get_state_display()}",
            reverse(f"admin:objections_ticket_{act_of(one)}", args=[one.ticket_id]),
            one.approval.reviewer.get_username(),
            one.approval.entry.reason,
        )


@start_page.sent_back("objections.work_ticket")
def erasures(officer: Any) -> Iterator[SentBack]:
    """Erasures of tickets' words that were sent back to an officer."""
    for one in _changes(officer, ChangeKind.ERASURE):
        ticket = Ticket.objects.get(reference=one.subject)
        yield _told(one, reverse("admin:objections_ticket_erase", args=[ticket.pk]))


@start_page.sent_back("objections.add_lettertemplate")
def letter_texts(officer: Any) -> Iterator[SentBack]:
    """Texts of letters that were sent back to an officer."""
    for one in _changes(officer, ChangeKind.LETTER_TEXT):
        yield _told(one, reverse("admin:objections_lettertemplate_edit", args=[one.subject]))


def review_address(change: ProposedChange) -> str:
    """The page where a second person says their word on a change."""
    if change.kind == ChangeKind.LETTER_TEXT:
        return reverse("admin:objections_lettertemplate_review", args=[change.subject])
    ticket = Ticket.objects.get(reference=change.subject)
    return reverse("admin:objections_ticket_review_erasure", args=[ticket.pk])


def _changes(officer: Any, kind: ChangeKind) -> Any:
    found = ProposedChange.objects.returned_to(officer).filter(kind=kind)
    return found.select_related("review__entry", "review__reviewer").order_by("pk")


def _told(change: ProposedChange, url: str) -> SentBack:
    review = change.review
    return SentBack(capfirst(str(change)), url, review.reviewer.get_username(), review.entry.reason)


def last_of(ticket: Ticket) -> Proposal | None:
    """The latest proposal on an open ticket where it came back, also to who took it back themselves."""
    latest: Proposal | None = (
        Proposal.objects.filter(ticket=ticket)
        .select_related("ticket", "approval__entry", "approval__reviewer", "proposed_by")
        .order_by("-pk")
        .first()
    )
    if latest is None or not ticket.is_open:
        return None
    approval = getattr(latest, "approval", None)
    return latest if approval and approval.verdict == ChangeVerdict.RETURNED else None


def words_for(ticket: Ticket, page: str) -> dict[str, Any]:
    """Initial values of an act's form, from the proposal that was sent back; empty where none was."""
    proposal = last_of(ticket)
    if proposal is None or act_of(proposal) != page:
        return {}
    words: dict[str, Any] = dict(words_of(proposal))
    if page == "decide":
        chosen = {f"outcome_{purpose}": value for purpose, value in proposal.outcomes.items()}
        return {**words, **chosen, "also": list(proposal.also)}
    if page == "close_unidentified" and ticket.identity_asked_on:
        waited = (day_of(proposal.entry.recorded_at) - ticket.identity_asked_on).days
        # Silence could not be proposed so early.
        words["is_answered"] = waited < deadlines.IDENTITY_WAIT_DAYS
    return words


def changes_in(proposal: Proposal) -> tuple[Proposal, list[TextLine]] | None:
    """The proposal that came back and is taken up again by this one, and what changed in between."""
    before: Proposal | None = (
        Proposal.objects.filter(ticket=proposal.ticket_id, pk__lt=proposal.pk)
        .select_related("approval__entry", "approval__reviewer")
        .order_by("-pk")
        .first()
    )
    approval = getattr(before, "approval", None)
    if before is None or approval is None or approval.verdict != ChangeVerdict.RETURNED:
        return None
    return before, differences(_as_text(before), _as_text(proposal))


def _as_text(proposal: Proposal) -> str:
    """The text of a proposal, as the second person reads it."""
    outcomes = [
        f"{Purpose(purpose).label}: {Outcome(value).label}"
        for purpose, value in sorted(proposal.outcomes.items())
    ]
    together = [f"Together with {', '.join(proposal.also)}"] if proposal.also else []
    words = [
        f"{capfirst(NoteKind(kind).label)}: {visible(text)}"
        for kind, text in words_of(proposal).items()
    ]
    return "\n".join([*outcomes, *together, *words])
