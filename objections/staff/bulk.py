"""One act for many tickets: what will happen to which, then each in a transaction of its own.

The page of an act carries the version of every ticket it shows; one that was changed since is refused
and named, and so is one the act is not allowed for. The others are done.
"""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.decorators import permission_required
from django.core.exceptions import BadRequest
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.text import capfirst
from django.views.decorators.http import require_http_methods, require_POST

from common import drafts
from common.staff.parameters import KEPT_FILTERS, takes
from common.staff.site import page, staff
from ledger.errors import Refusal
from objections import acts, tasks
from objections.acts.act import Act, Many
from objections.clock.days import today
from objections.models import Ticket
from objections.staff.filters import marked
from objections.ticket.case import Case, cases_of
from objections.ticket.due import due
from objections.ticket.officers import officer_in_words

MAX_TICKETS = 500
"""Tickets in one go: more would outlast a request, and an officer would not read a longer list before agreeing."""


class BulkForm(forms.Form):
    """The tickets that were shown, with the version each had then: "12:3 15:1"."""

    tickets = forms.RegexField(
        r"\A\d{1,18}:\d{1,9}( \d{1,18}:\d{1,9})*\Z", widget=forms.HiddenInput, max_length=20_000
    )

    @property
    def versions(self) -> dict[int, int]:
        pairs = (pair.split(":") for pair in self.cleaned_data["tickets"].split())
        return {int(number): int(version) for number, version in pairs}


def form_of(many: Many) -> type[BulkForm]:
    """The form of an act for many tickets: the tickets, and what the act asks."""
    fields = {name: make() for name, make in many.asks.items()}
    return type("ManyForm", (BulkForm,), fields)


def slug_of(act: Act) -> str:
    return act.name.replace("_", "-")


ACTS = {slug_of(act): act for act in acts.FOR_MANY}


def action_of(act: Act) -> Any:
    """The act as a line in the list of actions."""
    assert act.many is not None

    @admin.action(description=act.many.action, permissions=["work"])
    def action(
        model_admin: Any, request: HttpRequest, queryset: QuerySet[Ticket]
    ) -> HttpResponse | None:
        return ask(request, slug_of(act), queryset)

    action.__name__ = act.name
    return action


# --- The pages ----------------------------------------------------------------------------------


def ask(request: HttpRequest, name: str, tickets: QuerySet[Ticket]) -> HttpResponse | None:
    """The page that shows what an act will do to the tickets; None, with a message, if they are too many."""
    chosen = list(_shown(tickets)[: MAX_TICKETS + 1])
    if len(chosen) > MAX_TICKETS:
        messages.error(
            request,
            f"At most {MAX_TICKETS} tickets in one go: narrow the list down, or choose page by page."
            " Nothing was done.",
        )
        return None
    act, many = _act(name)
    cases = [(case, act.why_not(case, staff(request))) for case in cases_of(chosen)]
    versions = " ".join(
        f"{case.ticket.pk}:{case.ticket.version}" for case, why_not in cases if not why_not
    )
    form = form_of(many)(initial={"tickets": versions})
    address = reverse("admin:objections_ticket_bulk", args=[name])
    drafts.place_in(form, request, address=address, title=many.title)
    return _ask(request, name, form, cases)


def _act(name: str) -> tuple[Act, Many]:
    act = ACTS.get(name)
    if act is None or act.many is None:
        raise Http404
    return act, act.many


@require_http_methods(["GET", "POST"])
@permission_required("objections.work_ticket", raise_exception=True)
def do(request: HttpRequest, name: str) -> HttpResponse:
    """Do what the page showed. After an ended session the same page comes back, with what was chosen and typed."""
    act, many = _act(name)
    actor = staff(request)
    form = drafts.form_for(form_of(many), request, title=many.title)
    if not form.is_valid():
        if "tickets" in form.errors:
            raise BadRequest("The page sent no tickets.")
        chosen = form.initial.get("tickets") or request.POST.get("tickets", "")
        shown = BulkForm({"tickets": chosen})
        if not shown.is_valid():
            return HttpResponseRedirect(reverse("admin:objections_ticket_changelist"))
        form.initial["tickets"] = chosen
        cases = cases_of(_shown(_named(shown.versions)))
        return _ask(request, name, form, [(case, act.why_not(case, actor)) for case in cases])
    versions = form.versions
    refused = []
    tickets = list(_shown(_named(versions)))
    said = {field: form.cleaned_data[field] for field in many.asks}
    for ticket in tickets:
        try:
            act.do(ticket=ticket, version=versions[ticket.pk], actor=actor, **said)
        except Refusal as refusal:
            refused.append((ticket, str(refusal)))
    if act.letters and len(refused) < len(tickets):
        tasks.hint()
    back = reverse("admin:objections_ticket_changelist")
    count = len(tickets) - len(refused)
    if count or not tickets:
        drafts.done(form)
    if not refused:
        messages.success(request, f"{many.done}: {count}.")
        return HttpResponseRedirect(back)
    return page(
        request,
        "admin/objections/ticket/bulk_done.html",
        title=f"{many.done}: {count} of {len(tickets)}",
        refused=refused,
        back=back,
    )


@takes(KEPT_FILTERS)
@require_POST
@permission_required("objections.work_ticket", raise_exception=True)
def take_one(request: HttpRequest) -> HttpResponse:
    """The button in a row of the queue: the ticket is yours, and the queue is where it was."""
    form = BulkForm(request.POST)
    if not form.is_valid():
        raise BadRequest("The page sent no ticket.")
    actor = staff(request)
    for ticket in _named(form.versions)[:1]:
        try:
            acts.take.do(ticket=ticket, version=form.versions[ticket.pk], actor=actor)
            messages.success(request, f"{ticket} is yours.")
        except Refusal as refusal:
            messages.error(request, str(refusal))
    # Only ever the queue's own query string.
    filters = request.GET.get(KEPT_FILTERS, "")
    back = reverse("admin:objections_ticket_changelist")
    return HttpResponseRedirect(f"{back}?{filters}" if filters else back)


def _ask(
    request: HttpRequest, name: str, form: forms.Form, cases: list[tuple[Case, str]]
) -> HttpResponse:
    """`cases` are those that were chosen, each with why the act cannot be done to it."""
    _, many = _act(name)
    day = today()
    rows = [
        {
            "ticket": case.ticket,
            "purposes": case.purposes_in_words,
            "officer": officer_in_words(case.ticket),
            "due": due(case.ticket, day),
            "why_not": why_not,
            "will": many.will(case),
        }
        for case, why_not in cases
    ]
    refused = [row for row in rows if row["why_not"]]
    warned: dict[str, list[str]] = {}
    for case, why_not in cases:
        for sentence in [] if why_not else many.warns(case):
            warned.setdefault(sentence, []).append(str(case.ticket))
    return page(
        request,
        "admin/objections/ticket/bulk_act.html",
        title=many.title,
        lead=many.lead,
        rows=[row for row in rows if not row["why_not"]],
        refused=refused,
        warnings=[f"{', '.join(named)}: {sentence}" for sentence, named in warned.items()],
        form=form if len(refused) < len(rows) else None,
        action=reverse("admin:objections_ticket_bulk", args=[name]),
        button=many.button,
        back=reverse("admin:objections_ticket_changelist"),
        back_title=capfirst(Ticket._meta.verbose_name_plural or ""),
    )


def _named(versions: dict[int, int]) -> QuerySet[Ticket]:
    return Ticket.objects.worked().filter(pk__in=versions)


def _shown(tickets: QuerySet[Ticket]) -> QuerySet[Ticket]:
    return (
        marked(tickets)
        .select_related("assignee")
        .prefetch_related("objections")
        .order_by("due_on", "pk")
    )
