"""Figures: counted right, in the weeks and days of the establishment, and drawn so that everybody can read them."""

import datetime as dt
import re
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from consent.models import Member
from objections import acts
from objections.choices import Effect, Outcome
from objections.intake import planting
from objections.reports import charts, figures
from objections.reports.figures import Period
from tools import factories

pytestmark = pytest.mark.django_db

DUBLIN = ZoneInfo("Europe/Dublin")
TODAY = dt.date(2026, 7, 1)
PERIOD = Period.until(TODAY)


def at(day: str, hour: int = 12) -> time_machine.travel:
    return time_machine.travel(
        dt.datetime.fromisoformat(day).replace(hour=hour, tzinfo=DUBLIN), tick=False
    )


def received(day: str, **facts):
    with at(day):
        return factories.objection(**facts)


def answered(ticket, day: str, officer):
    """Upheld, and the letter sent, on a day."""
    with at(day):
        ticket = factories.uphold(ticket, officer)
        factories.send_letters(ticket)
    return ticket


def rows(table) -> dict:
    return {row[0]: list(row[1:]) for row in table.rows}


def test_a_week_begins_on_monday_where_the_establishment_is():
    # 23:30 UTC on Sunday is half past midnight on Monday in Dublin in summer.
    with time_machine.travel(dt.datetime(2026, 6, 14, 23, 30, tzinfo=dt.UTC), tick=False):
        factories.objection()
    received("2026-06-14")

    by_week = rows(figures.per_week(PERIOD))

    assert {week: row for week, row in by_week.items() if row != [0, 0]} == {
        dt.date(2026, 6, 8): [1, 0],
        dt.date(2026, 6, 15): [1, 0],
    }


def test_the_standard_period_is_half_a_year_and_ends_with_this_week():
    weeks = PERIOD.weeks

    assert (len(weeks), weeks[0], weeks[-1]) == (26, dt.date(2026, 1, 5), dt.date(2026, 6, 29))


def test_received_and_closed_are_counted_in_their_own_weeks(officer):
    answered(received("2026-05-01"), "2026-06-10", officer)
    received("2025-12-31")

    by_week = rows(figures.per_week(PERIOD))

    assert {week: row for week, row in by_week.items() if row != [0, 0]} == {
        dt.date(2026, 4, 27): [1, 0],
        dt.date(2026, 6, 8): [0, 1],
    }


@pytest.mark.parametrize(
    ("day", "band"),
    [
        ("2026-07-01", "0 to 7 days"),
        ("2026-06-24", "0 to 7 days"),
        ("2026-06-23", "8 to 14 days"),
        ("2026-06-03", "15 to 28 days"),
        ("2026-06-02", "29 to 60 days"),
        ("2026-05-01", "61 to 90 days"),
        ("2026-04-01", "more than 90 days"),
    ],
)
def test_an_open_ticket_is_as_old_as_days_have_passed(day, band):
    ticket = received(day)

    ages = rows(figures.open_by_age(PERIOD, TODAY))

    assert [name for name, (count, *_) in ages.items() if count] == [band]
    assert ages[band] == [1, int(ticket.due_on < TODAY), 0]


def test_a_ticket_whose_clock_may_stand_still_is_not_called_overdue(officer):
    with at("2026-04-01"):
        ticket = factories.objection()
        acts.ask_identity.do(ticket=ticket, **factories.IDENTITY, version=1, actor=officer)
        factories.send_letters(ticket)

    ages = rows(figures.open_by_age(PERIOD, TODAY))

    assert ages["more than 90 days"] == [1, 0, 1]


def test_answers_are_in_time_until_the_end_of_the_last_day(officer):
    # Due on 5 June: answered on the day, a day late, a week early.
    for day, hour in (("2026-06-05", 23), ("2026-06-06", 0), ("2026-05-29", 12)):
        ticket = received("2026-05-05")
        with at(day, hour):
            factories.send_letters(factories.uphold(ticket, officer))

    (_, *upheld), (_, *everything) = figures.answered(PERIOD, TODAY).rows

    assert upheld == [3, 2, 1, 0, 66.7, 31.0]
    assert everything == upheld


def test_a_refusal_has_a_day_of_its_own(officer, second_officer):
    def refused(day: str):
        ticket = received("2026-03-05", purposes=["safety"], channel="email")
        with at("2026-03-10"):
            ticket = factories.reviewed(ticket, officer)
            acts.extend.do(
                ticket=ticket,
                ground="complexity",
                explanation=factories.MORE_TIME,
                version=ticket.version,
                actor=officer,
            )
            factories.send_letters(ticket)
        with at(day):
            ticket.refresh_from_db()
            proposal = acts.decide.do(
                ticket=ticket,
                outcomes={"safety": Outcome.REFUSED},
                version=ticket.version,
                actor=officer,
                **factories.REFUSAL,
            )
            factories.send_letters(factories.approve(proposal, second_officer))
        return ticket

    ticket = refused("2026-04-07")
    refused("2026-04-08")

    assert ticket.due_on == dt.date(2026, 6, 5)
    assert rows(figures.answered(PERIOD, TODAY))["refused"][:4] == [2, 1, 1, 0]


@pytest.mark.parametrize(("day", "late", "unsent"), [("2026-06-05", 0, 1), ("2026-06-06", 1, 0)])
def test_a_letter_that_is_not_sent_is_late_once_its_day_has_passed(officer, day, late, unsent):
    ticket = received("2026-05-05")
    with at("2026-05-20"):
        factories.uphold(ticket, officer)

    table = figures.answered(PERIOD, dt.date.fromisoformat(day))

    assert rows(table)["All"] == [1, 0, late, unsent, 0.0 if late else None, None]


def test_a_duplicate_is_no_refusal(officer, second_officer):
    factories.add_member("acc-0")
    with at("2026-05-04"):
        factories.objection("acc-0", purposes=["safety"])
        ticket = factories.objection("acc-0", purposes=["safety"])
        ticket = factories.reviewed(ticket, officer)
        proposal = acts.decide.do(
            ticket=ticket,
            outcomes={"safety": Outcome.DUPLICATE},
            version=ticket.version,
            actor=officer,
        )
        factories.send_letters(factories.approve(proposal, second_officer))

    found = rows(figures.answered(PERIOD, dt.date(2026, 5, 10)))

    assert found == {
        "closed as a duplicate": [1, 1, 0, 0, 100.0, 0.0],
        "All": [1, 1, 0, 0, 100.0, 0.0],
    }


def test_who_still_waits_beyond_the_day_was_not_answered_in_time(officer):
    answered(received("2026-05-05"), "2026-05-20", officer)
    received("2026-05-05")
    received("2026-06-20")
    # Its day was before the period.
    received("2025-10-05")

    found = rows(figures.answered(PERIOD, TODAY))

    assert found == {
        "upheld": [1, 1, 0, 0, 100.0, 15.0],
        "still open": [0, 0, 1, 0, 0.0, None],
        "All": [1, 1, 1, 0, 50.0, 15.0],
    }


def test_no_letter_is_owed_to_what_is_closed_as_abuse(officer, second_officer):
    with at("2026-05-04"):
        ticket = factories.objection(looks_automatic=True)
        proposal = acts.close_abuse.do(
            ticket=ticket, evidence=factories.EVIDENCE, version=1, actor=officer
        )
        factories.approve(proposal, second_officer)

    found = rows(figures.answered(PERIOD, TODAY))

    assert found == {
        "closed as abuse": [1, 0, 0, 0, None, None],
        "All": [1, 0, 0, 0, None, None],
    }


def test_countries_and_purposes_are_counted_by_what_is_still_open(officer):
    both = ["generative-ai", "safety"]
    answered(received("2026-05-05", country="SE", purposes=both), "2026-05-20", officer)
    received("2026-05-06", country="SE", purposes=["safety"])
    received("2026-05-06", country="", purposes=["safety"])
    received("2026-05-06", country="ZZ", purposes=["safety"])

    assert rows(figures.by_country(PERIOD)) == {"not known": [2, 2], "Sweden": [2, 1]}
    assert rows(figures.by_purpose(PERIOD)) == {
        "Generative AI": [1, 0, 1, 0, 0, 0, 0],
        "Moderation and safety": [4, 3, 1, 0, 0, 0, 0],
    }


def test_purpose_and_regime_narrow_every_figure(officer):
    answered(received("2026-05-05", country="GB", purposes=["safety"]), "2026-05-20", officer)
    received("2026-05-05", country="GB", purposes=["safety", "generative-ai"])
    received("2026-05-05", country="SE", purposes=["safety"])
    received("2026-05-05", country="GB", purposes=["generative-ai"])

    period = Period.until(TODAY, purpose="safety", regime="uk")
    weeks, ages, answers, countries, purposes = figures.tables(period, TODAY)

    assert (sum(weeks.column(1)), sum(weeks.column(2))) == (2, 1)
    assert sum(ages.column(1)) == 1
    assert rows(answers)["All"][0] == 1
    assert rows(countries) == {"United Kingdom": [2, 1]}
    assert rows(purposes) == {"Moderation and safety": [2, 1, 1, 0, 0, 0, 0]}


def test_test_accounts_are_no_tickets():
    number = factories.add_member("acc-0")
    with at("2026-06-10"):
        planting.keep_out(
            member=Member.objects.get(pk=number),
            purposes=["safety"],
            effect=Effect.UPHELD,
            actor="test",
        )

    counted = [sum(table.column(1)) for table in figures.tables(PERIOD, TODAY)]

    assert counted == [0, 0, 0, 0, 0]


def test_a_median_needs_no_list():
    cases = [{}, {3: 1}, {3: 1, 4: 1}, {3: 1, 10: 2, 40: 1}, {1: 50, 2: 49}]

    assert [figures.median(case) for case in cases] == [None, 3.0, 3.5, 10.0, 1.0]


# --- The page -----------------------------------------------------------------------------------


@pytest.fixture
def page(officer, client_of):
    def ask(**query):
        return client_of(officer).get(reverse("admin:objections_figures"), query)

    return ask


def test_the_page_asks_as_much_about_many_tickets_as_about_few(page):
    factories.objection()
    page()
    with CaptureQueriesContext(connection) as few:
        page()
    for country in ("SE", "GB", "DE"):
        factories.objection(country=country)
    with CaptureQueriesContext(connection) as many:
        page()

    assert len(many) == len(few)
    assert sum("objections_" in query["sql"] for query in many) == 7


def test_the_graph_is_an_image_with_words_and_without_inline_style(page):
    factories.objection()

    html = page().text
    (graph,) = re.findall(r'<svg class="chart".*?</svg>', html, re.DOTALL)

    assert 'role="img" aria-labelledby="weeks-title weeks-desc"' in graph
    assert "26 weeks. Received: 1, at most 1 in a week." in graph
    assert graph.count("<rect") == 1
    assert "style=" not in html


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ({"first": "2026-06-01", "last": "2026-05-01"}, "This is before the first day."),
        ({"first": "0001-01-01", "last": "2026-05-01"}, "There are no tickets before 2018-05-25."),
        ({"first": "2019-01-01", "last": "2026-05-01"}, "At most 104 weeks."),
        ({"last": "9999-12-31"}, "At most today"),
        ({"first": "yesterday"}, "Enter a valid date."),
        ({"purpose": "gossip"}, "Select a valid choice."),
    ],
)
def test_a_period_that_cannot_be_counted_is_refused_in_the_form(page, query, sentence):
    answer = page(**query)

    assert answer.status_code == 200
    assert sentence in answer.text
    assert 'class="box figure"' not in answer.text


@pytest.mark.parametrize("name", ["weeks", "ages", "answers", "countries", "purposes"])
def test_every_table_is_given_out_as_a_file(page, name):
    ticket = factories.objection(country="SE")

    answer = page(export=name)
    lines = answer.content.decode("utf-8-sig").splitlines()
    (table,) = [
        one
        for one in figures.tables(Period.until(figures_today()), figures_today())
        if one.name == name
    ]

    assert answer["Content-Disposition"].startswith(f'attachment; filename="objections-{name}-')
    assert len(lines) == 1 + len(table.rows)
    assert ticket.reference not in "".join(lines)


def figures_today() -> dt.date:
    return dt.datetime.now(DUBLIN).date()


def test_there_is_no_file_of_an_unknown_figure(page):
    assert page(export="everything").status_code == 404


def test_columns_are_as_high_as_their_numbers():
    series = [charts.Series("a", "first", [0, 5, 10])]

    svg = charts.columns("x", title="<T>", description="d", labels=["1", "2", "3"], series=series)
    heights = [float(found) for found in re.findall(r'<rect .*? height="([0-9.]+)"', svg)]

    assert heights[1] == 2 * heights[0]
    assert "<T>" not in svg


@pytest.mark.parametrize(("top", "lines"), [(0, 2), (1, 2), (7, 5), (99, 6), (2_600, 4)])
def test_a_grid_has_few_lines(top, lines):
    series = [charts.Series("a", "first", [top])]

    svg = charts.columns("x", title="t", description="d", labels=["1"], series=series)

    assert svg.count("<line") == lines
