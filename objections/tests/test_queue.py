"""The queue: what is due and in which words, who sees it, finding people's tickets, acts on many at once."""

import datetime as dt
import re
from collections.abc import Callable
from html import unescape
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from consent.models import Member
from ledger import entries
from ledger.models import AccessRecord, Entry
from objections import acts
from objections.choices import LetterState, TicketState
from objections.clock import deadlines
from objections.errors import PersonalDataErased
from objections.intake import planting
from objections.letters import composing
from objections.models import Letter, Requester, Ticket
from objections.querysets import paused
from objections.staff.bulk import ACTS, MAX_TICKETS
from objections.staff.filters import TABS, counts, in_tab
from objections.ticket import clocks
from objections.ticket.due import Due, due
from tools import factories

pytestmark = pytest.mark.django_db

QUEUE = "/admin/objections/ticket/"
NOON = dt.time(12, tzinfo=dt.UTC)


def on(day: str) -> Any:
    """The clock of the machine at noon of that day."""
    return time_machine.travel(dt.datetime.combine(dt.date.fromisoformat(day), NOON), tick=False)


def versions(*tickets: Ticket) -> str:
    return " ".join(f"{one.pk}:{one.version}" for one in tickets)


# --- What is due, in words ----------------------------------------------------------------------


def ticket(regime: str = "eu", received: str = "2026-11-03", **facts: Any) -> Ticket:
    """A ticket that is nowhere but here, with the clock of its receipt."""
    clock = deadlines.start(dt.date.fromisoformat(received), regime, time_zone="Europe/Dublin")
    dates = {
        name: dt.date.fromisoformat(fact) if name.endswith(("_on", "_by")) else fact
        for name, fact in facts.items()
    }
    for name in ("closed_at", "answered_at"):
        if name in facts:
            dates[name] = dt.datetime.combine(dt.date.fromisoformat(facts[name]), NOON)
    return Ticket(
        **{
            "reference": "OBJ-2026-000001",
            "state": TicketState.IN_REVIEW,
            "channel": "product",
            "is_authenticated": True,
            "regime": regime,
            "clock": clock.as_json(),
            "due_on": clock.base_due,
            "refuse_by": clock.refuse_by,
            "target_on": clock.target,
            **dates,
        }
    )


# Received on Tuesday 3 November 2026: in the EU due on Thursday 3 December, the target is 1 December.
@pytest.mark.parametrize(
    ("facts", "today", "expected"),
    [
        ({}, "2026-11-03", Due("30 days left")),
        ({}, "2026-11-25", Due("8 days left")),
        ({}, "2026-11-26", Due("7 days left", "warning")),
        ({}, "2026-11-30", Due("3 days left", "warning")),
        (
            {},
            "2026-12-02",
            Due("1 day left", "warning", ("past internal target of 1 December",)),
        ),
        (
            {},
            "2026-12-03",
            Due("due today", "danger", ("past internal target of 1 December",)),
        ),
        ({}, "2026-12-04", Due("overdue since yesterday", "danger")),
        ({}, "2026-12-08", Due("overdue since Thursday", "danger")),
        ({}, "2026-12-10", Due("overdue since 3 December", "danger")),
        ({}, "2027-01-02", Due("overdue since 3 December 2026", "danger")),
        (
            {"state": TicketState.EXTENDED, "extended_on": "2026-11-20", "due_on": "2027-02-03"},
            "2026-12-02",
            Due("63 days left", "", ("refuse by 3 December",)),
        ),
        (
            {"state": TicketState.EXTENDED, "extended_on": "2026-11-20", "due_on": "2027-02-03"},
            "2026-12-04",
            Due("61 days left", "", ("the deadline for refusing was 3 December",)),
        ),
        (
            {"regime": "uk"},
            "2026-11-26",
            Due("7 days left", "warning", ("strictest reading: 2 December",)),
        ),
        (
            {"regime": "uk"},
            "2026-12-03",
            Due(
                "due today",
                "danger",
                ("past the strictest reading: 2 December", "past internal target of 1 December"),
            ),
        ),
        (
            {"state": TicketState.IDENTITY_CHECK, "identity_asked_on": "2026-11-05"},
            "2026-12-04",
            Due(
                "clock paused: identity asked 5 November",
                "",
                ("may be closed unanswered from 5 December",),
            ),
        ),
        (
            {"state": TicketState.IDENTITY_CHECK, "identity_asked_on": "2026-11-05"},
            "2026-12-05",
            Due(
                "clock paused: identity asked 5 November",
                "",
                ("no answer in 30 days: may be closed",),
            ),
        ),
        (
            {"state": TicketState.IDENTITY_CHECK, "identity_asked_on": "2026-11-16"},
            "2026-11-18",
            Due("15 days left", "", ("identity asked 16 November, the clock runs on",)),
        ),
        (
            {
                "state": TicketState.IDENTITY_CHECK,
                "identity_asked_on": "2026-11-16",
                "regime": "uk",
            },
            "2026-11-18",
            Due(
                "clock paused: identity asked 16 November",
                "",
                ("may be closed unanswered from 16 December",),
            ),
        ),
        (
            {"state": TicketState.IDENTITY_CHECK},
            "2026-11-05",
            Due("28 days left", "", ("identity request not sent yet",)),
        ),
        (
            {"state": TicketState.RECEIVED, "channel": "form", "is_authenticated": False},
            "2026-11-05",
            Due("28 days left", "", ("e-mail not confirmed",)),
        ),
        (
            {"state": TicketState.UPHELD, "closed_at": "2026-11-10"},
            "2026-11-12",
            Due("decided, letter not sent: 21 days left", "warning"),
        ),
        (
            {"state": TicketState.UPHELD, "closed_at": "2026-11-10"},
            "2026-12-04",
            Due("decided, letter not sent: overdue since yesterday", "danger"),
        ),
        (
            {"state": TicketState.UPHELD, "closed_at": "2026-11-10", "answered_at": "2026-11-11"},
            "2027-12-04",
            Due("answered on 11 November 2026", "good"),
        ),
        (
            {"state": TicketState.UPHELD, "closed_at": "2026-12-04", "answered_at": "2026-12-05"},
            "2026-12-05",
            Due("answered on 5 December, 2 days late", "danger"),
        ),
        (
            {
                "state": TicketState.REFUSED,
                "due_on": "2027-02-03",
                "closed_at": "2026-12-04",
                "answered_at": "2026-12-04",
            },
            "2026-12-05",
            Due("answered on 4 December, 1 day late", "danger"),
        ),
    ],
)
def test_what_is_due_in_words(facts: dict[str, Any], today: str, expected: Due) -> None:
    assert due(ticket(**facts), dt.date.fromisoformat(today)) == expected


@pytest.mark.parametrize("regime", ["eu", "uk", "ch", "us-ca"])
@pytest.mark.parametrize("received", ["2026-01-05", "2026-01-31", "2026-02-04", "2026-11-03"])
@pytest.mark.parametrize("asked_after", [None, 0, 7, 8, 27, 40])
def test_the_list_and_the_words_agree_when_a_clock_stands_still(
    regime: str, received: str, asked_after: int | None
) -> None:
    with on(received):
        row = factories.objection()
    facts = ticket(regime, received)
    for name in ("regime", "clock", "due_on", "refuse_by", "target_on"):
        setattr(row, name, getattr(facts, name))
    row.state = TicketState.IDENTITY_CHECK
    if asked_after is not None:
        row.identity_asked_on = dt.date.fromisoformat(received) + dt.timedelta(days=asked_after)
    with entries.entry("test.act", actor="test"):
        row.save()

    in_the_list = Ticket.objects.filter(paused()).exists()

    assert in_the_list == clocks.is_paused(row, deadlines.Clock.from_json(row.clock))
    # A part that is neither paused nor overdue would be in no list.
    assert Ticket.objects.overdue(dt.date(2028, 1, 1)).exists() == (not in_the_list)


def test_a_day_is_that_of_the_establishment_that_answers(officer: User, client_of: Any) -> None:
    with time_machine.travel("2026-07-01T23:30Z", tick=False):
        factories.objection()
        page = client_of(officer).get(QUEUE)

    assert '<td class="field-received_on">2 Jul 2026</td>' in page.text
    assert "33 days left" in page.text


# --- The list -----------------------------------------------------------------------------------


@pytest.fixture
def desk(officer: User, second_officer: User) -> dict[str, Ticket]:
    """A ticket for every part of the queue, by the name of the part; today is Wednesday 18 November 2026."""
    factories.add_members(12)
    found = {}
    with on("2026-10-01"):
        found["overdue"] = factories.objection("acc-0")
        found["closed"] = factories.uphold(factories.objection("acc-1"), officer)
    with on("2026-10-20"):
        found["due-this-week"] = factories.objection("acc-2")
    with on("2026-11-18"):
        found["mine"] = factories.reviewed(factories.objection("acc-3"), officer)
        found["waiting"] = factories.objection(country="FR")
        row = factories.reviewed(factories.objection("acc-4"), second_officer)
        found["second-person"] = acts.withdraw.do(
            ticket=row, evidence=factories.EVIDENCE, version=row.version or 0, actor=second_officer
        ).ticket
        found["failed-letters"] = factories.objection("acc-5")
        found["set-aside"] = factories.objection(looks_automatic=True, channel="product")
    with entries.entry("letter.failed", actor="test"):
        for letter in Letter.objects.filter(ticket=found["failed-letters"]):
            letter.state = LetterState.FAILED
            letter.save()
    return found


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("open", {"overdue", "due-this-week", "mine", "waiting", "second-person", "failed-letters", "set-aside"}),
        ("mine", {"mine"}),
        ("unassigned", {"overdue", "due-this-week", "waiting", "failed-letters", "set-aside"}),
        ("due-this-week", {"due-this-week"}),
        ("overdue", {"overdue"}),
        ("not-matched", {"waiting", "set-aside"}),
        ("waiting", {"waiting"}),
        ("second-person", {"second-person"}),
        ("failed-letters", {"failed-letters"}),
        ("set-aside", {"set-aside"}),
        ("closed", {"closed"}),
    ],
)  # fmt: skip
def test_what_each_part_of_the_queue_holds(
    name: str, expected: set[str], desk: dict[str, Ticket], officer: User, client_of: Any
) -> None:
    names = {row.pk: part for part, row in desk.items()}

    with on("2026-11-18"):
        page = client_of(officer).get(QUEUE, {"queue": name})
        counted = counts(officer)

    assert {names[row.pk] for row in page.context["cl"].result_list} == expected
    assert counted.get(name, len(expected)) == len(expected)


def test_a_letter_that_failed_after_the_decision_shows_too(officer: User, client_of: Any) -> None:
    factories.add_member("acc-0")
    row = factories.uphold(factories.objection("acc-0"), officer)
    with entries.entry("letter.failed", actor="test"):
        letter = Letter.objects.filter(ticket=row).latest("pk")
        letter.state = LetterState.FAILED
        letter.save()

    page = client_of(officer).get(QUEUE, {"queue": "failed-letters"})

    assert list(page.context["cl"].result_list) == [row]
    assert counts(officer)["failed-letters"] == 1


def test_the_queue_begins_with_what_is_due_first(
    desk: dict[str, Ticket], officer: User, client_of: Any
) -> None:
    page = client_of(officer).get(QUEUE)

    days = [row.due_on for row in page.context["cl"].result_list]
    assert len(days) == 7
    assert days == sorted(days)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"state": "in_review"}, {"mine", "second-person"}),
        ({"country": "FR"}, {"waiting"}),
        ({"purpose": "safety"}, set()),
        ({"channel__exact": "form"}, {"waiting"}),
        ({"regime__exact": "uk"}, set()),
        ({"q": "OBJ-2026-000001"}, {"overdue"}),
        ({"q": "obj-2026-000002"}, {"closed"}),
        ({"q": "2"}, {"closed"}),
        ({"q": "OBJ-2026-00000", "queue": "overdue"}, {"overdue"}),
        ({"q": "OBJ-2027"}, set()),
    ],
)
def test_filters_and_search(
    query: dict[str, str],
    expected: set[str],
    desk: dict[str, Ticket],
    officer: User,
    client_of: Any,
) -> None:
    names = {row.pk: part for part, row in desk.items()}

    with on("2026-11-18"):
        page = client_of(officer).get(QUEUE, query)

    assert {names[row.pk] for row in page.context["cl"].result_list} == expected


@pytest.mark.parametrize(
    "term",
    [
        "'; DROP TABLE x; --",
        "%",
        "_",
        "\u202e431",
        "٤",
        "9" * 400,
        "OBJ-%",
        "a@example.org",
        "\\",
        "²",
    ],
)
def test_a_hostile_search_finds_nothing(term: str, officer: User, client_of: Any) -> None:
    factories.objection(email="a@example.org")

    page = client_of(officer).get(QUEUE, {"q": term})

    assert page.status_code == 200
    assert list(page.context["cl"].result_list) == []


@pytest.mark.parametrize("query", [{"queue": "x"}, {"state": "x"}, {"purpose": "\u202e"}])
def test_nonsense_in_the_address_is_refused_and_never_read_as_another_part_of_the_queue(
    query: dict[str, str], officer: User, client_of: Any
) -> None:
    assert client_of(officer).get(QUEUE, query).status_code == 400


def test_test_accounts_are_not_in_the_queue(officer: User, client_of: Any) -> None:
    member = Member.objects.get(pk=factories.add_member("acc-0"))
    row = planting.keep_out(member=member, purposes=["safety"], effect="restricting", actor="test")
    client = client_of(officer)

    page = client.get(QUEUE)
    found = client.get(QUEUE, {"q": row.reference})

    assert unescape(page.text).count("No objection has been received yet.") == 1
    assert list(found.context["cl"].result_list) == []


@pytest.mark.parametrize("tab", TABS, ids=lambda tab: tab.name)
def test_an_empty_part_says_of_how_many_tickets_that_is_so(
    tab: Any, officer: User, client_of: Any
) -> None:
    client = client_of(officer)
    without_any = said_of(client.get(QUEUE, {"queue": tab.name}))
    factories.add_members(2)
    closed = factories.uphold(factories.objection("acc-0", country="DE"), officer)
    all_closed = said_of(client.get(QUEUE, {"queue": tab.name}))
    one = factories.objection("acc-1", country="DE")
    acts.assign.do(ticket=one, officer=officer, version=one.version or 0, actor=officer)
    filtered = said_of(client.get(QUEUE, {"queue": tab.name, "country": "NO"}))
    whole = client.get(QUEUE, {"queue": tab.name})

    assert without_any == "No objection has been received yet."
    if tab.name == "failed-letters":
        assert all_closed.startswith(f"None of the {closed.letters.count()} letters")
    elif tab.name != "closed":
        assert all_closed == "No ticket is open: all 1 are closed."
    if whole.context["cl"].result_count:
        assert filtered == "None of the 1 tickets in this part match the filters. Show all of it"
    else:
        # With or without filters: it is the whole part that is empty.
        assert filtered == said_of(whole)
        assert re.search(r"[0-9]", filtered)


def said_of(page: Any) -> str:
    """What the list says in place of its rows."""
    found = re.search(r'<p class="empty nothing">(.*?)</p>', page.text, re.DOTALL)
    return unescape(re.sub(r"<[^>]+>", "", found.group(1))).strip() if found else ""


def test_a_filter_without_hits_does_not_say_that_no_ticket_is_open(
    officer: User, client_of: Any
) -> None:
    for _ in range(3):
        factories.objection(country="DE")

    found = said_of(client_of(officer).get(QUEUE, {"country": "NO"}))

    assert found == "None of the 3 tickets in this part match the filters. Show all of it"


@pytest.mark.parametrize("more", [{"queue": "open"}, {"queue": "mine"}, {"country": "NO"}])
def test_a_closed_ticket_that_is_searched_from_another_part_is_said_to_be_there(
    more: dict[str, str], officer: User, client_of: Any
) -> None:
    closed = factories.uphold(factories.objection(country="DE"), officer)
    client = client_of(officer)

    found = client.get(QUEUE, {"q": closed.reference, **more})

    assert "but 1 among all tickets does. Show it" in said_of(found)
    there = re.search(r'href="(\?q=[^"]+)">Show it', found.text)
    assert there
    assert list(client.get(QUEUE + there.group(1)).context["cl"].result_list) == [closed]
    unknown = said_of(client.get(QUEUE, {"q": "OBJ-2026-999999", **more}))
    assert unknown.startswith("No ticket has this reference: all 1, open and closed, were searched")


def test_looking_at_the_queue_is_recorded(officer: User, client_of: Any) -> None:
    client_of(officer).get(QUEUE)

    assert AccessRecord.objects.get().kind == "ticket.listed"


def test_more_tickets_take_no_more_queries(officer: User, client_of: Any) -> None:
    client = client_of(officer)

    def queries() -> int:
        with CaptureQueriesContext(connection) as found:
            client.get(QUEUE)
        return len(found)

    factories.objection()
    at_one = queries()
    for _ in range(29):
        factories.objection()
    at_thirty = queries()

    assert at_one == at_thirty
    assert at_thirty < 12


# --- Who may ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("person", "expected"),
    [
        ("officer", {"list": 200, "export": 200, "look-up": 200, "bulk": 302, "take": 302}),
        ("auditor", {"list": 200, "export": 200, "look-up": 403, "bulk": 403, "take": 403}),
        ("engineer", {"list": 403, "export": 403, "look-up": 403, "bulk": 403, "take": 403}),
        ("stranger", {"list": 403, "export": 403, "look-up": 403, "bulk": 403, "take": 403}),
    ],
)
def test_who_may_do_what(
    person: str,
    expected: dict[str, int],
    client_of: Any,
    request: pytest.FixtureRequest,
) -> None:
    row = factories.objection()
    client = client_of(request.getfixturevalue(person))

    found = {
        "list": client.get(QUEUE).status_code,
        "export": client.get(f"{QUEUE}export/csv/").status_code,
        "look-up": client.get(f"{QUEUE}look-up/").status_code,
        "take": client.post(f"{QUEUE}take/", {"tickets": versions(row)}).status_code,
    }
    row.refresh_from_db()
    # Not "take" once more: the assignee sees that the ticket is theirs.
    found["bulk"] = client.post(
        f"{QUEUE}bulk/begin-review/", {"tickets": versions(row)}
    ).status_code

    assert found == expected


def test_an_auditor_sees_the_queue_without_anything_to_do(auditor: User, client_of: Any) -> None:
    row = factories.objection()

    page = client_of(auditor).get(QUEUE).text

    assert row.reference in page
    assert [word in page for word in (">Take<", 'name="action"', "Find by e-mail")] == [False] * 3


def test_an_auditor_who_sends_an_action_all_the_same_changes_nothing(
    auditor: User, client_of: Any
) -> None:
    row = factories.objection()
    before = Entry.objects.count()

    client_of(auditor).post(QUEUE, {"action": "uphold", "_selected_action": [row.pk]})

    assert Entry.objects.count() == before


# --- A person's tickets -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "person", ["Maria@Example.org", "acc-0", "acc-named"], ids=["address", "member", "named"]
)
def test_a_persons_tickets_are_found_with_those_linked_to_them(
    person: str, officer: User, client_of: Any
) -> None:
    factories.add_member("acc-0")
    mine = [
        factories.objection("acc-0", email="maria@example.org"),
        factories.objection(email="maria@example.org"),
        factories.objection(email="maria@example.org"),
    ]
    factories.objection(email="requester@example.org")
    Requester.objects.filter(ticket=mine[1]).update(account_named="acc-named")

    page = client_of(officer).post(f"{QUEUE}look-up/", {"person": person})

    assert [row for row, *_ in page.context["found"]] == mine
    assert "example.org" not in str(page.request["QUERY_STRING"])
    read = AccessRecord.objects.get()
    assert (read.kind, read.subject) == ("ticket.looked_up", mine[0].reference)


@pytest.mark.parametrize("person", ["unknown@example.org", "%", "' OR 1=1 --", "\u202emaria"])
def test_looking_up_an_unknown_person_says_so_and_is_recorded(
    person: str, officer: User, client_of: Any
) -> None:
    factories.objection()

    page = client_of(officer).post(f"{QUEUE}look-up/", {"person": person})

    assert "No tickets match." in page.text
    assert AccessRecord.objects.get().subject == "unknown"


# --- Acts on many -------------------------------------------------------------------------------


def choose(client: Client, action: str, *tickets: Ticket) -> Any:
    """Tick the rows and press Go."""
    return client.post(
        QUEUE, {"action": action, "_selected_action": [one.pk for one in tickets]}, follow=True
    )


def agree(client: Client, name: str, page: Any, **more: Any) -> Any:
    """Press the button of the page that says what will happen."""
    shown = page.context["form"]
    return client.post(f"{QUEUE}bulk/{name}/", {"tickets": shown["tickets"].value(), **more})


ACTIONS = {
    "take": "take",
    "assign": "assign",
    "begin_review": "begin-review",
    "uphold": "uphold",
    "release": "release",
}


@pytest.mark.parametrize("action", ACTIONS)
def test_the_page_of_an_act_shows_it_and_does_nothing_yet(
    action: str, officer: User, client_of: Any
) -> None:
    row = factories.objection(looks_automatic=action == "release")
    before = Entry.objects.count()

    page = choose(client_of(officer), action, row)

    assert page.context["title"] == ACTS[ACTIONS[action]].many.title
    assert [shown["ticket"] for shown in page.context["rows"]] == [row]
    assert Entry.objects.count() == before


@pytest.mark.parametrize(
    ("action", "is_done"),
    [
        ("take", lambda row, officer: row.assignee == officer),
        ("assign", lambda row, officer: row.assignee == officer),
        ("begin_review", lambda row, officer: row.state == TicketState.IN_REVIEW),
        ("uphold", lambda row, officer: row.state == TicketState.UPHELD),
        ("release", lambda row, officer: not row.is_set_aside),
    ],
)
def test_agreeing_does_it_for_each(
    action: str, is_done: Callable[[Ticket, User], bool], officer: User, client_of: Any
) -> None:
    rows = [factories.objection(looks_automatic=action == "release") for _ in range(2)]
    client = client_of(officer)

    answer = agree(client, ACTIONS[action], choose(client, action, *rows), officer=str(officer.pk))

    assert answer.status_code == 302
    assert [
        is_done(row, officer) for row in Ticket.objects.filter(pk__in=[r.pk for r in rows])
    ] == [
        True,
        True,
    ]


def test_a_flood_is_closed_as_abuse_in_one_go_by_two_people(
    officer: User, second_officer: User, client_of: Any
) -> None:
    rows = [factories.objection(looks_automatic=True) for _ in range(3)]
    genuine = factories.objection()
    first, second = client_of(officer), client_of(second_officer)

    page = choose(first, "close_abuse", *rows, genuine)
    agree(first, "close-abuse", page, evidence=factories.EVIDENCE)
    own = choose(first, "approve_abuse", *rows)
    again = choose(second, "approve_abuse", *rows, genuine)
    agree(second, "approve-abuse", again, reason="looked at ten of them")

    assert [shown["why_not"] for shown in page.context["refused"]] == [
        f"{genuine} was not set aside: the requester gets an answer."
    ]
    assert {shown["why_not"] for shown in own.context["refused"]} == {"You proposed it yourself."}
    assert [shown["ticket"] for shown in again.context["refused"]] == [genuine]
    closed = Ticket.objects.closed()
    assert set(closed) == set(rows)
    assert not Letter.objects.filter(ticket__in=rows).exists()
    assert {row.objections.get().effect for row in closed} == {"restricting"}


def test_an_outcome_with_a_letter_is_not_approved_unread(
    officer: User, second_officer: User, client_of: Any
) -> None:
    row = factories.reviewed(factories.objection(channel="email"), officer)
    acts.withdraw.do(
        ticket=row, evidence=factories.EVIDENCE, version=row.version or 0, actor=officer
    )
    client = client_of(second_officer)
    row.refresh_from_db()

    answer = client.post(
        f"{QUEUE}bulk/approve-abuse/", {"tickets": f"{row.pk}:{row.version}", "reason": "x"}
    )

    assert "No proposal to close it as abuse waits." in answer.text
    assert Ticket.objects.get().is_open


def test_a_change_made_meanwhile_is_kept_and_its_author_named(
    officer: User, second_officer: User, client_of: Any
) -> None:
    stale, fresh = factories.objection(), factories.objection()
    client = client_of(officer)
    page = choose(client, "uphold", stale, fresh)
    acts.assign.do(
        ticket=stale, officer=second_officer, version=stale.version or 0, actor=second_officer
    )

    answer = agree(client, "uphold", page)

    assert answer.context["title"] == "Upheld: 1 of 2"
    assert f"{stale} was changed in the meantime" in answer.text
    states = {row.pk: row.state for row in Ticket.objects.all()}
    assert states == {stale.pk: TicketState.RECEIVED, fresh.pk: TicketState.UPHELD}


def test_what_an_act_cannot_be_done_to_is_left_and_says_why(
    officer: User, second_officer: User, client_of: Any
) -> None:
    asked = factories.objection()
    acts.ask_identity.do(
        ticket=asked, **factories.IDENTITY, version=asked.version or 0, actor=officer
    )
    proposed = factories.reviewed(factories.objection(channel="email"), officer)
    acts.withdraw.do(
        ticket=proposed, evidence=factories.EVIDENCE, version=proposed.version or 0, actor=officer
    )
    aside = factories.objection(looks_automatic=True)
    fine = factories.objection()
    client = client_of(officer)

    page = choose(client, "uphold", asked, proposed, aside, fine)
    agree(client, "uphold", page)

    assert {shown["ticket"]: shown["why_not"] for shown in page.context["refused"]} == {
        asked: "Identity was asked for: record the answer, or go on without it, first.",
        proposed: f"An outcome of {proposed} waits for a second person: it is approved or sent back first.",
        aside: f"{aside} was set aside: release it first, so that it may be answered.",
    }
    fine.refresh_from_db()
    assert fine.state == TicketState.UPHELD


def test_what_must_be_known_first_is_said_with_the_tickets_it_is_about(
    officer: User, client_of: Any
) -> None:
    factories.add_member("acc-0")
    known = factories.objection("acc-0")
    stranger, other = factories.objection(), factories.objection(channel="email")
    client = client_of(officer)

    found = {
        action: choose(client, action, known, stranger, other).context["warnings"]
        for action in ("begin_review", "uphold", "take")
    }

    assert found == {
        "begin_review": [
            f"{stranger}, {other}: The requester is unidentified, and you can no longer request identification after this."
        ],
        "uphold": [
            f"{stranger}: The address is not confirmed: it may be a stranger's.",
            f"{stranger}, {other}: No account is matched: it excludes no member.",
        ],
        "take": [],
    }


def test_a_row_says_that_no_account_is_matched(officer: User, client_of: Any) -> None:
    factories.add_member("acc-0")
    factories.objection("acc-0")
    mark = "not matched: excludes no member yet"
    client = client_of(officer)

    before = client.get(QUEUE).text.count(mark)
    factories.objection()

    assert [before, client.get(QUEUE).text.count(mark)] == [0, 1]


def test_a_refused_uphold_leaves_no_review_behind(
    officer: User, client_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = factories.objection()
    client = client_of(officer)
    page = choose(client, "uphold", row)

    def refuse_the_letter(*args: Any, **kwargs: Any) -> None:
        raise PersonalDataErased("erased")

    monkeypatch.setattr(composing, "queue", refuse_the_letter)
    agree(client, "uphold", page)

    row.refresh_from_db()
    assert (row.state, row.assignee) == (TicketState.RECEIVED, None)


def test_a_ticket_is_assigned_only_to_officers(
    officer: User, engineer: User, client_of: Any
) -> None:
    row = factories.objection()
    client = client_of(officer)

    page = agree(client, "assign", choose(client, "assign", row), officer=str(engineer.pk))

    row.refresh_from_db()
    assert row.assignee is None
    assert page.context["form"]["tickets"].value() == versions(row)


def test_too_many_at_once_are_refused_in_words(
    officer: User, client_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("objections.staff.bulk.MAX_TICKETS", 1)
    rows = [factories.objection() for _ in range(2)]

    page = choose(client_of(officer), "take", *rows)

    assert "At most 1 tickets in one go" in page.text
    assert MAX_TICKETS == 500


def test_a_ticket_is_not_taken_twice_by_the_same_officer(officer: User, client_of: Any) -> None:
    row = factories.objection()
    client = client_of(officer)
    agree(client, "take", choose(client, "take", row))
    row.refresh_from_db()
    before = Entry.objects.count()

    page = choose(client, "take", row)
    answer = client.post(f"{QUEUE}bulk/take/", {"tickets": versions(row)})

    assert [shown["why_not"] for shown in page.context["refused"]] == [f"{row} is yours already."]
    assert f"{row} is yours already." in answer.text
    assert Entry.objects.count() == before


@pytest.mark.parametrize("sent", ["", "x", "1", "1:1,2:2", "1:1 ", "99999999999999999999:1"])
def test_an_act_on_nonsense_is_refused(sent: str, officer: User, client_of: Any) -> None:
    client = client_of(officer)

    answers = [
        client.post(f"{QUEUE}{page}/", {"tickets": sent}).status_code
        for page in ("bulk/take", "take")
    ]

    assert answers == [400, 400]


def test_no_act_of_another_name_exists(officer: User, client_of: Any) -> None:
    assert client_of(officer).post(f"{QUEUE}bulk/refuse/", {"tickets": "1:1"}).status_code == 404


def test_the_button_in_a_row_takes_the_ticket_and_comes_back_to_the_list_as_it_was(
    officer: User, client_of: Any
) -> None:
    row = factories.objection(country="FR")
    client = client_of(officer)
    page = client.get(QUEUE, {"queue": "unassigned", "country": "FR"}).text
    address = unescape(page.split('formaction="')[1].split('"')[0])

    answer = client.post(address, {"tickets": versions(row)})

    row.refresh_from_db()
    assert row.assignee == officer
    assert answer.url == f"{QUEUE}?queue=unassigned&country=FR"


def test_a_ticket_that_a_colleague_took_is_not_taken_from_them(
    officer: User, second_officer: User, client_of: Any
) -> None:
    row = factories.objection()
    shown = versions(row)
    acts.assign.do(
        ticket=row, officer=second_officer, version=row.version or 0, actor=second_officer
    )

    client_of(officer).post(f"{QUEUE}take/", {"tickets": shown})

    row.refresh_from_db()
    assert row.assignee == second_officer


# --- A file -------------------------------------------------------------------------------------


def test_the_file_holds_the_filtered_list_and_no_personal_data(
    auditor: User, officer: User, client_of: Any
) -> None:
    factories.add_member("acc-0", country="DE")
    with on("2026-11-03"):
        factories.objection(country="FR")
        row = factories.uphold(
            factories.objection("acc-0", name="Maria", email="m@example.org"), officer
        )
        factories.send_letters(row)

    answer = client_of(auditor).get(f"{QUEUE}export/csv/", {"queue": "closed"})
    lines = b"".join(answer.streaming_content).decode().splitlines()

    assert lines[1:] == [
        f"{row.reference},upheld,2026-11-03,2026-12-03,2026-12-03,2026-11-03,2026-11-03,yes,"
        "eu,DE,generative-ai,upheld,objection,product,yes,olga,no"
    ]
    assert [read.kind for read in AccessRecord.objects.all()] == ["export.ticket"]
    assert answer["Content-Disposition"] == 'attachment; filename="objection-tickets.csv"'


@pytest.mark.parametrize(
    "query",
    [{"nonsense": "1"}, {"assignee__id__exact": "olga"}],
    ids=["a filter that is none", "a number that is none"],
)
def test_a_file_of_a_list_that_cannot_be_is_refused_and_no_read_is_recorded(
    query: dict[str, Any], officer: User, client_of: Any
) -> None:
    factories.objection()

    answer = client_of(officer).get(f"{QUEUE}export/csv/", query)

    assert answer.status_code == 400
    assert not AccessRecord.objects.exists()


# --- The start page -----------------------------------------------------------------------------


def test_the_start_page_says_what_waits(
    desk: dict[str, Ticket], officer: User, auditor: User, client_of: Any
) -> None:
    with on("2026-11-18"):
        panels = {
            panel.title: [line.text for line in panel.lines]
            for panel in client_of(officer).get(reverse("admin:index")).context["panels"]
        }
        for_auditors = [
            panel.title
            for panel in client_of(auditor).get(reverse("admin:index")).context["panels"]
        ]

    assert panels["Objections"] == [
        "Open: 7",
        "Mine: 1",
        "Unassigned: 5",
        "Due this week: 1",
        "Overdue: 1",
        "Not matched: 2",
        "Waiting for the person: 1",
        "Waiting for a second person: 1",
        "Letters that failed: 1",
        "Set aside: 1",
    ]
    assert panels["Your next tickets"] == [desk["mine"].reference]
    assert panels["Outcomes waiting for your word"] == [f"{desk['second-person']}: withdrawn"]
    assert "Objections" in for_auditors
    assert "Your next tickets" not in for_auditors


def test_counting_and_narrowing_mean_the_same(desk: dict[str, Ticket], officer: User) -> None:
    with on("2026-11-18"):
        counted = counts(officer)
        narrowed = {
            tab.name: in_tab(Ticket.objects.worked(), tab, officer).count()
            for tab in TABS
            if tab.name in counted
        }

    assert counted == narrowed
