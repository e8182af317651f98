"""One act for many tickets: what will happen to which, then each in a transaction of its own.

The page of an act carries the version of every ticket it shows; one that somebody changed since is refused
and named, and so is one the act is not allowed for. The others are done.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.contrib.auth.models import User
from django.core.exceptions import BadRequest
from django.db import transaction
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.text import capfirst
from django.views.decorators.http import require_http_methods, require_POST

from common import drafts
from common.errors import StaleEdit
from common.staff.parameters import KEPT_FILTERS, takes
from common.staff.site import page, staff
from ledger.errors import Refusal
from objections import tasks
from objections.acts import deciding, working
from objections.choices import NEXT_STATES, Outcome, Regime, State, Verdict
from objections.clock.days import today
from objections.errors import AlreadySettled
from objections.intake import receiving
from objections.models import Ticket
from objections.staff.filters import marked, purposes_of
from objections.staff.forms import ReasonField, WordsField, officers
from objections.staff.ticket_page import warnings_of
from objections.ticket.checks import waiting_proposal
from objections.ticket.due import due
from objections.ticket.officers import officer_in_words, officer_of

MAX_TICKETS = 500
"""Tickets in one go: more would outlast a request, and nobody reads a longer list before agreeing."""


class BulkForm(forms.Form):
    """The tickets that were shown, with the version each had then: "12:3 15:1"."""

    tickets = forms.RegexField(
        r"\A\d{1,18}:\d{1,9}( \d{1,18}:\d{1,9})*\Z", widget=forms.HiddenInput, max_length=20_000
    )

    @property
    def versions(self) -> dict[int, int]:
        pairs = (pair.split(":") for pair in self.cleaned_data["tickets"].split())
        return {int(number): int(version) for number, version in pairs}


class AssignForm(BulkForm):
    officer = forms.ModelChoiceField(
        User.objects.none(), label="Assign to", empty_label="nobody", required=False
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["officer"]
        assert isinstance(field, forms.ModelChoiceField)
        field.queryset = officers()


class EvidenceForm(BulkForm):
    evidence = WordsField(
        label="What makes you sure that nobody asks for this",
        help_text="For the colleague who reviews it; nobody outside reads it.",
    )


class CheckedForm(BulkForm):
    reason = ReasonField(help_text="What you checked.")


@dataclass(frozen=True)
class Act:
    """`does` takes the ticket, the version its reader saw, who acts and what the form says."""

    title: str
    lead: str
    button: str
    done: str
    does: Callable[[Ticket, int, User, dict[str, Any]], object]
    will: Callable[[Ticket], str]
    """What will happen to a ticket, in words."""
    why_not: Callable[[Ticket, User], str] = lambda ticket, actor: ""
    """Why the act is refused for a ticket, as far as the list can tell; the service decides."""
    form: type[BulkForm] = BulkForm
    warns: Callable[[Ticket], list[str]] = lambda ticket: []
    """What must be known first of a ticket it would be done to."""
    writes: bool = False
    """Whether letters leave by it."""


# --- The acts -----------------------------------------------------------------------------------


def _take(ticket: Ticket, version: int, actor: User, said: dict[str, Any]) -> object:
    return working.assign(ticket=ticket, officer=actor, version=version, actor=actor)


def _assign(ticket: Ticket, version: int, actor: User, said: dict[str, Any]) -> object:
    return working.assign(ticket=ticket, officer=said["officer"], version=version, actor=actor)


def _begin_review(ticket: Ticket, version: int, actor: User, said: dict[str, Any]) -> object:
    return working.begin_review(ticket=ticket, version=version, actor=actor)


def _uphold(ticket: Ticket, version: int, actor: User, said: dict[str, Any]) -> object:
    # Two entries, for two moves of the map; both or neither.
    with transaction.atomic():
        if ticket.state == State.RECEIVED:
            ticket = working.begin_review(ticket=ticket, version=version, actor=actor)
            assert ticket.version is not None
            version = ticket.version
        outcomes = dict.fromkeys(
            ticket.objections.values_list("purpose", flat=True), Outcome.UPHELD
        )
        return deciding.decide(ticket=ticket, outcomes=outcomes, version=version, actor=actor)


def _release(ticket: Ticket, version: int, actor: User, said: dict[str, Any]) -> object:
    # Releasing again changes nothing, so a look without a lock is enough.
    if ticket.version != version:
        raise StaleEdit(f"Somebody changed {ticket} in the meantime: look at it again.")
    return receiving.release(ticket=ticket, actor=actor)


def _propose_abuse(ticket: Ticket, version: int, actor: User, said: dict[str, Any]) -> object:
    return deciding.propose_abuse(
        ticket=ticket, evidence=said["evidence"], version=version, actor=actor
    )


def _approve_abuse(ticket: Ticket, version: int, actor: User, said: dict[str, Any]) -> object:
    proposal = waiting_proposal(ticket)
    if proposal is None or not ticket.is_set_aside:
        # With a letter it is approved on its page, where the letter is read.
        raise AlreadySettled(_NOT_PROPOSED)
    return deciding.review(
        proposal=proposal,
        verdict=Verdict.APPROVED,
        version=version,
        actor=actor,
        reason=said["reason"],
    )


_NOT_PROPOSED = "Nobody proposed to close it as abuse."


def _not_open(ticket: Ticket, actor: User) -> str:
    return "" if ticket.is_open else f"It is {ticket.get_state_display()}: nothing is left to do."


def _not_to_take(ticket: Ticket, actor: User) -> str:
    if ticket.assignee_id == actor.pk:
        return "It is yours already."
    return _not_open(ticket, actor)


def _not_to_review(ticket: Ticket, actor: User) -> str:
    if ticket.state == State.IDENTITY_CHECK:
        return "Identity was asked for: its page records the answer."
    if ticket.state == State.RECEIVED:
        return ""
    return f"It is {ticket.get_state_display()}."


def _not_to_uphold(ticket: Ticket, actor: User) -> str:
    if getattr(ticket, "is_proposed", False):
        return "An outcome of it waits for a second person."
    if ticket.is_set_aside:
        return "It is set aside: release it first."
    reviewed = {State.IN_REVIEW} if ticket.state == State.RECEIVED else {ticket.state}
    if any(state and State.UPHELD in NEXT_STATES[state] for state in reviewed):
        return ""
    return f"It is {ticket.get_state_display()} and cannot become upheld."


def _not_to_release(ticket: Ticket, actor: User) -> str:
    if not ticket.is_set_aside:
        return "It is not set aside."
    if getattr(ticket, "is_proposed", False):
        return "A colleague reviews whether it is closed as abuse."
    return _not_open(ticket, actor)


def _not_to_approve_abuse(ticket: Ticket, actor: User) -> str:
    proposal = waiting_proposal(ticket) if ticket.is_set_aside else None
    if proposal is None:
        return _NOT_PROPOSED
    return "You proposed it yourself." if proposal.proposed_by_id == actor.pk else ""


def _without_identity(ticket: Ticket) -> list[str]:
    if ticket.is_verified or ticket.regime == Regime.US_CA:
        return []
    return ["Nobody knows who asks, and identity cannot be asked for after this."]


def _leaves(ticket: Ticket, to: str) -> str:
    officer = officer_of(ticket)
    return f"From {officer.get_username() if officer else 'the unassigned'} to {to}."


def _upheld(ticket: Ticket) -> str:
    if ticket.member_id is None:
        return "Upheld, and nobody is kept out: no account is matched. The outcome letter is sent."
    return f"Out for good of {purposes_of(ticket)}. The outcome letter is sent."


def _released(ticket: Ticket) -> str:
    if ticket.is_authenticated:
        return "The acknowledgement is sent."
    return "A link to confirm the address is sent."


ACTS = {
    "take": Act(
        title="Take tickets",
        lead="They become yours, whoever has them now.",
        button="Take them",
        done="Taken",
        does=_take,
        will=lambda ticket: _leaves(ticket, "you"),
        why_not=_not_to_take,
    ),
    "assign": Act(
        title="Assign tickets",
        lead="Only who works tickets can be given one.",
        button="Assign them",
        done="Assigned",
        does=_assign,
        will=lambda ticket: _leaves(ticket, "whom you choose"),
        form=AssignForm,
        why_not=_not_open,
    ),
    "begin-review": Act(
        title="Begin the review of tickets",
        lead="Whoever has no officer yet gets you.",
        button="Begin the review",
        done="Review begun",
        does=_begin_review,
        will=lambda ticket: "In review" + ("." if officer_of(ticket) else " by you."),
        why_not=_not_to_review,
        warns=_without_identity,
    ),
    "uphold": Act(
        title="Uphold tickets for every purpose they name",
        lead="An upheld objection keeps the matched member out for good. It cannot be taken back here,"
        " and the person is written to.",
        button="Uphold them",
        done="Upheld",
        does=_uphold,
        will=_upheld,
        why_not=_not_to_uphold,
        warns=lambda ticket: warnings_of(ticket, writes=True, upholds=True),
        writes=True,
    ),
    "release": Act(
        title="Release tickets that were set aside",
        lead="They came while too many like them came in, and count like any other: a matched member stays out."
        " Once released they get the letter that was held back.",
        button="Release them",
        done="Released",
        does=_release,
        will=_released,
        why_not=_not_to_release,
        warns=lambda ticket: warnings_of(ticket, writes=True),
        writes=True,
    ),
    "close-abuse": Act(
        title="Close tickets as abuse",
        lead="They were set aside, and nobody asks for them. A colleague reviews it; nobody is written to, and"
        " the members they are matched to stay out.",
        button="Propose the closing",
        done="Closing proposed",
        does=_propose_abuse,
        will=lambda ticket: (
            f"Closed without a letter, once a colleague agrees; out of {purposes_of(ticket)}."
        ),
        form=EvidenceForm,
        why_not=_not_to_release,
    ),
    "approve-abuse": Act(
        title="Approve that tickets are closed as abuse",
        lead="Nobody is written to, and the members they are matched to stay out. It cannot be taken back.",
        button="Approve the closing",
        done="Closed as abuse",
        does=_approve_abuse,
        will=lambda ticket: f"Closed without a letter; out of {purposes_of(ticket)}.",
        form=CheckedForm,
        why_not=_not_to_approve_abuse,
    ),
}


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
    act, actor = ACTS[name], staff(request)
    allowed = [one for one in chosen if not act.why_not(one, actor)]
    versions = " ".join(f"{one.pk}:{one.version}" for one in allowed)
    form = act.form(initial={"tickets": versions})
    address = reverse("admin:objections_ticket_bulk", args=[name])
    drafts.place_in(form, request, address=address, title=act.title)
    return _ask(request, name, form, chosen)


@require_http_methods(["GET", "POST"])
@permission_required("objections.work_ticket", raise_exception=True)
def do(request: HttpRequest, name: str) -> HttpResponse:
    """Do what the page showed. After an ended session the same page comes back, with what was chosen and typed."""
    if name not in ACTS:
        raise Http404
    act, actor = ACTS[name], staff(request)
    form = drafts.form_for(act.form, request, title=act.title)
    if not form.is_valid():
        if "tickets" in form.errors:
            raise BadRequest("The page sent no tickets.")
        chosen = form.initial.get("tickets") or request.POST.get("tickets", "")
        shown = BulkForm({"tickets": chosen})
        if not shown.is_valid():
            return HttpResponseRedirect(reverse("admin:objections_ticket_changelist"))
        form.initial["tickets"] = chosen
        return _ask(request, name, form, list(_shown(_named(shown.versions))))
    versions = form.versions
    refused = []
    tickets = list(_shown(_named(versions)))
    for ticket in tickets:
        try:
            act.does(ticket, versions[ticket.pk], actor, form.cleaned_data)
        except Refusal as refusal:
            refused.append((ticket, str(refusal)))
    if act.writes and len(refused) < len(tickets):
        tasks.hint()
    back = reverse("admin:objections_ticket_changelist")
    count = len(tickets) - len(refused)
    if count or not tickets:
        drafts.done(form)
    if not refused:
        messages.success(request, f"{act.done}: {count}.")
        return HttpResponseRedirect(back)
    return page(
        request,
        "admin/objections/ticket/bulk_done.html",
        title=f"{act.done}: {count} of {len(tickets)}",
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
            _take(ticket, form.versions[ticket.pk], actor, {})
            messages.success(request, f"{ticket} is yours.")
        except Refusal as refusal:
            messages.error(request, str(refusal))
    # Only ever the queue's own query string.
    filters = request.GET.get(KEPT_FILTERS, "")
    back = reverse("admin:objections_ticket_changelist")
    return HttpResponseRedirect(f"{back}?{filters}" if filters else back)


def _ask(request: HttpRequest, name: str, form: forms.Form, tickets: list[Ticket]) -> HttpResponse:
    act, actor, day = ACTS[name], staff(request), today()
    rows = [
        {
            "ticket": ticket,
            "purposes": purposes_of(ticket),
            "officer": officer_in_words(ticket),
            "due": due(ticket, day),
            "why_not": act.why_not(ticket, actor),
            "will": act.will(ticket),
        }
        for ticket in tickets
    ]
    refused = [row for row in rows if row["why_not"]]
    warned: dict[str, list[str]] = {}
    for ticket in tickets:
        for sentence in [] if act.why_not(ticket, actor) else act.warns(ticket):
            warned.setdefault(sentence, []).append(str(ticket))
    return page(
        request,
        "admin/objections/ticket/bulk_act.html",
        title=act.title,
        lead=act.lead,
        rows=[row for row in rows if not row["why_not"]],
        refused=refused,
        warnings=[f"{', '.join(named)}: {sentence}" for sentence, named in warned.items()],
        form=form if len(refused) < len(rows) else None,
        action=reverse("admin:objections_ticket_bulk", args=[name]),
        button=act.button,
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
