"""The pages of one letter of a ticket: its text, and the acts on it."""

from collections.abc import Callable

from django.contrib.auth.decorators import permission_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_http_methods

from common.staff.site import page, staff
from ledger.reads.recording import record_read
from objections import tasks
from objections.acts import on_letters
from objections.acts.act import OFFICER
from objections.acts.on_letters.letter_act import LetterAct, Said
from objections.acts.previews import warnings_of
from objections.choices import LetterState
from objections.errors import PersonalDataErased
from objections.models import Letter
from objections.staff.act_pages import act_page, bound
from objections.staff.ticket_page import TONES, LetterLine, subject_of, url_of
from objections.ticket import uploads
from objections.ticket.case import case_of


def _letter(number: int) -> Letter:
    rows = Letter.objects.select_related("ticket__member", "ticket__assignee", "text")
    return get_object_or_404(rows, pk=number)


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
        raise PersonalDataErased(
            f"The personal data of {row.ticket} is erased, this letter's text with it."
        )
    record_read(staff(request), "letter.read", subject_of(row.ticket), purpose=row.ticket.reference)
    headers = uploads.download_headers(f"{row.ticket}-{row.kind}.txt", "text/plain")
    return HttpResponse(
        f"{text.address}\n\n{text.subject}\n\n{text.body}",
        headers={**headers, "Content-Type": "text/plain; charset=utf-8"},
    )


def view_of(act: LetterAct) -> Callable[..., HttpResponse]:
    """The page of an act on one letter: for officers; what its form holds is in no error report."""

    @require_http_methods(["GET", "POST"])
    @permission_required(OFFICER, raise_exception=True)
    @sensitive_post_parameters()
    def acting(request: HttpRequest, number: int) -> HttpResponse:
        row = _letter(number)
        kind = row.get_kind_display()

        def do(said: Said) -> str:
            act.do(letter=row, actor=staff(request), **said)
            if act.writes:
                tasks.hint()
            return act.done.format(letter=kind, **said)

        return act_page(
            request,
            case_of(row.ticket),
            bound(act.form, request, row.ticket, title=f"letter {act.name}"),
            do,
            title=act.title.format(letter=kind),
            button=act.button,
            will=act.will(row),
            warnings=warnings_of(row.ticket, writes=True) if act.writes else [],
            why_not=act.why_not(row),
        )

    acting.__name__, acting.__doc__ = act.name, act.do.__doc__
    return acting


LETTER_PAGES: list[tuple[str, Callable[..., HttpResponse], str]] = [
    ("letters/<int:number>/", letter, "objections_ticket_letter"),
    ("letters/<int:number>/text/", letter_text, "objections_ticket_letter_text"),
    *(
        (f"letters/<int:number>/{act.name}/", view_of(act), f"objections_ticket_letter_{act.name}")
        for act in on_letters.ALL
    ),
]
"""(route, view, name) of the pages of letters."""
