"""The page of an act on a ticket: who may, the form with its version, the letter as it would be sent.

GET shows what will happen; POST does it by the act's own function. "Preview the letter" posts the same form and records
nothing. Every view asks for its permission itself: the admin alone lets all staff in.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from common import drafts
from common.errors import StaleEdit
from common.staff.site import VersionedForm, page, refusal_shown_in, staff
from ledger.errors import LedgerError, Refusal
from ledger.models import Entry
from ledger.reads.recording import record_read
from objections import tasks
from objections.acts import sent_back
from objections.acts.act import Act, ActForm, Said
from objections.acts.outcomes import act_of
from objections.acts.previews import Preview
from objections.clock.days import today
from objections.errors import NotAllowedHere
from objections.models import Proposal, Ticket
from objections.staff.ticket_page import (
    assigned_in_words,
    statement_of,
    subject_of,
    tone_of,
    url_of,
)
from objections.ticket.case import Case, case_of
from objections.ticket.due import due
from objections.ticket.timeline import in_words


def view_of(act: Act) -> Callable[..., HttpResponse]:
    """The page of an act on one ticket: for officers; what its form holds is in no error report."""

    @require_http_methods(["GET", "POST"])
    @permission_required(act.permission, raise_exception=True)
    @sensitive_post_parameters()
    def acting(request: HttpRequest, number: int) -> HttpResponse:
        rows = Ticket.objects.worked().select_related("member", "assignee", "linked_to")
        return _page_of(act, request, case_of(get_object_or_404(rows, pk=number)))

    acting.__name__, acting.__doc__ = act.name, act.do.__doc__
    return acting


def _page_of(act: Act, request: HttpRequest, case: Case) -> HttpResponse:
    assert act.page is not None
    ticket, actor = case.ticket, staff(request)
    shown = act.page(case, actor)
    form: ActForm = bound(
        act.form,
        request,
        ticket,
        name=act.name,
        title=act.title,
        initial=shown.initial,
        **shown.form_takes,
    )

    def do(known: Said) -> str:
        said = {**form.said(), "actor": actor}
        result = act.do(ticket=ticket, **said)
        if act.letters:
            tasks.hint()
        return act.done(case, said, result)

    return act_page(
        request,
        case,
        form,
        do,
        name=act.name,
        title=act.title,
        button=act.button,
        why_not=act.why_not(case, actor),
        will=shown.will,
        warnings=shown.warnings,
        to_send=partial(shown.to_send, form) if shown.to_send else None,
        shows=shown.shows,
        dangerous=shown.dangerous,
        **shown.context,
    )


def bound(
    kind: type[forms.Form],
    request: HttpRequest,
    ticket: Ticket,
    *,
    name: str = "",
    title: str,
    initial: Mapping[str, Any] | None = None,
    **more: Any,
) -> Any:
    """The form with what was typed; else with the version its reader sees now, the text of a proposal that was sent back
    to the act `name`, and over them those of the reader's own draft."""
    came_back = sent_back.words_for(ticket, name) if request.method != "POST" else {}
    return drafts.form_for(
        kind,
        request,
        subject=ticket.reference,
        title=f"{ticket}: {title.lower()}",
        initial={"version": ticket.version, **(initial or {}), **came_back},
        **more,
    )


def came_back(ticket: Ticket, name: str) -> Proposal | None:
    """The proposal that came back, on the page of the act it was made by."""
    found = sent_back.last_of(ticket)
    return found if found and act_of(found) == name else None


def act_page(
    request: HttpRequest,
    case: Case,
    form: forms.Form,
    do: Callable[[dict[str, Any]], str],
    *,
    name: str = "",
    title: str,
    button: str = "",
    why_not: str,
    will: Sequence[str],
    warnings: Sequence[str] = (),
    to_send: Callable[[dict[str, Any]], list[Preview]] | None = None,
    shows: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
    **context: Any,
) -> HttpResponse:
    """Do the act if it was posted, else show its page. Where `why_not` says why not, it is not done either.

    `do` takes what the form says and returns the sentence for a message. `to_send` and `shows` are given what is
    known so far, and show the letters and what else the act would bring.
    """
    ticket = case.ticket
    is_preview = "preview" in request.POST
    if form.is_valid() and not is_preview:
        with refusal_shown_in(form):
            if why_not:
                raise NotAllowedHere(f"{why_not} {_changed_since(form, ticket)}".strip())
            try:
                done = do(form.cleaned_data)
            except StaleEdit as refusal:
                ticket.refresh_from_db()
                assert isinstance(form, VersionedForm) and ticket.version is not None
                changed = _changed_since(form, ticket)
                form.look_again(ticket.version)
                form.add_error(
                    None,
                    " ".join(
                        filter(None, [str(refusal), changed, "What you typed is kept below."])
                    ),
                )
            else:
                drafts.done(form)
                messages.success(request, done)
                return HttpResponseRedirect(url_of(ticket))
    known = dict(form.cleaned_data) if form.is_bound else {}
    if is_preview:
        form.errors.clear()
    record_read(staff(request), "ticket.read", subject_of(ticket), purpose=ticket.reference)
    return page(
        request,
        "admin/objections/ticket/act.html",
        title=f"{ticket}: {title[0].lower()}{title[1:]}",
        act_title=title,
        ticket=ticket,
        tone=tone_of(ticket),
        assigned=assigned_in_words(ticket, staff(request)),
        due=due(ticket, today()),
        why_not=why_not,
        form=None if why_not and request.method == "GET" else form,
        button=button or title,
        will=will,
        warnings=warnings,
        **_previewed(to_send, known),
        has_letter=to_send is not None or shows is not None,
        has_words=(to_send is not None or shows is not None) and name != "review",
        shows_change=shows is not None,
        statement=statement_of(case) if to_send else "",
        came_back=came_back(ticket, name),
        preview_button="Preview the letter" if to_send else "Show what it changes",
        is_preview=is_preview,
        back=url_of(ticket),
        back_title=ticket.reference,
        **_changed(shows, known),
        **context,
    )


def _previewed(
    to_send: Callable[[dict[str, Any]], list[Preview]] | None, known: dict[str, Any]
) -> dict[str, Any]:
    try:
        return {"letters": to_send(known) if to_send else []}
    except Refusal as refusal:
        return {"letters": [], "no_letter": str(refusal)}


def _changed(
    shows: Callable[[dict[str, Any]], dict[str, Any]] | None, known: dict[str, Any]
) -> dict[str, Any]:
    try:
        return shows(known) if shows else {}
    except Refusal as refusal:
        return {"no_change": str(refusal)}
    except (LedgerError, OSError):
        return {
            "no_change": "The runs cannot be read now, so it is not known which of them it is about."
        }


def _changed_since(form: forms.Form, ticket: Ticket) -> str:
    """The latest act on the ticket, if its reader has not seen it."""
    seen = form.cleaned_data.get("version", ticket.version)
    return _latest_act(ticket) if seen != ticket.version else ""


def _latest_act(ticket: Ticket) -> str:
    entry = Entry.objects.filter(subject=ticket.reference).order_by("-sequence").first()
    if entry is None:
        return ""
    what = in_words(entry)
    return f"The latest: {what}, by {entry.actor_name}, {entry.recorded_at:%Y-%m-%d %H:%M} UTC."
