"""Finding a person's tickets, the queue as a file, and what of it waits on the start page."""

from collections.abc import Iterator
from typing import Any

from django import forms
from django.contrib.auth.decorators import permission_required
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from common.staff import start_page
from common.staff.site import page, staff
from consent.references import key_of
from ledger.reads.recording import record_read
from objections.clock.days import day_of, today
from objections.models import Proposal, Ticket
from objections.staff.filters import (
    FAILED,
    MINE,
    OPEN,
    TABS,
    UNMATCHED,
    NamedFilter,
    Tab,
    counts,
    nothing_in,
    of_no_file,
    purposes_of,
)
from objections.ticket.due import answered_in_time, due
from objections.ticket.officers import officer_in_words, officer_of

MAX_FOUND = 200


# --- A person's tickets -------------------------------------------------------------------------


class LookUpForm(forms.Form):
    """Posted, never in an address: the typed text is personal data."""

    person = forms.CharField(
        max_length=254,
        label="E-mail address or account",
        help_text="In full: the address the person writes from, or the product's key of the account."
        " It is kept in no address and in no log.",
        widget=forms.TextInput(
            attrs={"autocomplete": "off", "spellcheck": "false", "autofocus": True}
        ),
    )


@require_http_methods(["GET", "POST"])
@permission_required(["objections.work_ticket", "objections.view_requester"], raise_exception=True)
@sensitive_post_parameters("person")
def look_up(request: HttpRequest) -> HttpResponse:
    """All tickets of one person, linked ones with them. The read is on record, the searched text is not."""
    form = LookUpForm(request.POST or None)
    found: list[Any] | None = None
    if form.is_valid():
        tickets = tickets_of(form.cleaned_data["person"])
        day = today()
        found = [
            (ticket, due(ticket, day), purposes_of(ticket), officer_in_words(ticket))
            for ticket in tickets[: MAX_FOUND + 1]
        ]
        subject = found[0][0].reference if found else "unknown"
        record_read(staff(request), "ticket.looked_up", subject, purpose="admin")
    return page(
        request,
        "admin/objections/ticket/look_up.html",
        title="Find a person's tickets",
        form=form,
        found=found and found[:MAX_FOUND],
        is_asked=found is not None,
        has_more=found is not None and len(found) > MAX_FOUND,
        button="Find",
        back=reverse("admin:objections_ticket_changelist"),
        back_title="Objection tickets",
    )


def tickets_of(person: str) -> QuerySet[Ticket]:
    """The tickets of an e-mail address or an account, and those linked to them, the first one first."""
    worked = Ticket.objects.worked()
    # One question an index each: together they would read every row.
    own = [
        one
        for rows in (
            worked.filter(requester__email=person.lower()),
            worked.filter(requester__account_named=key_of(person)),
            worked.filter(member__reference__account_key=key_of(person)),
        )
        for one in rows.values_list("pk", "linked_to")[: MAX_FOUND + 1]
    ]
    first = {linked_to or number for number, linked_to in own}
    return (
        worked.filter(
            Q(pk__in={number for number, _ in own}) | Q(pk__in=first) | Q(linked_to__in=first)
        )
        .with_officer_known()
        .select_related("assignee")
        .prefetch_related("objections")
        .order_by("pk")
    )


# --- A file -------------------------------------------------------------------------------------

HEADER = [
    "reference", "state", "received", "due", "refuse_by", "closed", "answered", "answered_in_time",
    "regime", "country", "purposes", "outcomes", "kind", "channel", "verified", "assignee", "unassigned",
]  # fmt: skip


def lines(tickets: Any) -> Iterator[list[object]]:
    """Tickets (a queryset of them) as rows of a file: dates, codes and words, nothing about who wrote."""
    rows = tickets.with_officer_known().select_related("assignee").prefetch_related("objections")
    for ticket in rows.iterator(chunk_size=2000):
        objections = sorted(ticket.objections.all(), key=lambda one: one.purpose)
        yield [
            ticket.reference,
            ticket.ending,
            ticket.received_on,
            ticket.due_on,
            ticket.refuse_by,
            ticket.closed_at and day_of(ticket.closed_at),
            ticket.answered_at and day_of(ticket.answered_at),
            answered_in_time(ticket),
            ticket.regime,
            ticket.country,
            " ".join(one.purpose for one in objections),
            " ".join(one.outcome or "none" for one in objections),
            ticket.kind,
            ticket.channel,
            ticket.is_verified,
            ticket.assignee and ticket.assignee.get_username(),
            ticket.is_open and officer_of(ticket) is None,
        ]


# --- Start page ---------------------------------------------------------------------------------

SHOWN = 6
_TONES = {"overdue": "danger", "due-this-week": "warning", UNMATCHED: "warning", FAILED: "danger"}
_NOT_FOR_AUDITORS = {MINE}


def url_of(tab: Tab | str = "") -> str:
    address = reverse("admin:objections_ticket_changelist")
    name = tab.name if isinstance(tab, Tab) else tab
    return f"{address}?queue={name}" if name else address


@start_page.panel("objections.view_ticket", order=5)
def queue_panel(request: HttpRequest) -> start_page.Panel:
    found = counts(staff(request))
    works = request.user.has_perm("objections.work_ticket")
    shown = [
        tab for tab in TABS if found.get(tab.name) and (works or tab.name not in _NOT_FOR_AUDITORS)
    ]
    links = [("The queue", url_of())]
    if works and request.user.has_perm("objections.view_requester"):
        links.append(("Find a person's tickets", reverse("admin:objections_ticket_look_up")))
    if works:
        links.append(("Key in an objection", reverse("admin:objections_ticket_add")))
    links.append(("Figures", reverse("admin:objections_figures")))
    lines = [
        start_page.PanelLine(
            f"{tab.title}: {found[tab.name]:,}", url_of(tab), tone=_TONES.get(tab.name, "")
        )
        for tab in shown
    ]
    unnamed = Ticket.objects.open().filter(of_no_file()).count()
    if unnamed:
        lines.append(
            start_page.PanelLine(
                f"About an account that no file has named: {unnamed:,}",
                f"{url_of(OPEN)}&{NamedFilter.parameter_name}={NamedFilter.NO}",
                "The reference may be mistyped.",
                "warning",
            )
        )
    return start_page.Panel(
        "Objections",
        lines,
        nothing_in(TABS[0]),
        links,
    )


@start_page.panel("objections.work_ticket", order=6)
def own_tickets_panel(request: HttpRequest) -> start_page.Panel:
    day = today()
    mine = Ticket.objects.open().of(request.user).order_by("due_on", "pk")
    return start_page.Panel(
        "Your next tickets",
        [_line(ticket, day) for ticket in mine[:SHOWN]],
        _none_is_yours() if not mine.exists() else "",
        [("Yours", url_of(MINE)), ("Unassigned", url_of("unassigned"))],
    )


def _none_is_yours() -> str:
    is_open = Ticket.objects.open()
    count, unassigned = is_open.count(), is_open.unassigned().count()
    if not count:
        return nothing_in(TABS[0])
    return f"None of the {count:,} open tickets is yours; {unassigned:,} of them are unassigned."


def _line(ticket: Ticket, day: Any) -> start_page.PanelLine:
    said = due(ticket, day)
    words = "; ".join([ticket.get_state_display(), said.words, *said.also])
    url = reverse("admin:objections_ticket_change", args=[ticket.pk])
    return start_page.PanelLine(ticket.reference, url, words, said.tone)


@start_page.panel("objections.work_ticket", order=6)
def outcomes_panel(request: HttpRequest) -> start_page.Panel:
    waiting = (
        Proposal.objects.waiting()
        .exclude(proposed_by=staff(request))
        .select_related("ticket", "proposed_by")
        .order_by("ticket__due_on", "pk")
    )
    return start_page.Panel(
        "Outcomes waiting for your word",
        [
            start_page.PanelLine(
                f"{one.ticket}: {one.get_state_display()}",
                reverse("admin:objections_ticket_change", args=[one.ticket_id]),
                f"proposed by {one.proposed_by.get_username()}",
                "warning",
            )
            for one in waiting[:SHOWN]
        ],
        "No outcome that a colleague proposed waits for you.",
        [("All of them", url_of("second-person"))],
    )
