"""What officers do to one ticket, one function an act.

GET shows what will happen and the letter as it would be sent; POST does it through a service. "Preview the letter"
posts the same form and records nothing. Every view asks for its permission itself: the admin alone lets all staff in.
"""

import copy
import datetime as dt
from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.contrib.auth.decorators import permission_required
from django.http import FileResponse, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django.views.decorators.http import require_GET

from common.staff.forms import ConfirmForm
from common.staff.site import VersionedForm, staff
from consent.choices import Purpose
from ledger.reads.recording import record_read
from objections import tasks
from objections.acts import deciding, sent_back, working
from objections.choices import (
    UNPROVEN,
    ChangeKind,
    LetterKind,
    NoteKind,
    Outcome,
    Regime,
    State,
    Verdict,
)
from objections.clock import deadlines
from objections.clock.days import today
from objections.errors import AlreadySettled, NotAllowedHere
from objections.intake import receiving
from objections.models import Attachment, Proposal, Requester, Ticket
from objections.staff import letter_acts
from objections.staff.act_pages import (
    MAX_TOGETHER,
    Preview,
    act,
    act_page,
    bound,
    incidents_in_words,
    or_gap,
    outcome_letters,
    preview,
)
from objections.staff.forms import (
    AddressForm,
    AskIdentityForm,
    AssignForm,
    AttachForm,
    CloseAbuseForm,
    CloseUnidentifiedForm,
    CorrectCountryForm,
    DecideForm,
    EraseForm,
    ExtendForm,
    LinkForm,
    MatchForm,
    NoteForm,
    ReasonForm,
    ReceiptForm,
    RecordIdentityForm,
    ReviewForm,
    WithdrawForm,
    place,
)
from objections.staff.ticket_page import (
    IDENTITY,
    WORK,
    dossier_of,
    ending_of,
    pause_in_words,
    proposed_in_words,
    same_person,
    subject_of,
    warnings_of,
)
from objections.ticket import (
    checks,
    clocks,
    exposure,
    officers,
    quarantine,
    retention,
    states,
    two_person,
    uploads,
)

# --- Who works it -------------------------------------------------------------------------------


@act
def take(request: HttpRequest, ticket: Ticket) -> HttpResponse:
    def do(said: dict[str, Any]) -> str:
        working.assign(ticket=ticket, officer=staff(request), actor=staff(request), **said)
        return f"{ticket} is yours."

    return act_page(
        request,
        ticket,
        bound(VersionedForm, request, ticket),
        do,
        name="take",
        will=[f"You work {ticket} from now on; now {_who_has(ticket)}."],
    )


def _who_has(ticket: Ticket) -> str:
    officer = officers.officer_of(ticket)
    return f"{officer.get_username()} has it" if officer else "no officer has it"


@act
def assign(request: HttpRequest, ticket: Ticket) -> HttpResponse:
    def do(said: dict[str, Any]) -> str:
        working.assign(ticket=ticket, actor=staff(request), **said)
        return f"{ticket} is assigned to {said['officer'] or 'nobody'}."

    form = bound(AssignForm, request, ticket, initial={"officer": ticket.assignee_id})
    return act_page(
        request,
        ticket,
        form,
        do,
        name="assign",
        will=[f"Now {_who_has(ticket)}. The ticket shows in the queue of whoever it is given to."],
    )


@act
def begin_review(request: HttpRequest, ticket: Ticket) -> HttpResponse:
    def do(said: dict[str, Any]) -> str:
        working.begin_review(ticket=ticket, actor=staff(request), **said)
        return f"{ticket} is in review."

    return act_page(
        request,
        ticket,
        bound(VersionedForm, request, ticket),
        do,
        name="begin_review",
        will=[
            "The ticket is in review; identity can not be asked for any more.",
            f"{'It stays with its officer' if officers.officer_of(ticket) else 'You have it from now on'}.",
            f"{states.effect_in_words(ticket)} Nothing is sent.",
        ],
    )


@act
def release(request: HttpRequest, ticket: Ticket) -> HttpResponse:
    def do(said: dict[str, Any]) -> str:
        receiving.release(ticket=ticket, actor=staff(request))
        tasks.hint()
        return f"{ticket} goes on as any other."

    return act_page(
        request,
        ticket,
        bound(ConfirmForm, request, ticket),
        do,
        name="release",
        will=[
            "It was set aside because too many like it came in. It restricts and its clock runs all the same.",
            "Released, it goes on as any other, and the person gets our first letter.",
        ],
        warnings=warnings_of(ticket, writes=True),
    )


# --- Who it is ----------------------------------------------------------------------------------


@act
def ask_identity(request: HttpRequest, ticket: Ticket) -> HttpResponse:
    def do(said: dict[str, Any]) -> str:
        working.ask_identity(ticket=ticket, actor=staff(request), **said)
        tasks.hint()
        return f"{ticket} asks for identity; the letter is on its way."

    def to_send(known: dict[str, Any]) -> list[Preview]:
        return [
            preview(
                ticket,
                LetterKind.IDENTITY_REQUEST,
                doubt=or_gap(known.get("doubt", ""), "what makes you doubt"),
                identity_question=or_gap(known.get("question", ""), "what you need to know"),
            )
        ]

    return act_page(
        request,
        ticket,
        bound(AskIdentityForm, request, ticket),
        do,
        name="ask_identity",
        button="Ask for identity",
        will=[
            f"The person is asked who they are. {states.effect_in_words(ticket)}",
            f"{_effect_of_asking(ticket)} It counts from the day the letter is sent.",
            f"Without an answer the ticket can be closed {deadlines.IDENTITY_WAIT_DAYS} days later, by two people.",
        ],
        warnings=warnings_of(ticket, writes=True),
        to_send=to_send,
    )


def _effect_of_asking(ticket: Ticket) -> str:
    clock = clocks.clock_of(ticket)
    was_prompt = deadlines.is_prompt(
        clock.receipt_date, today(), within_days=settings.IDENTITY_PROMPT_DAYS
    )
    if deadlines.is_paused_by_identity(clock, asked_on=today(), was_prompt=was_prompt):
        return "Asked for today, it stops the clock until the answer."
    return "Asked for today, it does not stop the clock."


@act
def record_identity(request: HttpRequest, ticket: Ticket) -> HttpResponse:
    def do(said: dict[str, Any]) -> str:
        row = working.record_identity(ticket=ticket, actor=staff(request), **said)
        tasks.hint()
        return f"Identity is answered: {ticket} is in review, due on {row.due_on}."

    return act_page(
        request,
        ticket,
        bound(RecordIdentityForm, request, ticket),
        do,
        name="record_identity",
        will=[
            pause_in_words(ticket, clocks.clock_of(ticket)) or "Nobody was asked who they are.",
            "The review begins, and the clock goes on by its rule from the day of the answer.",
            "The ticket then counts as one of a person we know, who is told the day of the answer.",
        ],
    )


@act
def go_on_without_identity(request: HttpRequest, ticket: Ticket) -> HttpResponse:
    def do(said: dict[str, Any]) -> str:
        row = working.go_on_without_identity(ticket=ticket, actor=staff(request), **said)
        return f"{ticket} is in review, due on {row.due_on}."

    form = bound(
        ReasonForm,
        request,
        ticket,
        label="Why it goes on without an answer",
        help_text="Asked by mistake, say, or the letter cannot be delivered.",
    )
    return act_page(
        request,
        ticket,
        form,
        do,
        name="go_on_without_identity",
        button="Go on without identity",
        will=[
            "The review begins. Who it is stays unknown, and identity can not be asked for again.",
            "The clock did not stop for the question: the first day of the answer holds.",
        ],
    )


@act
def match(request: HttpRequest, ticket: Ticket) -> HttpResponse:
    def do(said: dict[str, Any]) -> str:
        _, incidents = working.match(ticket=ticket, actor=staff(request), **said)
        return f"{ticket} is matched. {incidents_in_words(len(incidents))}"

    return act_page(
        request,
        ticket,
        bound(MatchForm, request, ticket),
        do,
        name="match",
        will=[
            "The member is out of the purposes named from now on. A match is not taken back.",
            f"Runs frozen with the member since {_local(ticket.received_at)} are recorded as incidents.",
        ],
    )


def _local(moment: Any) -> str:
    local = timezone.localtime(moment, ZoneInfo(settings.CONTROLLER_TIME_ZONE))
    return f"{local:%Y-%m-%d %H:%M} ({settings.CONTROLLER_TIME_ZONE})"


@act
def link(request: HttpRequest, ticket: Ticket) -> HttpResponse:
    def do(said: dict[str, Any]) -> str:
        working.link(ticket=ticket, actor=staff(request), **said)
        return f"{ticket} and {said['other']} are linked."

    return act_page(
        request,
        ticket,
        bound(LinkForm, request, ticket),
        do,
        name="link",
        will=[
            "Both tickets count as one person's and can be decided together.",
            "Each keeps its own clock and restriction.",
        ],
    )


@act
def confirm_address(request: HttpRequest, ticket: Ticket) -> HttpResponse:
    def do(said: dict[str, Any]) -> str:
        working.confirm_address(ticket=ticket, actor=staff(request), **said)
        tasks.hint()
        return f"The address of {ticket} is confirmed; the acknowledgement is on its way."

    form = bound(
        ReasonForm,
        request,
        ticket,
        label="How you know that the address is theirs",
        help_text="They wrote to us from it, say.",
    )
    return act_page(
        request,
        ticket,
        form,
        do,
        name="confirm_address",
        will=[
            "The address counts as the person's, as if they had followed the link in our mail.",
            "The person gets the acknowledgement. Who they are stays as unknown as it was.",
        ],
    )


@act
def correct_address(request: HttpRequest, ticket: Ticket) -> HttpResponse:
    def do(said: dict[str, Any]) -> str:
        working.correct_address(ticket=ticket, actor=staff(request), **said)
        tasks.hint()
        return "The address is corrected. A letter that failed can be tried again."

    requester = Requester.objects.filter(ticket=ticket).first()
    known = (
        {"email": requester.email, "postal_address": requester.postal_address} if requester else {}
    )
    return act_page(
        request,
        ticket,
        bound(AddressForm, request, ticket, initial=known),
        do,
        name="correct_address",
        will=[
            "Letters go to this address from now on: those that wait, and failed ones when they are tried again.",
            ""
            if ticket.is_verified or ticket.channel not in UNPROVEN
            else "Nobody knows whose address it is: it gets a link of its own to confirm it.",
            "The ledger keeps that it was changed and why, not what it is.",
        ],
    )


# --- The clock ----------------------------------------------------------------------------------


@act
def correct_receipt(request: HttpRequest, ticket: Ticket) -> HttpResponse:
    def do(said: dict[str, Any]) -> str:
        row, incidents = working.correct_receipt(ticket=ticket, actor=staff(request), **said)
        tasks.hint()
        clock = f"{ticket} is due on {row.due_on}." if row.is_open else "Its clock stays as it was."
        if ticket.member_id is None:
            return f"{clock} No account is matched, so no run was looked through."
        return f"{clock} {incidents_in_words(len(incidents))}"

    def shows(known: dict[str, Any]) -> dict[str, Any]:
        return {"change": _change_of_receipt(ticket, known.get("received_at"))}

    return act_page(
        request,
        ticket,
        bound(ReceiptForm, request, ticket, initial={"received_at": ticket.received_at}),
        do,
        name="correct_receipt",
        will=[
            f"Received so far: {_local(ticket.received_at)}. Only an earlier time can be given.",
            f"{'The clock starts then, and so does the restriction' if ticket.is_open else 'The clock has run and stays as it was'}:"
            " runs frozen with the member in between are recorded as incidents. Manifests stay as they are.",
            _TOLD_ANEW if ticket.is_open else "",
        ],
        shows=shows,
    )


_TOLD_ANEW = (
    "A person who was told another day is told the new one. An extension notice that is not out yet is called off: it"
    " can be written anew where the clock still allows it."
)


def _change_of_receipt(ticket: Ticket, received_at: Any) -> dict[str, Any] | None:
    """The clock and the incidents that an earlier receipt would bring; None for one that is none."""
    if received_at is None:
        return None
    receiving.check_received_at(received_at)
    if received_at >= ticket.received_at:
        return None
    known = {incident.run for incident in ticket.incidents.all()}
    purposes = [one.purpose for one in ticket.objections.all()]
    uses = (
        exposure.uses_of(ticket.member_id, purposes, since=received_at) if ticket.member_id else []
    )
    return {
        "lead": f"Received at {_local(received_at)}.",
        "explained": _explained(ticket, clocks.clock_from(ticket, received_at))
        if ticket.is_open
        else [],
        "incidents": [(use, Purpose(use.purpose).label) for use in uses if use.run not in known],
    }


def _explained(ticket: Ticket, clock: deadlines.Clock) -> list[str]:
    return deadlines.explained(clock, is_extended=ticket.extended_on is not None)


@act
def correct_country(request: HttpRequest, ticket: Ticket) -> HttpResponse:
    def do(said: dict[str, Any]) -> str:
        row = working.correct_country(
            ticket=ticket,
            reason=said["reason"],
            version=said["version"],
            actor=staff(request),
            **place(said),
        )
        tasks.hint()
        return f"{ticket} is due on {row.due_on}, by {row.get_regime_display()}."

    def shows(known: dict[str, Any]) -> dict[str, Any]:
        return {"change": _change_of_country(ticket, known) if known else None}

    now = {"country": ticket.country, "is_californian": ticket.regime == Regime.US_CA}
    return act_page(
        request,
        ticket,
        bound(CorrectCountryForm, request, ticket, initial=now),
        do,
        name="correct_country",
        will=[
            f"Whose law it is so far: {ticket.get_regime_display()}.",
            "The clock is computed anew from the receipt, by the law of the country given: the answer may be due"
            " earlier, or later unless it is overdue. The restriction goes on.",
            _TOLD_ANEW,
        ],
        shows=shows,
    )


def _change_of_country(ticket: Ticket, known: dict[str, Any]) -> dict[str, Any]:
    moved = copy.copy(ticket)
    moved.regime = deadlines.regime_for(**place(known))
    return {
        "lead": f"{moved.get_regime_display()}.",
        "explained": _explained(moved, clocks.clock_from(moved, ticket.received_at)),
    }


@act
def extend(request: HttpRequest, ticket: Ticket) -> HttpResponse:
    clock = clocks.clock_of(ticket)

    def do(said: dict[str, Any]) -> str:
        working.extend(ticket=ticket, actor=staff(request), **said)
        tasks.hint()
        return f"The notice is on its way; {ticket} is extended once it is sent."

    def to_send(known: dict[str, Any]) -> list[Preview]:
        if clock.extended_due is None:
            return []
        explanation = or_gap(known.get("explanation", ""), "why it takes longer")
        values = working.extension_values(clock, explanation)
        return [preview(ticket, LetterKind.EXTENSION, **values)]

    until = f" to {deadlines.in_words(clock.extended_due)}" if clock.extended_due else ""
    return act_page(
        request,
        ticket,
        bound(ExtendForm, request, ticket),
        do,
        name="extend",
        button="Send the notice",
        will=[
            f"The answer moves from {deadlines.in_words(clock.base_due)}{until}, once and for all.",
            f"A refusal is still due by {deadlines.in_words(clock.refuse_by_extended or clock.refuse_by)}.",
            f"It counts only if the notice is sent by {deadlines.in_words(clock.base_due)}."
            " The restriction goes on.",
        ],
        warnings=warnings_of(ticket, writes=True),
        to_send=to_send,
    )


# --- The outcome --------------------------------------------------------------------------------


@act
def decide(request: HttpRequest, ticket: Ticket) -> HttpResponse:
    objections = list(ticket.objections.select_related("ticket").order_by("purpose"))
    others = same_person(ticket).filter(closed_at__isnull=True)[:MAX_TOGETHER]
    linked = [one for one in others if not deciding.why_not_together(ticket, one)]
    # Where the law leaves nothing to weigh, nothing is left to choose either.
    initial = {
        f"outcome_{one.purpose}": Outcome.UPHELD
        for one in objections
        if deciding.why_not_refused(ticket, one.purpose)
    }
    form: DecideForm = bound(
        DecideForm, request, ticket, initial=initial, objections=objections, linked=linked
    )

    def do(said: dict[str, Any]) -> str:
        decided = deciding.decide(ticket=ticket, actor=staff(request), **form.said())
        if isinstance(decided, Proposal):
            return f"Proposed: a colleague reviews {ticket} before anything is sent."
        tasks.hint()
        return f"{ticket} is upheld; the letter is on its way."

    def to_send(known: dict[str, Any]) -> list[Preview]:
        outcomes = form.outcomes
        if len(outcomes) < len(objections):
            return []
        said: dict[str, str] = {
            NoteKind.GROUND: known.get("ground", ""),
            NoteKind.BALANCING: known.get("balancing", ""),
            NoteKind.REASONS: known.get("reasons", ""),
        }
        if Outcome.REFUSED in outcomes.values():
            gaps = ["the compelling ground", "the balancing", "the reasons"]
            said = {
                kind: or_gap(text, gap)
                for (kind, text), gap in zip(said.items(), gaps, strict=True)
            }
        together = [one for one in linked if one.reference in known.get("also", [])]
        return outcome_letters([ticket, *together], deciding.state_after(outcomes), outcomes, said)

    return act_page(
        request,
        ticket,
        form,
        do,
        name="decide",
        button="Record the decision",
        will=[
            "Upheld: the person is out for good, at once.",
            "Anything else is a proposal: a colleague approves it, and the person is in again only when the"
            " letter is sent (GDPR Art. 18(3)).",
            f"A refusal must reach the person by {deadlines.in_words(ticket.refuse_by)}."
            if ticket.refuse_by
            else "",
        ],
        warnings=warnings_of(
            ticket,
            writes=True,
            upholds=True,
            refuses=not all(deciding.why_not_refused(ticket, one.purpose) for one in objections),
        ),
        to_send=to_send,
    )


@act
def withdraw(request: HttpRequest, ticket: Ticket) -> HttpResponse:
    def do(said: dict[str, Any]) -> str:
        deciding.propose_withdrawal(ticket=ticket, actor=staff(request), **said)
        return f"Proposed: a colleague reviews the withdrawal of {ticket}."

    return act_page(
        request,
        ticket,
        bound(WithdrawForm, request, ticket),
        do,
        name="withdraw",
        button="Propose the withdrawal",
        will=[
            "A colleague looks at the message. The person is then told, and is in again only when that letter is sent.",
            "Who withdrew can object again at any time.",
        ],
        warnings=warnings_of(ticket, writes=True),
        to_send=_closing_letter(ticket, State.WITHDRAWN, Outcome.WITHDRAWN, "the withdrawal"),
    )


@act
def close_unidentified(request: HttpRequest, ticket: Ticket) -> HttpResponse:
    def do(said: dict[str, Any]) -> str:
        deciding.propose_unidentified(ticket=ticket, actor=staff(request), **said)
        return f"Proposed: a colleague reviews the closing of {ticket}."

    return act_page(
        request,
        ticket,
        bound(CloseUnidentifiedForm, request, ticket),
        do,
        name="close_unidentified",
        button="Propose the closing",
        will=[
            _time_to_answer(ticket),
            "A colleague reviews it. The person is told, and the restriction ends only when that letter is sent.",
        ],
        warnings=warnings_of(ticket, writes=True),
        to_send=_closing_letter(
            ticket, State.CLOSED_UNIDENTIFIED, Outcome.UNIDENTIFIED, "the reasons"
        ),
    )


def _time_to_answer(ticket: Ticket) -> str:
    """How long silence has to last; empty when it has, or nobody was asked."""
    if ticket.state != State.IDENTITY_CHECK:
        return ""
    if ticket.identity_asked_on is None:
        return "The identity request has not been sent yet: silence means nothing so far."
    until = ticket.identity_asked_on + dt.timedelta(days=deadlines.IDENTITY_WAIT_DAYS)
    if today() >= until:
        return ""
    return (
        f"The person has until {deadlines.in_words(until)} to answer: silence means nothing before."
    )


def _closing_letter(
    ticket: Ticket, state: State, outcome: Outcome, gap: str
) -> Callable[[dict[str, Any]], list[Preview]]:
    def to_send(known: dict[str, Any]) -> list[Preview]:
        purposes = ticket.objections.values_list("purpose", flat=True)
        evidence = or_gap(known.get("evidence", ""), gap)
        return outcome_letters(
            [ticket], state, dict.fromkeys(purposes, outcome), {NoteKind.EVIDENCE: evidence}
        )

    return to_send


@act
def close_abuse(request: HttpRequest, ticket: Ticket) -> HttpResponse:
    def do(said: dict[str, Any]) -> str:
        deciding.propose_abuse(ticket=ticket, actor=staff(request), **said)
        return f"Proposed: a colleague reviews the closing of {ticket} as abuse."

    return act_page(
        request,
        ticket,
        bound(CloseAbuseForm, request, ticket),
        do,
        name="close_abuse",
        button="Propose the closing",
        will=[
            "A colleague reviews it. Nobody is written to, and what was written is erased later as everywhere.",
            f"{states.effect_in_words(ticket)} Nobody is let in again without a letter.",
        ],
    )


@act
def review(request: HttpRequest, ticket: Ticket) -> HttpResponse:
    """The second person sees what the first wrote, and the letter as it will be sent."""
    proposal = checks.waiting_proposal(ticket)
    is_own = proposal is not None and proposal.proposed_by_id == staff(request).pk

    def do(said: dict[str, Any]) -> str:
        if proposal is None:
            raise AlreadySettled(
                "Nothing waits for a second person: somebody has decided on it already."
            )
        deciding.review(proposal=proposal, actor=staff(request), **said)
        if said["verdict"] == Verdict.RETURNED:
            return (
                f"Taken back: what you wrote is kept for you with {ticket}."
                if is_own
                else f"Sent back: {ticket} is now the first task of {proposal.proposed_by.get_username()}."
            )
        if ticket.is_set_aside:
            return f"Approved: {ticket} is closed as abuse. Nobody is written to."
        tasks.hint()
        ending = ending_of(State(proposal.state), proposal.outcomes)
        return f"Approved: {ticket} is {ending}; the letter is on its way."

    def to_send(known: dict[str, Any]) -> list[Preview]:
        if proposal is None:
            return []
        if ticket.is_set_aside:
            raise NotAllowedHere("None: it is closed as abuse, and nobody is written to.")
        together = same_person(ticket).filter(reference__in=proposal.also)
        words = deciding.words_of(proposal)
        return outcome_letters([ticket, *together], State(proposal.state), proposal.outcomes, words)

    refuses = proposal is not None and Outcome.REFUSED in proposal.outcomes.values()
    upholds = proposal is not None and Outcome.UPHELD in proposal.outcomes.values()
    return act_page(
        request,
        ticket,
        bound(ReviewForm, request, ticket, is_own=is_own),
        do,
        name="review",
        button="Record your word",
        will=[
            "You proposed it yourself: a colleague reviews it. You can take it back."
            if is_own
            else "",
            "Approved, the ticket is closed as abuse: no letter, and the restriction stays."
            if ticket.is_set_aside
            else "Approved, the ticket is closed and the letter is queued. The restriction ends when the letter is"
            " sent, not before.",
            "Sent back, the ticket stays as it is, and it is the first task of who proposed it, with your reason and what"
            " was written.",
        ],
        warnings=warnings_of(
            ticket, writes=not ticket.is_set_aside, upholds=upholds, refuses=refuses
        ),
        to_send=to_send,
        shows_dossier=True,
        **dossier_of(ticket),
        proposal=proposal,
        proposed=proposed_in_words(proposal, with_words=True) if proposal else {},
        taken_up=sent_back.changes_in(proposal) if proposal else None,
    )


# --- Words and files ----------------------------------------------------------------------------


@act
def note(request: HttpRequest, ticket: Ticket) -> HttpResponse:
    def do(said: dict[str, Any]) -> str:
        working.note(ticket=ticket, actor=staff(request), **said)
        return "The note is kept."

    return act_page(
        request,
        ticket,
        bound(NoteForm, request, ticket),
        do,
        name="note",
        button="Keep the note",
        will=["It stands in the timeline under your name and is not changed afterwards."],
    )


@act
def attach(request: HttpRequest, ticket: Ticket) -> HttpResponse:
    def do(said: dict[str, Any]) -> str:
        kept = working.attach(ticket=ticket, files=said["attachments"], actor=staff(request))
        return f"Files kept: {len(kept)}."

    return act_page(
        request,
        ticket,
        bound(AttachForm, request, ticket),
        do,
        name="attach",
        will=[
            "They are kept as they came, given out as downloads only, and erased with the person's data."
        ],
    )


@act
def keep_files(request: HttpRequest, ticket: Ticket) -> HttpResponse:
    def do(said: dict[str, Any]) -> str:
        working.keep_files(ticket=ticket, actor=staff(request), **said)
        return "The files are kept."

    last_day = quarantine.last_day(ticket)
    return act_page(
        request,
        ticket,
        bound(VersionedForm, request, ticket),
        do,
        name="keep_files",
        will=[
            "They came with the form, and nobody has confirmed the address: a stranger may have sent them."
            + (f" Unless you keep them they go after {last_day}." if last_day else ""),
            "Kept, they stay with the ticket and are erased with the person's data.",
        ],
    )


@require_GET
@permission_required([*WORK, IDENTITY], raise_exception=True)
def attachment(request: HttpRequest, number: int) -> HttpResponseBase:
    """A file, to keep and not to show."""
    row = get_object_or_404(Attachment.objects.select_related("ticket"), pk=number)
    file = uploads.open_file(row.key)
    record_read(
        staff(request), "attachment.read", subject_of(row.ticket), purpose=row.ticket.reference
    )
    return FileResponse(file, headers=uploads.download_headers(row.name, row.media_type))


# --- The end ------------------------------------------------------------------------------------


@act
def erase(request: HttpRequest, ticket: Ticket) -> HttpResponse:
    def do(said: dict[str, Any]) -> str:
        retention.propose_erasure(ticket=ticket, actor=staff(request), reason=said["reason"])
        return f"Proposed: a colleague reviews the erasure of {ticket}. Nothing is erased yet."

    returned = two_person.last_returned(ChangeKind.ERASURE, ticket.reference)
    initial = {"reason": returned.entry.reason} if returned else {}
    return act_page(
        request,
        ticket,
        bound(EraseForm, request, ticket, reference=ticket.reference, initial=initial),
        do,
        name="erase",
        button="Propose the erasure",
        dangerous=True,
        will=[
            "A colleague reviews it. Nothing is erased before they approve it.",
            *_WHAT_GOES,
        ],
        change_came_back=returned,
    )


_WHAT_GOES = [
    "Name, addresses, statement, files, notes and the texts of letters are then gone for good.",
    "Dates, codes, outcomes and who did what stay: they name nobody.",
]


@act
def review_erasure(request: HttpRequest, ticket: Ticket) -> HttpResponse:
    """The second person's word on an erasure."""
    change = two_person.waiting(ChangeKind.ERASURE, ticket.reference)
    is_own = change is not None and change.proposed_by_id == staff(request).pk

    def do(said: dict[str, Any]) -> str:
        if change is None:
            raise AlreadySettled("No erasure of it waits for a second person.")
        retention.review_erasure(
            change=change, verdict=said["verdict"], actor=staff(request), reason=said["reason"]
        )
        if said["verdict"] == Verdict.APPROVED:
            return f"Approved: the personal data kept with {ticket} is erased."
        if is_own:
            return f"Taken back: the personal data kept with {ticket} stays."
        return f"Sent back: the personal data kept with {ticket} stays."

    return act_page(
        request,
        ticket,
        bound(ReviewForm, request, ticket, is_own=is_own),
        do,
        name="review_erasure",
        button="Record your word",
        dangerous=not is_own,
        will=[
            "You proposed it yourself: a colleague reviews it. You can take it back."
            if is_own
            else "",
            "Approved, it is done at once and cannot be undone:",
            *_WHAT_GOES,
            "Sent back, everything stays, and who proposed it finds your reason.",
        ],
        change=change,
        shows_dossier=True,
        **dossier_of(ticket),
    )


TICKET_PAGES: list[tuple[str, Callable[..., HttpResponseBase], str]] = [
    *(
        (f"<int:number>/{view.__name__.replace('_', '-')}/", view, f"objections_ticket_{view.__name__}")
        for view in (
            take, assign, begin_review, release, ask_identity, record_identity,
            go_on_without_identity, match, link, confirm_address, correct_address, correct_receipt,
            correct_country, extend, decide, withdraw, close_unidentified, close_abuse, review, note, attach,
            keep_files, erase, review_erasure,
        )
    ),
    ("attachments/<int:number>/", attachment, "objections_ticket_attachment"),
    ("letters/<int:number>/", letter_acts.letter, "objections_ticket_letter"),
    ("letters/<int:number>/text/", letter_acts.letter_text, "objections_ticket_letter_text"),
    ("letters/<int:number>/again/", letter_acts.letter_again, "objections_ticket_letter_again"),
    ("letters/<int:number>/repeat/", letter_acts.letter_repeat, "objections_ticket_letter_repeat"),
    ("letters/<int:number>/posted/", letter_acts.letter_posted, "objections_ticket_letter_posted"),
    ("letters/<int:number>/returned/", letter_acts.letter_returned, "objections_ticket_letter_returned"),
]  # fmt: skip
"""(route, view, name) of every page but the ticket's own."""
