"""Letters, their texts, proposed outcomes and incidents in the admin: to read. Acts are pages of their own."""

from collections.abc import Collection
from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import SEARCH_VAR
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from common.staff.list_filters import OptionFilter
from common.staff.site import ExactSearchAdmin, HistoryModelAdmin, SealedModelAdmin, badge, site
from consent.choices import Purpose
from objections.acts.on_letters.record_returned import RETURNED
from objections.choices import ChangeVerdict, Delivery, LetterState, Outcome
from objections.models import Letter, LetterTemplate, Proposal
from objections.staff import letter_texts
from objections.staff.ticket_page import LetterLine, subject_of

TICKET_SEARCH = "The reference of a ticket in full, for example OBJ-2026-000431."


def _ticket_link(row: Any) -> SafeString:
    address = reverse("admin:objections_ticket_change", args=[row.ticket_id])
    return format_html('<a href="{}">{}</a>', address, row.ticket)


class TicketSearchAdmin(ExactSearchAdmin):
    """Rows of tickets, found by the ticket's reference. A ticket's rows are part of a member's record."""

    read_on_record = True
    search_fields = ["ticket"]
    search_help_text = TICKET_SEARCH
    list_select_related = ["ticket"]
    # Their order is the one that has an index.
    sortable_by = ()
    list_title: str

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        return super().changelist_view(request, {"title": self.list_title, **(extra_context or {})})

    def read_subject(self, row: Any) -> str:
        return subject_of(row.ticket)

    def rows_named(self, rows: QuerySet[Any], term: str) -> QuerySet[Any]:
        return rows.filter(ticket__reference=term.upper())

    @admin.display(description="ticket")
    def ticket_link(self, row: Any) -> SafeString:
        return _ticket_link(row)


# --- Texts --------------------------------------------------------------------------------------


@admin.register(LetterTemplate, site=site)
class LetterTemplateAdmin(SealedModelAdmin):
    """The list shows the kinds of letters, a row is a version; a text is changed by a new version only."""

    pages = [
        ("kind/<slug:kind>/", letter_texts.kind, "objections_lettertemplate_kind"),
        ("kind/<slug:kind>/edit/", letter_texts.edit, "objections_lettertemplate_edit"),
        ("kind/<slug:kind>/review/", letter_texts.review, "objections_lettertemplate_review"),
        (
            "kind/<slug:kind>/version/<int:number>/",
            letter_texts.version,
            "objections_lettertemplate_version",
        ),
    ]

    def parameters_of(self, page: str, request: HttpRequest) -> Collection[str]:
        return () if page == "changelist_view" else super().parameters_of(page, request)

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        return letter_texts.kinds(request)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Sends a link from the ledger to the version's page."""
        row = self.get_object(request, object_id)
        if row is None:
            raise Http404
        return letter_texts.version(request, row.kind, row.number)


# --- The outbox ---------------------------------------------------------------------------------


class LetterStateFilter(OptionFilter):
    """The filter by state. The list opens with unsent letters, which an officer must look at; a search covers all letters."""

    title = "state"
    parameter_name = "state"
    ALL = "all"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [*LetterState.choices, (self.ALL, "all letters")]

    def choices(self, changelist: Any) -> Any:
        default, *others = super().choices(changelist)
        if not changelist.query:
            return [{**default, "display": "not out yet"}, *others]
        return [{**default, "display": "all letters"}, *others[:-1]]

    def rows_with(self, rows: QuerySet[Any], option: str) -> QuerySet[Any]:
        return rows if option == self.ALL else rows.filter(state=option)

    def rows_without(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        if self.request.GET.get(SEARCH_VAR, "").strip():
            return rows
        return rows.filter(state__in=[LetterState.FAILED, LetterState.WAITING])


@admin.register(Letter, site=site)
class LetterAdmin(TicketSearchAdmin, HistoryModelAdmin):
    """The outbox: that a letter went and how, never what it says or to whom."""

    list_display = [
        "kind",
        "ticket_link",
        "standing",
        "delivery",
        "queued",
        "sent",
    ]
    list_filter = [LetterStateFilter, "kind", "delivery"]
    list_select_related = ["ticket", "text"]
    fields = [
        "ticket_link", "kind", "standing", "delivery", "also_answers", "language", "text_version",
        "queued", "sent",
    ]  # fmt: skip
    change_form_template = "admin/objections/letter/change_form.html"
    change_list_template = "admin/objections/letter/change_list.html"
    list_title = "Outbox"

    def get_ordering(self, request: HttpRequest) -> Any:
        if request.GET.get("state") or request.GET.get("q"):
            return ["-id"]
        # "failed" comes before "waiting", and an index has just this order.
        return ["state", "id"]

    def page_context(self, request: HttpRequest, row: Any) -> dict[str, Any]:
        """The words are on a page of their own, which records who reads them."""
        return {
            "letter": row,
            "may_read": request.user.has_perms(
                ["objections.work_ticket", "objections.view_requester"]
            ),
            "is_failed": row.state == LetterState.FAILED,
            "can_be_repeated": LetterLine(row, "", "").can_be_repeated,
            "waits_for_the_post": row.state == LetterState.WAITING
            and row.delivery == Delivery.POST,
        }

    @admin.display(description="state")
    def standing(self, letter: Letter) -> SafeString:
        is_post = letter.state == LetterState.WAITING and letter.delivery == Delivery.POST
        word = "to be posted" if is_post else letter.get_state_display()
        return format_html("{}{}", badge(word, _TONES[letter.state]), self._trouble(letter))

    def _trouble(self, letter: Letter) -> SafeString | str:
        """How its sending went, as long as there is something to say."""
        text = getattr(letter, "text", None)
        if text is None:
            words = "its words are erased"
        elif text.last_error == RETURNED:
            words = text.last_error
        elif text.last_error:
            times = f"{text.attempts} time{'s' * (text.attempts != 1)}"
            words = f"tried {times}; {_ERRORS.get(text.last_error, text.last_error)}"
        else:
            return ""
        return format_html('<span class="also">{}</span>', words)

    @admin.display(description="queued (UTC)")
    def queued(self, letter: Letter) -> str:
        return f"{letter.queued_at:%Y-%m-%d %H:%M}"

    @admin.display(description="sent (UTC)")
    def sent(self, letter: Letter) -> str | None:
        return f"{letter.sent_at:%Y-%m-%d %H:%M}" if letter.sent_at else None

    @admin.display(description="also answers")
    def also_answers(self, letter: Letter) -> str | None:
        return ", ".join(letter.also) or None

    @admin.display(description="text")
    def text_version(self, letter: Letter) -> SafeString:
        address = letter_texts.url_of(letter.kind, "version", letter.template_version)
        return format_html('<a href="{}">version {}</a>', address, letter.template_version)


# Python's names of what goes wrong most, in words.
_ERRORS = {
    "SMTPRecipientsRefused": "the mail server refused the address",
    "ConnectionRefusedError": "the mail server did not answer",
    "TimeoutError": "the mail server did not answer in time",
}
_TONES: dict[str, str] = {
    LetterState.WAITING: "warning",
    LetterState.SENT: "good",
    LetterState.FAILED: "danger",
    LetterState.CANCELLED: "",
}


# --- Second opinions ----------------------------------------------------------------------------


class StandingFilter(OptionFilter):
    title = "standing"
    parameter_name = "standing"
    WAITING = "waiting"
    MOOT = "moot"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [
            (self.WAITING, "waits for a second person"),
            *ChangeVerdict.choices,
            (self.MOOT, "closed by another outcome"),
        ]

    def rows_with(self, rows: QuerySet[Any], option: str) -> QuerySet[Any]:
        if option == self.WAITING:
            return rows.waiting()  # type: ignore[attr-defined]  # it is ours
        if option == self.MOOT:
            return rows.filter(approval__isnull=True, ticket__closed_at__isnull=False)
        return rows.filter(approval__verdict=option)


@admin.register(Proposal, site=site)
class ProposalAdmin(TicketSearchAdmin, SealedModelAdmin):
    """Outcomes that would end an exclusion. The grounds are personal data: the ticket's page has them."""

    list_display = ["id", "ticket_link", "state", "decided", "proposer", "standing"]
    list_filter = [StandingFilter]
    list_title = "Proposed outcomes"
    list_select_related = ["ticket", "proposed_by", "approval__reviewer"]
    fields = [
        "ticket_link",
        "state",
        "decided",
        "also_decided",
        "proposer",
        "standing",
        "reviewed_for",
    ]
    change_form_template = "admin/objections/proposal/change_form.html"

    def page_context(self, request: HttpRequest, row: Any) -> dict[str, Any]:
        may_review = (
            self._is_waiting(row)
            and request.user.has_perm("objections.work_ticket")
            and row.proposed_by_id != request.user.pk
        )
        return {"ticket": row.ticket, "may_review": may_review}

    def _is_waiting(self, row: Proposal) -> bool:
        return not hasattr(row, "approval") and row.ticket.is_open

    @admin.display(description="proposed by")
    def proposer(self, row: Proposal) -> str:
        return row.proposed_by.get_username()

    @admin.display(description="outcomes")
    def decided(self, row: Proposal) -> str:
        return "; ".join(
            f"{Purpose(purpose).label}: {Outcome(outcome).label}"
            for purpose, outcome in sorted(row.outcomes.items())
        )

    @admin.display(description="decided together with")
    def also_decided(self, row: Proposal) -> str | None:
        return ", ".join(row.also) or None

    @admin.display(description="standing")
    def standing(self, row: Proposal) -> SafeString:
        if self._is_waiting(row):
            return badge("waits for a second person", "warning")
        approval = getattr(row, "approval", None)
        if approval is None:
            return badge("closed by another outcome")
        tone = "good" if approval.verdict == ChangeVerdict.APPROVED else "danger"
        word = approval.get_verdict_display()
        return badge(f"{word} by {approval.reviewer.get_username()}", tone)

    @admin.display(description="reason of the review")
    def reviewed_for(self, row: Proposal) -> str | None:
        approval = getattr(row, "approval", None)
        return approval.entry.reason if approval else None
