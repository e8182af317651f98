"""The redaction list in the admin. Values are on the page of an entry only, for officers, and each look is on record."""

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.decorators import permission_required
from django.db.models import QuerySet, Sum
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.safestring import SafeString
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from common.errors import StaleEdit
from common.staff import start_page
from common.staff.list_filters import OptionFilter
from common.staff.site import (
    HistoryModelAdmin,
    SealedModelAdmin,
    VersionedForm,
    badge,
    page,
    refusal_shown_in,
    site,
    staff,
)
from ledger.errors import InvalidInput
from ledger.reads.recording import record_read
from objections.acts.act import OFFICER
from objections.acts.fields import ReasonField
from objections.choices import RedactionState, ValueKind
from objections.models import RedactionEntry, RedactionLoan
from objections.redaction import keeping, vault
from objections.redaction.values import MAX_LENGTH, MAX_VALUES, Value, read
from objections.staff.letters import TICKET_SEARCH, TicketSearchAdmin
from objections.staff.ticket_page import subject_of

READS_VALUES = "objections.view_redaction_values"


class StateFilter(OptionFilter):
    """The filter by state. Without a choice the list has entries of every state."""

    title = "state"
    parameter_name = "state"
    LENT, WEAK, ENDED = "lent", "weak", "ended"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(self.LENT, "holding, lent"), (self.WEAK, "too weak"), (self.ENDED, "ended")]

    def rows_with(self, rows: QuerySet[Any], option: str) -> QuerySet[Any]:
        if option == self.ENDED:
            return rows.filter(state=RedactionState.ENDED)
        return rows.filter(state=RedactionState.HOLDING, is_weak=option == self.WEAK)


@admin.register(RedactionEntry, site=site)
class RedactionEntryAdmin(TicketSearchAdmin, HistoryModelAdmin):
    """The list by numbers and counts. A page shows officers the values; auditors never see one."""

    list_display = ["number", "ticket_link", "standing", "values_counted", "hits_counted"]
    list_filter = [StateFilter]
    list_title = "Redaction list"
    search_help_text = f"The number of an entry (RE-000012). {TICKET_SEARCH}"
    fields = [
        "number", "ticket_link", "standing", "values_counted", "hits_counted", "told_at", "told_by",
        "erased_at", "commitment",
    ]  # fmt: skip
    change_form_template = "admin/objections/redactionentry/change_form.html"
    change_list_template = "admin/objections/redactionentry/change_list.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).annotate(found=Sum("hits__hits"))

    def rows_named(self, rows: QuerySet[Any], term: str) -> QuerySet[Any]:
        number = term.upper().removeprefix("RE-")
        if number.isdecimal() and len(number) < 19:
            return rows.filter(pk=int(number))
        return super().rows_named(rows, term)

    def page_context(self, request: HttpRequest, row: Any) -> dict[str, Any]:
        """The template's context: the values, for officers, after the look at them is on record."""
        may_read = request.user.has_perms([*OFFICER, READS_VALUES])
        context = {
            "entry": row,
            "may_read": may_read,
            "hits": row.hits.select_related("loan")[:50],
            "may_erase": row.told_at is not None and row.told_by_id != request.user.pk,
        }
        if may_read and row.is_holding:
            record_values_read(request, row)
            context |= _shown(row)
        return context

    @admin.display(description="entry")
    def number(self, row: RedactionEntry) -> str:
        return str(row)

    @admin.display(description="state")
    def standing(self, row: RedactionEntry) -> SafeString:
        if row.erased_at is not None:
            return badge("erased at the person's request")
        if not row.is_holding:
            return badge("ended")
        return badge("too weak: not lent", "warning") if row.is_weak else badge("holding", "good")

    @admin.display(description="values")
    def values_counted(self, row: RedactionEntry) -> str | None:
        named = [f"{ValueKind(kind).label}: {count}" for kind, count in row.counts.items()]
        return ", ".join(named) or None

    @admin.display(description="hits")
    def hits_counted(self, row: Any) -> int | None:
        return row.found or None


def _shown(row: RedactionEntry) -> dict[str, Any]:
    """The values for the page, or the fault that keeps them from being opened."""
    try:
        return {"values": vault.values_of(row)}
    except vault.ValuesNotOpened as fault:
        return {"fault": str(fault)}


def record_values_read(request: HttpRequest, row: RedactionEntry) -> None:
    """Put the look at an entry's values on record, before any is decrypted."""
    record_read(
        staff(request), "redactionentry.values_read", subject_of(row.ticket), purpose=str(row)
    )


@admin.register(RedactionLoan, site=site)
class RedactionLoanAdmin(SealedModelAdmin):
    """Loans: to whom, for which delivery, which version, until when."""

    list_display = ["delivery", "purpose", "count", "borrower", "until"]
    list_filter = ["purpose"]
    list_select_related = ["borrower", "entry"]
    sortable_by = ()
    fields = ["delivery", "purpose", "count", "list_version", "lent", "borrower", "until"]
    change_list_template = "admin/objections/redactionloan/change_list.html"

    @admin.display(description="entries")
    def lent(self, row: RedactionLoan) -> str | None:
        return ", ".join(f"RE-{number:06d}" for number, _ in row.entries_lent) or None


# --- Acts -------------------------------------------------------------------------------------------


class CorrectForm(VersionedForm):
    """The values by kind, one a line. No draft is kept of it: a draft would keep the values unencrypted."""

    LINES = {
        "names": (ValueKind.NAME, "Names"),
        "handles": (ValueKind.HANDLE, "Handles"),
        "emails": (ValueKind.EMAIL, "E-mail addresses"),
        "urls": (ValueKind.URL, "Profile addresses"),
    }
    reason = ReasonField(label="Why")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, (_, label) in self.LINES.items():
            self.fields[name] = forms.CharField(
                label=label,
                required=False,
                max_length=MAX_VALUES * (MAX_LENGTH + 2),
                help_text="One a line.",
                widget=forms.Textarea(
                    attrs={"rows": 3, "autocomplete": "off", "spellcheck": "false"}
                ),
            )
        self.order_fields(["version", *self.LINES, "reason"])

    def values(self) -> list[Value]:
        """Raises InvalidInput, beside the field whose line is wrong."""
        return [
            read(kind, line, where=name)
            for name, (kind, _) in self.LINES.items()
            for line in self.cleaned_data[name].splitlines()
            if line.strip()
        ]

    @classmethod
    def lines_of(cls, values: list[Value]) -> dict[str, str]:
        """The values as the form shows them, by field."""
        return {
            name: "\n".join(one.text for one in values if one.kind == kind)
            for name, (kind, _) in cls.LINES.items()
        }


class ReasonForm(VersionedForm):
    reason = ReasonField(label="How, and what they asked for")


def _page_url(row: RedactionEntry) -> str:
    return reverse("admin:objections_redactionentry_change", args=[row.pk])


def _act(
    request: HttpRequest,
    row: RedactionEntry,
    form: VersionedForm,
    do: Callable[[], object],
    **shown: Any,
) -> HttpResponse:
    """The page of an act on an entry: a refusal is shown in its form."""
    if form.is_valid():
        with refusal_shown_in(form):
            try:
                do()
            except StaleEdit:
                row.refresh_from_db()
                form.look_again(row.version)
                raise
            messages.success(request, f"{row}: recorded.")
            return HttpResponseRedirect(_page_url(row))
    shown |= {"form": form, "back": _page_url(row), "back_title": str(row)}
    return page(request, "admin/act.html", **shown)


def _act_page(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """A page for officers who may read the values; what its form holds is in no error report."""
    guarded = permission_required([*OFFICER, READS_VALUES], raise_exception=True)(view)
    return require_http_methods(["GET", "POST"])(sensitive_post_parameters()(guarded))


def _entry(number: int) -> RedactionEntry:
    rows = RedactionEntry.objects.select_related("ticket", "values")
    return get_object_or_404(rows, pk=number)


@_act_page
def correct(request: HttpRequest, number: int) -> HttpResponse:
    """Correcting the values of an entry."""
    row = _entry(number)
    data = request.POST if request.method == "POST" else None
    initial: dict[str, Any] = {"version": row.version}
    if data is None and row.is_holding:
        record_values_read(request, row)
        initial |= CorrectForm.lines_of(_shown(row).get("values", []))
    form = CorrectForm(data, initial=initial)

    def do() -> object:
        values = form.values()
        try:
            return keeping.correct(
                entry=row,
                values=values,
                reason=form.cleaned_data["reason"],
                version=form.cleaned_data["version"],
                actor=staff(request),
            )
        except InvalidInput as error:
            # The service knows values, the page has a field for each kind.
            if error.field == "values":
                error.field = "names"
            raise

    return _act(
        request, row, form, do,
        title=f"{row}: correct the values",
        button="Correct the values",
        lead="The values written here replace those of the entry. The ledger keeps their number, not the values.",
    )  # fmt: skip


@_act_page
def told(request: HttpRequest, number: int) -> HttpResponse:
    """Recording that the person was told what the erasure of their values means."""
    row = _entry(number)
    form = ReasonForm(request.POST or None, initial={"version": row.version})
    return _act(
        request, row, form,
        lambda: keeping.record_told(entry=row, actor=staff(request), **form.cleaned_data),
        title=f"{row}: record that the person was told",
        button="Record it",
        lead="The person asked us to erase these values, and we told them that what others posted about them is then not"
        " recognised any more. A colleague erases them after this.",
    )  # fmt: skip


@_act_page
def erase(request: HttpRequest, number: int) -> HttpResponse:
    """Erasing the values at the person's request."""
    row = _entry(number)
    form = ReasonForm(request.POST or None, initial={"version": row.version})
    return _act(
        request, row, form,
        lambda: keeping.erase(entry=row, actor=staff(request), **form.cleaned_data),
        title=f"{row}: erase the values",
        button="Erase the values",
        dangerous=True,
        lead="The values are gone for good, and the entry ends. The objection stands, without redaction.",
    )  # fmt: skip


RedactionEntryAdmin.pages = [
    ("<int:number>/correct/", correct, "objections_redactionentry_correct"),
    ("<int:number>/told/", told, "objections_redactionentry_told"),
    ("<int:number>/erase/", erase, "objections_redactionentry_erase"),
]


@start_page.panel("objections.view_redaction_values", order=8)
def weak_panel(request: HttpRequest) -> start_page.Panel:
    """The panel of entries that wait for a value that identifies a person."""
    weak = RedactionEntry.objects.too_weak().order_by("pk")
    address = reverse("admin:objections_redactionentry_changelist")
    return start_page.Panel(
        "Redaction list: too weak",
        [
            start_page.PanelLine(
                str(one), _page_url(one), "needs a full name, a handle or an address", "warning"
            )
            for one in weak[:5]
        ],
        "Every entry of the redaction list has a value that identifies its person.",
        [("All of them", f"{address}?{StateFilter.parameter_name}={StateFilter.WEAK}")],
    )
