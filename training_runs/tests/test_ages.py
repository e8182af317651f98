"""Under 18 is out everywhere; a country's row may ask for a higher age, never for a lower one."""

import datetime as dt

import pytest
from django.db import IntegrityError, connection, transaction
from pyroaring import BitMap

from consent import members
from consent.imports import importing
from consent.members import Facts
from consent.models import AgeRule, Member
from consent.rulebook import ages, days, proposing
from ledger import clock, entries
from ledger.errors import InvalidInput
from tools import factories
from training_runs.eligibility.exclusions import ask, out_among, reasons_now
from training_runs.runs import explaining, freezing, registering

pytestmark = pytest.mark.django_db(transaction=True)

TODAY = clock.today


@pytest.fixture
def world(officer, second_officer):
    factories.open_world(officer, second_officer)


def reasons(number):
    return reasons_now(asked(TODAY()), number)


def asked(day):
    return ask("generative-ai", days.on(day), ["posts"])


def years_ago(years, days=0):
    return importing.majority(TODAY(), -years) + dt.timedelta(days=days)


def import_file(tmp_path, text):
    path = tmp_path / "members.csv"
    path.write_text(text)
    return importing.import_members(path=path, actor="test")


def of(account_ref):
    return Member.objects.get(reference__account_ref=account_ref)


# --- What is out --------------------------------------------------------------------------------


def test_a_member_of_18_in_korea_is_out_once_its_row_asks_for_19(world, officer):
    adult = factories.add_member("adult", "KR", adult_at=19)
    young = factories.add_member("young", "KR", adult_at=18)
    elsewhere = factories.add_member("elsewhere", "US", adult_at=18)
    assert [reasons(one) for one in (adult, young, elsewhere)] == [[], [], []]

    factories.ask_age(officer)

    assert [reasons(one) for one in (adult, young, elsewhere)] == [[], ["minor"], []]


def test_a_member_who_moves_to_a_stricter_country_is_out_until_the_date_is_sent_again(
    world, officer
):
    factories.ask_age(officer)
    number = factories.add_member("mover", "US")
    with entries.entry("members.imported", actor="test"):
        before = Member.objects.get(pk=number)
        members.change([(before, members.facts_of(before)._replace(country="KR"))])
    assert reasons(number) == ["minor"]

    with entries.entry("members.imported", actor="test"):
        before = Member.objects.get(pk=number)
        members.change([(before, members.facts_of(before)._replace(adult_at=19))])

    assert reasons(number) == []


def test_a_row_of_a_later_day_keeps_no_member_out_before_it(world, officer):
    number = factories.add_member("young", "KR")
    factories.ask_age(officer, effective_from=TODAY() + dt.timedelta(days=1))

    assert reasons(number) == []
    tomorrow = asked(TODAY() + dt.timedelta(days=1))
    assert reasons_now(tomorrow, number) == ["minor"]


def test_freeze_history_and_explanation_agree_on_an_age(world, officer, second_officer, engineer):
    factories.add_member("adult", "KR", adult_at=19)
    factories.add_member("young", "KR")
    factories.add_member("of 20", "JP", adult_at=20)
    factories.add_member("of 19", "JP", adult_at=19)
    factories.ask_age(officer)
    factories.ask_age(officer, 21, codes=["JP", "KR"], effective_from=dt.date(2025, 1, 1))
    factories.ask_age(
        officer, 20, codes=["JP", "KR"], effective_from=dt.date(2025, 2, 1), approver=second_officer
    )
    # Not approved: it lets no member in.
    factories.ask_age(officer, 18, codes=["JP", "KR"], effective_from=dt.date(2025, 3, 1))

    manifest = factories.freeze(engineer)

    out = explaining.explain(manifest.run, of("of 19")).frozen
    assert out == ["minor"]
    assert explaining.explain(manifest.run, of("of 20")).frozen == []
    assert explaining.explain(manifest.run, of("adult")).frozen == ["minor"]


def test_out_among_and_the_freeze_read_the_same(world, officer, engineer):
    factories.ask_age(officer)
    numbers = [factories.add_member(f"m{age}", "KR", adult_at=age) for age in (18, 19, 20)]
    question = asked(TODAY())

    assert list(out_among(question, BitMap(numbers))) == numbers[:1]


def test_the_members_below_an_age_are_read_from_the_index_alone(world, officer):
    factories.ask_age(officer)
    rows = Member.objects.below_age(19, ["KR"]).order_by().values("pk")
    with connection.cursor() as cursor:
        sql, parameters = rows.query.sql_with_params()
        if connection.vendor == "postgresql":
            cursor.execute("SET enable_seqscan = off")
            cursor.execute(f"EXPLAIN {sql}", parameters)
        else:
            cursor.execute(f"EXPLAIN QUERY PLAN {sql}", parameters)
        plan = " ".join(str(row) for row in cursor.fetchall())
        if connection.vendor == "postgresql":
            cursor.execute("RESET enable_seqscan")

    assert "member_by_country" in plan


def test_a_higher_age_holds_once_its_day_has_begun_anywhere_in_the_country(officer, second_officer):
    def at(text):
        return ages.at(days.at(dt.datetime.fromisoformat(text)))

    factories.ask_age(officer, codes=["KR", "US"], effective_from=dt.date(2026, 3, 2))
    # In Seoul the day begins nine hours before UTC, in the United States first in New York.
    assert at("2026-03-01T14:59:00Z") == {}
    assert at("2026-03-01T15:00:00Z") == {"KR": 19}
    assert at("2026-03-02T05:00:00Z") == {"KR": 19, "US": 19}

    factories.ask_age(
        officer, 18, codes=["KR", "US"], effective_from=dt.date(2026, 3, 3), approver=second_officer
    )

    # What loosens waits for the last place: Hawaii.
    assert at("2026-03-02T15:00:00Z") == {"US": 19}
    assert at("2026-03-03T09:59:00Z") == {"US": 19}
    assert at("2026-03-03T10:00:00Z") == {}


# --- Rows ---------------------------------------------------------------------------------------


def test_no_row_lowers_the_age_below_18(officer):
    for age in (17, 0, 26):
        with pytest.raises(InvalidInput) as refusal:
            factories.ask_age(officer, age)
        assert refusal.value.field == "age"
    with (
        pytest.raises(IntegrityError),
        transaction.atomic(),
        entries.entry("age_rule.proposed", actor=officer),
    ):
        AgeRule(
            countries=["KR"],
            age=17,
            effective_from=TODAY(),
            source="x",
            needs_approval=False,
            proposed_by=officer,
        ).save()


def test_raising_applies_at_once_and_lowering_waits_for_a_second_person(officer, second_officer):
    raised = factories.ask_age(officer, 20)
    lowered = factories.ask_age(officer, 19, effective_from=dt.date(2025, 1, 1))
    assert (raised.needs_approval, lowered.needs_approval) == (False, True)
    assert ages.in_force(TODAY()) == {"KR": 20}

    proposing.review(
        proposal=lowered, verdict=proposing.ReviewVerdict.APPROVED, actor=second_officer, reason="x"
    )

    assert ages.in_force(TODAY()) == {"KR": 19}


def test_an_approval_that_did_not_know_a_higher_age_lowers_nothing(officer, second_officer):
    factories.ask_age(officer, 20)
    lowered = factories.ask_age(officer, 19, effective_from=dt.date(2025, 3, 1))
    proposing.review(
        proposal=lowered, verdict=proposing.ReviewVerdict.APPROVED, actor=second_officer, reason="x"
    )

    factories.ask_age(officer, 21, effective_from=dt.date(2025, 2, 1))

    assert ages.in_force(TODAY()) == {"KR": 21}


def test_a_country_back_at_18_has_no_age_of_its_own(officer, second_officer):
    factories.ask_age(officer)
    factories.ask_age(officer, 18, effective_from=dt.date(2025, 1, 1), approver=second_officer)

    assert ages.in_force(TODAY()) == {}
    # A date of majority still counts for the higher one.
    assert ages.highest() == {"KR": 19}


# --- The import ---------------------------------------------------------------------------------


def test_a_birth_date_becomes_the_majority_of_the_highest_age_any_row_asks_for(
    tmp_path, officer, second_officer
):
    factories.ask_age(officer)
    factories.ask_age(officer, 20, codes=["JP"], effective_from=dt.date(2099, 1, 1))
    lower = factories.ask_age(officer, 18, codes=["JP"], effective_from=dt.date(2099, 2, 1))
    assert lower.needs_approval

    import_file(
        tmp_path,
        "account_ref,country,birth_date,status\n"
        "kr,KR,2007-02-28,open\njp,JP,2004-02-29,open\nus,US,2004-02-29,open\nno,,2004-02-29,open\n",
    )

    assert {ref: (of(ref).adult_on, of(ref).adult_at) for ref in ("kr", "jp", "us", "no")} == {
        "kr": (dt.date(2026, 2, 28), 19),
        "jp": (dt.date(2024, 2, 29), 20),
        "us": (dt.date(2022, 3, 1), 18),
        # Without a country the strictest.
        "no": (dt.date(2024, 2, 29), 20),
    }


def test_a_korean_of_18_is_imported_and_out_until_19(tmp_path, world, officer):
    factories.ask_age(officer)
    import_file(
        tmp_path,
        "account_ref,country,birth_date,status\n"
        f"young,KR,{years_ago(19, days=30)},open\nadult,KR,{years_ago(19, days=-30)},open\n",
    )

    assert reasons(of("young").pk) == ["minor"]
    assert reasons(of("adult").pk) == []


@pytest.mark.parametrize("kind", ["csv", "ndjson"])
def test_a_date_of_majority_may_say_the_age_it_is_for(tmp_path, kind):
    path = tmp_path / f"members.{kind}"
    path.write_text(
        "account_ref,country,adult_on,status,adult_at\n"
        "a,KR,2010-01-01,open,19\nb,KR,2010-01-01,open,\nc,KR,2010-01-01,open,17\n"
        if kind == "csv"
        else '{"account_ref":"a","country":"KR","adult_on":"2010-01-01","status":"open","adult_at":19}\n'
        '{"account_ref":"b","country":"KR","adult_on":"2010-01-01","status":"open","adult_at":null}\n'
        '{"account_ref":"c","country":"KR","adult_on":"2010-01-01","status":"open","adult_at":"17"}\n'
    )
    rejects = []

    importing.import_members(path=path, actor="test", on_reject=rejects.append)

    assert (of("a").adult_at, of("b").adult_at) == (19, 18)
    assert [(one.line, one.field) for one in rejects] == [
        (4 if kind == "csv" else 3, "adult_at"),
    ]


def test_sending_the_date_again_lets_a_member_in_whose_country_was_raised_later(
    tmp_path, world, officer
):
    line = f"account_ref,country,birth_date,status\nadult,KR,{years_ago(30)},open\n"
    import_file(tmp_path, line)
    factories.ask_age(officer)
    assert reasons(of("adult").pk) == ["minor"]

    import_file(tmp_path, line)

    assert reasons(of("adult").pk) == []
    assert list(of("adult").history.order_by("history_id").values_list("adult_at", flat=True)) == [
        18,
        19,
    ]


def test_of_two_facts_the_lower_age_is_the_stricter_one():
    day = dt.date(2020, 1, 1)
    one, other = Facts("KR", "", day, "open", 19), Facts("KR", "", day, "open", 18)

    assert one.stricter(other) == other.stricter(one) == other


# --- Doors --------------------------------------------------------------------------------------


def test_an_officer_proposes_an_age_on_a_page_and_another_approves_a_lower_one(
    world, officer, second_officer, client_of
):
    factories.add_member("young", "KR")
    factories.ask_age(officer, 20)
    factories.add_member("of 19", "KR", adult_at=19)
    here, there = client_of(officer), client_of(second_officer)
    form = {
        "countries": "KR", "age": "19", "effective_from": "2025-01-01", "source": "Civil Act, Art. 4",
    }  # fmt: skip

    preview = here.post("/admin/consent/agerule/add/", {**form, "preview": "Preview"})
    assert "lets in 1 member in 1 country" in preview.content.decode()
    here.post("/admin/consent/agerule/add/", form)
    row = AgeRule.objects.get(age=19)
    assert row.needs_approval
    assert f"/admin/consent/agerule/{row.pk}/review/" in there.get("/admin/").content.decode()
    there.post(
        f"/admin/consent/agerule/{row.pk}/review/", {"verdict": "approved", "reason": "Read."}
    )

    assert ages.in_force(TODAY()) == {"KR": 19}


def test_ages_by_api(world, officer, second_officer, client_of):
    here, there = client_of(officer), client_of(second_officer)
    body = {"countries": ["KR"], "age": 19, "effective_from": "2026-01-01", "source": "Civil Act"}

    def post(client, path, sent):
        return client.post(f"/api/v1/{path}", sent, content_type="application/json")

    first = post(here, "age-rules", body)
    again = post(here, "age-rules", body)
    lower = post(here, "age-rules", {**body, "age": 18, "effective_from": "2026-02-01"})
    word = post(
        there, f"age-rules/{lower.json()['id']}/review", {"verdict": "approved", "reason": "Read."}
    )
    refused = post(here, "age-rules", {**body, "age": 17})

    assert (first.status_code, first.json()["needs_approval"]) == (201, False)
    assert again.json()["id"] == first.json()["id"]
    assert (lower.json()["needs_approval"], word.status_code) == (True, 201)
    assert refused.status_code == 400
    listed = here.get("/api/v1/age-rules").json()["results"]
    assert [(row["age"], row["countries"]) for row in listed] == [(18, ["KR"]), (19, ["KR"])]


def test_an_age_that_is_raised_between_request_and_freeze_counts(world, officer, engineer):
    number = factories.add_member("young", "KR")
    run = registering.start(run=factories.register(engineer), actor=engineer)
    factories.ask_age(officer)

    manifest = freezing.freeze(run.pk)

    assert manifest is not None
    assert explaining.explain(run, Member.objects.get(pk=number)).frozen == ["minor"]
