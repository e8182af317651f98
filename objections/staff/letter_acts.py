"""Acts on one letter of a ticket: read it, take its text, send it again, repeat it, record it as posted or returned."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.auth.decorators import permission_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_http_methods

from common.staff.forms import ConfirmForm
from common.staff.site import page, staff
from ledger.reads.recording import record_read
from objections import tasks
from objections.acts.act import OFFICER
from objections.acts.previews import warnings_of
from objections.choices import Delivery, LetterKind, LetterState
from objections.clock import deadlines
from objections.errors import WordsErased
from objections.letters import outbox
from objections.models import Letter, Ticket
from objections.staff.act_pages import act_page, bound
from objections.staff.forms import PostedForm, ReturnedForm
from objections.staff.ticket_page import TONES, LetterLine, subject_of, url_of
from objections.ticket import clocks, uploads
from objections.ticket.case import case_of


def _letter(number: int) -> Letter:
    rows = Letter.objects.select_related("ticket__member", "ticket__assignee", "text")
    return get_object_or_404(rows, pk=number)


def of_letter(view: Callable[[HttpRequest, Letter], HttpResponse]) -> Callable[..., HttpResponse]:
    """The page of an act on one letter, for officers."""

    @require_http_methods(["GET", "POST"])
    @permission_required(OFFICER, raise_exception=True)
    @sensitive_post_parameters()
    @wraps(view)
    def acting(request: HttpRequest, number: int) -> HttpResponse:
        return view(request, _letter(number))

    return acting


@require_GET
@permission_required(OFFICER, raise_exception=True)
def letter(request: HttpRequest, number: int) -> HttpResponse:
    """A letter's text and recipient."""
    row = _letter(number)
    record_read(staff(request), "letter.read", subject_of(row.ticket), purpose=row.ticket.reference)
    return page(
        request,
        "admin/objections/ticket/letter.html",
        title=f"{row.ticket}: {row.get_kind_display()}",
        line=LetterLine(row, TONES.get(LetterState(row.state), ""), ""),
        text=getattr(row, "text", None),
        ticket=row.ticket,
        back=url_of(row.ticket),
        back_title=row.ticket.reference,
    )


@require_GET
@permission_required(OFFICER, raise_exception=True)
def letter_text(request: HttpRequest, number: int) -> HttpResponse:
    """The letter as a file, to print and post."""
    row = _letter(number)
    text = getattr(row, "text", None)
    if text is None:
        raise WordsErased(
            f"The personal data of {row.ticket} is erased, this letter's text with it."
        )
    record_read(staff(request), "letter.read", subject_of(row.ticket), purpose=row.ticket.reference)
    headers = uploads.download_headers(f"{row.ticket}-{row.kind}.txt", "text/plain")
    return HttpResponse(
        f"{text.address}\n\n{text.subject}\n\n{text.body}",
        headers={**headers, "Content-Type": "text/plain; charset=utf-8"},
    )


def _what_goes(row: Letter, letter: str) -> str:
    """The message to send: a new link where the letter asks to confirm the address, else the letter itself."""
    if row.kind == LetterKind.CONFIRMATION:
        return "The person gets a fresh link, at the address known now."
    return letter


@of_letter
def letter_again(request: HttpRequest, row: Letter) -> HttpResponse:
    def do(said: dict[str, Any]) -> str:
        outbox.try_again(letter=row, actor=staff(request))
        tasks.hint()
        return "The letter is in the queue again."

    is_failed = row.state == LetterState.FAILED
    return act_page(
        request,
        case_of(row.ticket),
        bound(ConfirmForm, request, row.ticket, title="letter again"),
        do,
        title=f"Try the {row.get_kind_display()} again",
        button="Try it again",
        will=[
            _what_goes(
                row,
                "The letter goes to the address the person has now, with the words it was written with.",
            ),
            "What depends on it still waits until it is sent.",
        ],
        warnings=warnings_of(row.ticket, writes=True),
        why_not=""
        if is_failed
        else f"It is {row.get_state_display()}: only a failed one is tried again.",
    )


@of_letter
def letter_repeat(request: HttpRequest, row: Letter) -> HttpResponse:
    def do(said: dict[str, Any]) -> str:
        outbox.send_again(letter=row, actor=staff(request))
        tasks.hint()
        return f"The {row.get_kind_display()} is in the queue once more."

    return act_page(
        request,
        case_of(row.ticket),
        bound(ConfirmForm, request, row.ticket, title="letter repeat"),
        do,
        title=f"Send the {row.get_kind_display()} once more",
        button="Send it once more",
        will=[
            _what_goes(row, "A copy, word for word, goes to the address the person has now."),
            "What took effect when it was first sent stays as it was.",
        ],
        warnings=warnings_of(row.ticket, writes=True),
        why_not=_why_not_repeated(row),
    )


def _why_not_repeated(row: Letter) -> str:
    if row.state != LetterState.SENT:
        return f"It is {row.get_state_display()}: only a letter that was sent is sent once more."
    if not hasattr(row, "text"):
        return f"The personal data of {row.ticket} is erased, this letter's text with it."
    return ""


@of_letter
def letter_posted(request: HttpRequest, row: Letter) -> HttpResponse:
    def do(said: dict[str, Any]) -> str:
        outbox.record_posted(letter=row, actor=staff(request), **said)
        return f"Recorded: the {row.get_kind_display()} was posted on {said['posted_on']}."

    return act_page(
        request,
        case_of(row.ticket),
        bound(PostedForm, request, row.ticket, title="letter posted"),
        do,
        title=f"Record the {row.get_kind_display()} as posted",
        button="Record as posted",
        will=[
            "That day the letter counts as sent, with everything that waits for it: a pause or an extension"
            " begins, a refused, withdrawn or unidentified objection stops keeping the person out.",
        ],
        warnings=warnings_of(row.ticket, writes=True),
        why_not=_why_not_posted(row),
    )


def _why_not_posted(row: Letter) -> str:
    if row.state == LetterState.FAILED:
        no_street = "No postal address is known: correct the address first."
        return no_street if _has_no_street(row.ticket) else ""
    if row.state != LetterState.WAITING:
        return f"It is {row.get_state_display()}: there is nothing to post."
    return "" if row.delivery == Delivery.POST else "It is on its way by e-mail."


@of_letter
def letter_returned(request: HttpRequest, row: Letter) -> HttpResponse:
    def do(said: dict[str, Any]) -> str:
        outbox.record_returned(letter=row, actor=staff(request), **said)
        return f"Recorded: the {row.get_kind_display()} came back. It can be sent again."

    return act_page(
        request,
        case_of(row.ticket),
        bound(ReturnedForm, request, row.ticket, title="letter returned"),
        do,
        title=f"Record that the {row.get_kind_display()} came back",
        button="It came back",
        will=[
            "The letter counts as one that could not be sent. Nothing is sent by this.",
            _undone_with(row),
            "It takes effect again when it is sent again: correct the address first where that was the reason.",
        ],
        why_not=outbox.why_not_returned(row),
    )


def _undone_with(row: Letter) -> str:
    if row.kind in outbox.OUTCOMES:
        return (
            "The person has no answer: what this letter ended restricts again. Runs frozen meanwhile stay as they"
            " are, and the ticket goes on showing them."
        )
    if row.kind == LetterKind.IDENTITY_REQUEST:
        return "No identity was requested: the clock has not stopped, and silence has no effect."
    if row.kind == LetterKind.EXTENSION:
        base_due = deadlines.in_words(clocks.clock_of(row.ticket).base_due)
        return f"The ticket is not extended: our answer is due by {base_due}, as it was at first."
    return ""


def _has_no_street(ticket: Ticket) -> bool:
    requester = getattr(ticket, "requester", None)
    return requester is not None and not requester.postal_address


LETTER_PAGES: list[tuple[str, Callable[..., HttpResponse], str]] = [
    ("letters/<int:number>/", letter, "objections_ticket_letter"),
    ("letters/<int:number>/text/", letter_text, "objections_ticket_letter_text"),
    ("letters/<int:number>/again/", letter_again, "objections_ticket_letter_again"),
    ("letters/<int:number>/repeat/", letter_repeat, "objections_ticket_letter_repeat"),
    ("letters/<int:number>/posted/", letter_posted, "objections_ticket_letter_posted"),
    ("letters/<int:number>/returned/", letter_returned, "objections_ticket_letter_returned"),
]  # fmt: skip
"""(route, view, name) of the pages of letters."""
