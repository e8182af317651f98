"""What the pages of acts on a ticket have in common: who may, the form with its version, the letter as it would be sent."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
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
from ledger.errors import InvalidInput, LedgerError, Refusal
from ledger.models import Entry
from ledger.reads.recording import record_read
from objections.acts import deciding, sent_back, steps
from objections.choices import Delivery, LetterKind, State
from objections.clock.days import today
from objections.errors import NotAllowedHere
from objections.letters import composing
from objections.models import Proposal, Ticket
from objections.staff.ticket_page import (
    IDENTITY,
    WORK,
    assigned_in_words,
    case_of,
    statement_of,
    subject_of,
    tone_of,
    url_of,
)
from objections.ticket.due import due
from objections.ticket.timeline import in_words

MAX_TOGETHER = 100
"""Linked tickets offered with a decision; what is left is decided with the next one."""

Act = Callable[[HttpRequest, Ticket], HttpResponse]


def act(view: Act) -> Callable[..., HttpResponse]:
    """The page of an act on one ticket: for officers; what its form holds is in no error report."""

    @require_http_methods(["GET", "POST"])
    @permission_required([*WORK, IDENTITY], raise_exception=True)
    @sensitive_post_parameters()
    @wraps(view)
    def acting(request: HttpRequest, number: int) -> HttpResponse:
        rows = Ticket.objects.worked().select_related("member", "assignee", "linked_to")
        return view(request, get_object_or_404(rows, pk=number))

    return acting


@dataclass(frozen=True)
class Preview:
    """A letter as it would be sent, and where to."""

    about: str
    """The tickets it answers."""
    is_proven: bool
    """Whether the address is known to be the person's."""
    kind: str
    by: str
    to: str
    subject: str
    body: str


def preview(ticket: Ticket, kind: str, also: Sequence[Ticket] = (), /, **more: str) -> Preview:
    """Raises WordsErased."""
    requester = composing.requester_of(ticket)
    _, text = composing.compose(ticket, kind, **more)
    by = Delivery.EMAIL if requester.email else Delivery.POST
    to = requester.email or f"{requester.name}\n{requester.postal_address}".strip()
    about = ", ".join(str(one) for one in [ticket, *also])
    return Preview(
        about=about,
        is_proven=composing.is_proven(ticket),
        kind=LetterKind(kind).label,
        by=by.label,
        to=to,
        subject=text.subject,
        body=text.body,
    )


def outcome_letters(
    tickets: Sequence[Ticket], state: State, outcomes: Mapping[str, str], words: Mapping[str, str]
) -> list[Preview]:
    """Every letter that an outcome brings, with those of the tickets decided together."""
    for one in tickets[1:]:
        if not {row.purpose for row in one.objections.all()} <= set(outcomes):
            raise InvalidInput(f"{one} names a purpose that {tickets[0]} does not.", field="also")
    planned = deciding.outcome_letters(tickets, state, outcomes, words)
    if not planned:
        composing.requester_of(tickets[0])
    return [preview(one.ticket, one.kind, one.also, **one.values) for one in planned]


def or_gap(text: str, what: str) -> str:
    """What was typed; where nothing was, the letter shows what is missing."""
    return text or f"[{what}: not written yet]"


def bound(kind: type[forms.Form], request: HttpRequest, ticket: Ticket, **more: Any) -> Any:
    """The form with what was typed; else with the version its reader sees now, the words of a proposal that came back,
    and over them those of the reader's own draft."""
    name = _act_of(request)
    came_back = sent_back.words_for(ticket, name) if request.method != "POST" else {}
    initial = {"version": ticket.version, **more.pop("initial", {}), **came_back}
    title = f"{ticket}: {steps.TITLES.get(name, name.replace('_', ' ')).lower()}"
    return drafts.form_for(
        kind, request, subject=ticket.reference, title=title, initial=initial, **more
    )


def _act_of(request: HttpRequest) -> str:
    match = request.resolver_match
    return (match.url_name or "").removeprefix("objections_ticket_") if match else ""


def came_back(ticket: Ticket, name: str) -> Proposal | None:
    """The proposal that came back, on the page of the act it was made by."""
    found = sent_back.last_of(ticket)
    return found if found and sent_back.page_of(found) == name else None


def act_page(
    request: HttpRequest,
    ticket: Ticket,
    form: forms.Form,
    do: Callable[[dict[str, Any]], str],
    *,
    name: str = "",
    title: str = "",
    button: str = "",
    will: list[str],
    warnings: Sequence[str] = (),
    to_send: Callable[[dict[str, Any]], list[Preview]] | None = None,
    shows: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
    why_not: str = "",
    **context: Any,
) -> HttpResponse:
    """Do the act if it was posted, else show its page. Where `why_not`, or the rule of the step `name`, says why not, it
    is not done either.

    `do` takes what the form says and returns the sentence for a message. `to_send` and `shows` are given what is
    known so far, and show the letters and what else the act would bring.
    """
    title = title or steps.TITLES[name]
    is_preview = "preview" in request.POST
    why_not = why_not or (steps.why_not(case_of(request, ticket), name) if name else "")
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
        statement=statement_of(ticket) if to_send else "",
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


def incidents_in_words(count: int) -> str:
    if not count:
        return "No run used the data since it was received."
    return f"{count} run{'' if count == 1 else 's'} used the data since it was received: see Incidents."
