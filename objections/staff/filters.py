"""Filters of the queue: its tabs, which are also counted, and the filters beside it."""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import User
from django.db.models import Count, Exists, OuterRef, Q, QuerySet
from django.http import HttpRequest

from common.staff.list_filters import OptionFilter
from common.staff.site import staff
from consent.choices import Purpose
from consent.models import Member
from objections.choices import ENDINGS, OPEN_STATES
from objections.clock.days import today
from objections.models import Letter, Objection, Proposal, Requester, Ticket
from objections.querysets import WAITING_FOR_THE_PERSON, overdue, paused, without_officer

LAST_WEEKDAY = 6
"""Sunday: a week ends with it (ISO 8601)."""


@dataclass(frozen=True)
class Tab:
    """A part of the queue. `where` narrows open tickets; `empty` is said when it has none, of how many tickets."""

    name: str
    title: str
    lead: str
    empty: str
    where: Callable[[User, dt.date], Q] = lambda officer, day: Q()
    key: str = ""
    """The access key: with Alt, Alt+Shift or Ctrl+Option, by browser."""


def end_of_week(day: dt.date) -> dt.date:
    return day + dt.timedelta(days=LAST_WEEKDAY - day.weekday())


NO_TICKET_IS_OPEN = "No ticket is open: all {tickets} are closed."

OPEN, MINE, UNMATCHED = "open", "mine", "not-matched"
FAILED, CLOSED = "failed-letters", "closed"
TABS = [
    Tab(
        OPEN,
        "Open",
        "Everything that is not decided, by the day it is due.",
        NO_TICKET_IS_OPEN,
        key="1",
    ),
    Tab(
        MINE,
        "Mine",
        "Open tickets that are yours. First those whose outcome you proposed and a colleague sent back.",
        "None of the {open} open tickets is yours. Look among the unassigned ones and take what is due first.",
        lambda officer, day: (
            Q(assignee=officer) | Q(pk__in=Proposal.objects.returned_to(officer).values("ticket"))
        ),
        key="2",
    ),
    Tab(
        "unassigned",
        "Unassigned",
        "Unassigned open tickets, and those of a colleague who is no longer an officer.",
        "Each of the {open} open tickets has an officer.",
        lambda officer, day: without_officer(),
        key="3",
    ),
    Tab(
        "due-this-week",
        "Due this week",
        "Due from today to Sunday; without those whose clock stands still.",
        "None of the {open} open tickets is due from today to Sunday, but for those whose clock stands still.",
        lambda officer, day: Q(due_on__range=(day, end_of_week(day))) & ~paused(),
        key="4",
    ),
    Tab(
        "overdue",
        "Overdue",
        "Past the day of their answer. Matched members stay out of every run until there is one; an unmatched ticket keeps no member out.",
        "None of the {open} open tickets is overdue.",
        lambda officer, day: overdue(day),
        key="5",
    ),
    Tab(
        UNMATCHED,
        "Not matched",
        "Open tickets without a matched account: they exclude no member. Find the member, or request identification.",
        "An account is matched to each of the {open} open tickets.",
        lambda officer, day: Q(member__isnull=True),
        key="u",
    ),
    Tab(
        "waiting",
        "Waiting for the person",
        "Asked who they are, or sent a link to confirm their address, and not answered yet.",
        "None of the {open} open tickets waits for the person.",
        lambda officer, day: WAITING_FOR_THE_PERSON,
        key="6",
    ),
    Tab(
        "second-person",
        "Waiting for a second person",
        "An outcome that would end an exclusion is proposed: a colleague approves it or sends it back.",
        "None of the {open} open tickets has a proposed outcome that waits.",
        lambda officer, day: Q(pk__in=Proposal.objects.waiting().values("ticket")),
        key="7",
    ),
    Tab(
        FAILED,
        "Letters that failed",
        "Open or decided, with a letter that could not be sent: what depends on it does not happen.",
        "None of the {letters} letters written so far has failed; {unsent} of them are not sent yet.",
        key="8",
    ),
    Tab(
        "set-aside",
        "Set aside",
        "Received during a flood. They count like any other: a matched member stays out. No letter was sent.",
        "None of the {open} open tickets is set aside.",
        lambda officer, day: Q(is_set_aside=True),
        key="9",
    ),
    Tab(
        CLOSED,
        "Closed",
        "Decided, the latest first.",
        "None of the {tickets} tickets is closed yet.",
        key="0",
    ),
]
_BY_NAME = {tab.name: tab for tab in TABS}
_COUNTED = [tab for tab in TABS if tab.name not in (FAILED, CLOSED)]


def tab_of(request: HttpRequest) -> Tab | None:
    """The tab that is looked at; none while a search looks through all of them."""
    name = request.GET.get(QueueFilter.parameter_name)
    if name in _BY_NAME:
        return _BY_NAME[name]
    return None if request.GET.get("q", "").strip() else _BY_NAME[OPEN]


def in_tab(tickets: QuerySet[Any], tab: Tab, officer: User) -> QuerySet[Any]:
    """Those of some worked tickets that the tab holds."""
    if tab.name == CLOSED:
        return tickets.filter(closed_at__isnull=False)
    if tab.name == FAILED:
        return tickets.filter(pk__in=Letter.objects.failed().values("ticket"))
    return tickets.filter(tab.where(officer, today()), closed_at__isnull=True)


def counts(officer: User) -> dict[str, int]:
    """How many tickets each tab holds, in two queries; closed ones are not counted."""
    day = today()
    found: dict[str, int] = Ticket.objects.open().aggregate(
        **{
            tab.name.replace("-", "_"): Count("pk", filter=tab.where(officer, day))
            for tab in _COUNTED
        }
    )
    failed = Letter.objects.failed().values("ticket").distinct().count()
    return {tab.name: found[tab.name.replace("-", "_")] for tab in _COUNTED} | {FAILED: failed}


def nothing_in(tab: Tab) -> str:
    """Why a whole tab is empty, in a sentence that counts the tickets it speaks of."""
    tickets = Ticket.objects.worked()
    total, open_now = tickets.count(), tickets.open().count()
    if not total:
        return "No objection has been received yet."
    if tab.name in (CLOSED, FAILED):
        letters = Letter.objects.all()
        return tab.empty.format(
            tickets=f"{total:,}",
            letters=f"{letters.count():,}",
            unsent=f"{letters.waiting().count():,}",
        )
    sentence = tab.empty if open_now else NO_TICKET_IS_OPEN
    return sentence.format(tickets=f"{total:,}", open=f"{open_now:,}")


def marked(tickets: QuerySet[Any]) -> QuerySet[Any]:
    """With `is_proposed`, `is_sent_back` and `has_failed_letter`, for what a row of the queue says beside its state."""
    of_ticket = {"ticket": OuterRef("pk")}
    return tickets.with_officer_known().annotate(  # type: ignore[attr-defined]  # it is ours
        is_proposed=Exists(Proposal.objects.waiting().filter(**of_ticket)),
        is_sent_back=Exists(Proposal.objects.returned().filter(**of_ticket)),
        has_failed_letter=Exists(Letter.objects.failed().filter(**of_ticket)),
    )


def purposes_of(ticket: Ticket) -> str:
    """The purposes a ticket names, in their own order, out of what was fetched with it."""
    named = {one.purpose for one in ticket.objections.all()}
    return ", ".join(purpose.label for purpose in Purpose if purpose in named)


# --- Filters ------------------------------------------------------------------------------------


class QueueFilter(OptionFilter):
    """The tabs. The page shows them above the table, not among the filters."""

    title = "part of the queue"
    parameter_name = "queue"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(tab.name, tab.title) for tab in TABS]

    def rows_with(self, rows: QuerySet[Any], option: str) -> QuerySet[Any]:
        return in_tab(rows, _BY_NAME[option], staff(self.request))

    def rows_without(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        tab = tab_of(self.request)
        return in_tab(rows, tab, staff(self.request)) if tab else rows


class StateFilter(OptionFilter):
    """The states of the tab's tickets: the state of open ones, the ending of closed ones."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        tab = tab_of(request)
        is_open = [(state.value, str(state.label)) for state in OPEN_STATES]
        if tab is None or tab.name == FAILED:
            return [*is_open, *ENDINGS.items()]
        return list(ENDINGS.items()) if tab.name == CLOSED else is_open

    def rows_with(self, rows: QuerySet[Any], option: str) -> QuerySet[Any]:
        return rows.ended_as(option)  # type: ignore[attr-defined]  # it is ours


class PurposeFilter(OptionFilter):
    title = "purpose"
    parameter_name = "purpose"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return list(Purpose.choices)

    def rows_with(self, rows: QuerySet[Any], option: str) -> QuerySet[Any]:
        named = Objection.objects.filter(ticket=OuterRef("pk"), purpose=option)
        return rows.filter(Exists(named))


class NamedFilter(OptionFilter):
    """Tickets about an account that no file of the product has named: its reference may be mistyped."""

    title = "account"
    parameter_name = "named"
    NO = "no"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(self.NO, "no file has named it")]

    def rows_with(self, rows: QuerySet[Any], option: str) -> QuerySet[Any]:
        return rows.filter(of_no_file())


def of_no_file() -> Q:
    """Tickets that name an account we do not know, or one that only a decision has told us of."""
    named = Requester.objects.filter(account_named__gt="", ticket__member=None)
    heard_of = Member.objects.filter(reference__is_confirmed=False)
    return Q(pk__in=named.values("ticket")) | Q(member__in=heard_of.values("pk"))
