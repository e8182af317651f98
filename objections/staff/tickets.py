"""The desk in the admin: the queue and the ticket to look at. What is done to them are pages of their own."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ORDER_VAR
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.http import urlencode
from django.utils.safestring import SafeString

from common.staff.list_exports import ExportedList
from common.staff.parameters import StrictList
from common.staff.site import ExactSearchAdmin, HistoryModelAdmin, badge, site, staff
from consent import countries
from consent.staff.lists import CountryFilter, OfAMember
from objections import acts
from objections.clock.days import today
from objections.letters import effects
from objections.models import Objection, Ticket
from objections.staff import bulk, figures, queue
from objections.staff.act_pages import view_of
from objections.staff.files import attachment
from objections.staff.filters import (
    CLOSED,
    MINE,
    TABS,
    NamedFilter,
    PurposeFilter,
    QueueFilter,
    StateFilter,
    counts,
    in_tab,
    marked,
    nothing_in,
    purposes_of,
    tab_of,
)
from objections.staff.key_in import key_in
from objections.staff.letter_pages import LETTER_PAGES
from objections.staff.letters import ProposalAdmin  # noqa: F401  registers letters, proposals
from objections.staff.ticket_page import ticket_context
from objections.ticket.due import due
from objections.ticket.officers import officer_in_words, officer_of

FIRST_YEAR = 2018
"""No ticket is older than the GDPR."""


class QueueList(StrictList):
    """Marks the column it is sorted by; closed tickets are sorted by their closing, which is no column."""

    def get_ordering_field_columns(self) -> Any:
        is_closed = self.params.get(QueueFilter.parameter_name) == CLOSED
        if is_closed and ORDER_VAR not in self.params:
            return {}
        return super().get_ordering_field_columns()


@admin.register(Ticket, site=site)
class TicketAdmin(OfAMember, ExportedList, ExactSearchAdmin, HistoryModelAdmin):
    """The queue, by the day an answer is due, and a ticket's page. Neither the list nor its file names a person."""

    read_on_record = True
    list_filter = [
        QueueFilter,
        StateFilter,
        PurposeFilter,
        NamedFilter,
        CountryFilter,
        "regime",
        "channel",
        "kind",
    ]
    search_fields = ["reference"]
    search_help_text = (
        "A reference: OBJ-2026-000431, its beginning, or only its number. Not a name or an address:"
        " what is typed here ends up in the address of the page."
    )
    list_select_related = ["assignee"]
    ordering = ["due_on", "id"]
    sortable_by = ["due_words", "received_on", "country_name", "assignee_name"]
    actions = [bulk.action_of(act) for act in acts.FOR_MANY]
    actions_selection_counter = True
    fields = ["reference", "received_at", "state", "kind", "channel", "country"]
    change_list_template = "admin/objections/ticket/change_list.html"
    change_form_template = "admin/objections/ticket/change_form.html"
    pages = [
        ("look-up/", queue.look_up, "objections_ticket_look_up"),
        ("figures/", figures.show, "objections_figures"),
        ("take/", bulk.take_one, "objections_ticket_take_one"),
        ("bulk/<slug:name>/", bulk.do, "objections_ticket_bulk"),
        *(
            (
                f"<int:number>/{act.name.replace('_', '-')}/",
                view_of(act),
                f"objections_ticket_{act.name}",
            )
            for act in acts.WITH_PAGE
        ),
        ("attachments/<int:number>/", attachment, "objections_ticket_attachment"),
        *LETTER_PAGES,
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return marked(Ticket.objects.worked()).prefetch_related("objections")

    def get_ordering(self, request: HttpRequest) -> Any:
        tab = tab_of(request)
        if tab and tab.name == MINE:
            # What came back to its author is their first task.
            return ["-is_sent_back", *self.ordering]
        # Each has an index of just this order.
        return ["-closed_at", "-id"] if tab and tab.name == CLOSED else self.ordering

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> Any:
        return QueueList

    def has_work_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("objections.work_ticket")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self.has_work_permission(request)

    add_page = staticmethod(key_in)

    def page_context(self, request: HttpRequest, row: Any) -> dict[str, Any]:
        # The passing of time is no act of the reader; an auditor's look records nothing but itself.
        if row.delivers_at is not None and self.has_work_permission(request):
            effects.count_delivered(row)
            row.refresh_from_db()
        return ticket_context(request, row)

    # --- The list -------------------------------------------------------------------------------

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        officer = staff(request)
        return super().changelist_view(
            request,
            {
                "title": "Objection tickets",
                "tab": tab_of(request),
                "tabs": TABS,
                # Asked by the template only: the POST of an action does not count anything.
                "counts": lambda: counts(officer),
                "nothing": lambda: self._nothing(request),
                "may_look_up": officer.has_perms(
                    ["objections.work_ticket", "objections.view_requester"]
                ),
                **(extra_context or {}),
            },
        )

    def _nothing(self, request: HttpRequest) -> dict[str, Any]:
        """Why the list is empty: said of the search, of the filters, or of the whole part, each with its number."""
        tab, officer, term = tab_of(request), staff(request), request.GET.get("q", "").strip()
        if term:
            found = self.rows_named(Ticket.objects.worked(), term).count()
            if not found:
                return {"is_unknown": True, "tickets": Ticket.objects.worked().count()}
            return {"elsewhere": found, "there": urlencode({"q": term})}
        inside = in_tab(Ticket.objects.worked(), tab, officer).count() if tab else 0
        return {"inside": inside, "sentence": nothing_in(tab) if tab and not inside else ""}

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        columns: list[Any] = [
            "reference",
            "due_words",
            "state_word",
            "purposes",
            "country_name",
            "came_by",
            "assignee_name",
            "received_on",
        ]
        if self.has_work_permission(request):
            columns[6] = self._assignee_or_take(request)
        return columns

    def get_list_display_links(self, request: HttpRequest, list_display: Any) -> Any:
        return ["reference"]

    def rows_named(self, rows: QuerySet[Any], term: str) -> QuerySet[Any]:
        if term.isascii() and term.isdecimal() and len(term) <= 9:
            years = range(FIRST_YEAR, timezone.now().year + 1)
            return rows.filter(reference__in=[f"OBJ-{year}-{int(term):06d}" for year in years])
        if re.fullmatch(r"OBJ-[0-9-]{0,12}", term.upper()):
            return rows.filter(reference__startswith=term.upper())
        return rows.none()

    @admin.display(description="due", ordering="due_on")
    def due_words(self, ticket: Ticket) -> SafeString:
        said = due(ticket, today())
        also = format_html_join(
            "", '<span class="also">{}</span>', ((words,) for words in said.also)
        )
        day = ticket.due_on
        assert day is not None
        date = format_html('<span class="day">{}</span>', f"{day:%a} {day.day} {day:%b %Y}")
        return format_html("{} {}{}", badge(said.words, said.tone), date, also)

    @admin.display(description="state")
    def state_word(self, ticket: Any) -> SafeString:
        marks = []
        if ticket.is_proposed:
            marks.append(("outcome waits for a second person",))
        if ticket.is_sent_back:
            marks.append(("outcome was sent back",))
        if ticket.has_failed_letter:
            marks.append(("a letter could not be sent",))
        if ticket.is_set_aside:
            marks.append(("set aside",))
        if ticket.is_open and ticket.member_id is None:
            marks.append(("not matched: excludes no member yet",))
        also = format_html_join("", '<span class="also">{}</span>', marks)
        return format_html("{}{}", ticket.get_state_display(), also)

    @admin.display(description="purposes")
    def purposes(self, ticket: Ticket) -> str:
        return purposes_of(ticket)

    @admin.display(description="country", ordering="country")
    def country_name(self, ticket: Ticket) -> str:
        return countries.name(ticket.country) if ticket.country else "not known"

    @admin.display(description="came by")
    def came_by(self, ticket: Ticket) -> SafeString:
        # Omits the operator who keyed it in: the column is narrow.
        channel = ticket.get_channel_display().partition(",")[0].removeprefix("the ")
        known = "verified" if ticket.is_verified else "not verified"
        return format_html('{}<span class="also">{}</span>', channel, known)

    @admin.display(description="assigned to", ordering="assignee__username")
    def assignee_name(self, ticket: Ticket) -> str:
        return officer_in_words(ticket)

    def _assignee_or_take(self, request: HttpRequest) -> Any:
        """The column with a button that takes an unassigned ticket, and comes back to the list as it is."""
        filters = self.get_preserved_filters(request)
        take = reverse("admin:objections_ticket_take_one")
        address = f"{take}?{filters}" if filters else take

        @admin.display(description="assigned to", ordering="assignee__username")
        def assignee_name(ticket: Ticket) -> SafeString | str:
            if officer_of(ticket) or not ticket.is_open:
                return self.assignee_name(ticket)
            left = officer_in_words(ticket).partition(": ")[2]
            return format_html(
                '{}<button type="submit" class="take" formaction="{}" name="tickets" value="{}:{}"'
                ' aria-label="Take {}">Take</button>',
                format_html('<span class="also">{}</span>', left) if left else "",
                address,
                ticket.pk,
                ticket.version,
                ticket.reference,
            )

        return assignee_name

    @admin.display(description="received", ordering="received_at")
    def received_on(self, ticket: Ticket) -> str:
        day = ticket.received_on
        return f"{day.day} {day:%b %Y}"

    def export_header(self) -> Sequence[str]:
        return queue.HEADER

    def export_rows(self, rows: QuerySet[Any]) -> Iterable[Sequence[object]]:
        return queue.lines(rows)


@admin.register(Objection, site=site)
class ObjectionAdmin(OfAMember, HistoryModelAdmin):
    """The effect of tickets on purposes, those of test accounts with them."""

    read_on_record = True
    list_display = ["ticket", "purpose", "effect", "member"]
    list_filter = ["purpose", "effect"]
    list_select_related = ["ticket", "member"]
    fields = ["ticket", "purpose", "effect", "member"]
