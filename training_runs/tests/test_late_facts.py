"""A fact that held before a freeze and was recorded after it is an incident of the run, whatever its reason."""

import datetime as dt

import pytest
import time_machine

from consent import decisions
from consent import members as consent_members
from consent.models import Member, Notice
from ledger import entries
from ledger.models import Entry
from objections.choices import Effect
from tools import factories
from training_runs.eligibility.exclusions import EXCLUSIONS, Exclusion
from training_runs.incidents import archive, finding
from training_runs.models import Incident
from training_runs.runs import following, registering, withdrawing

pytestmark = pytest.mark.django_db(transaction=True)

FROZEN = "2026-06-01T12:00"
LATER = "2026-06-20T12:00"


def moment(text):
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


def at(text):
    return time_machine.travel(moment(text), tick=False)


@pytest.fixture(autouse=True)
def world(officer, second_officer):
    with at("2026-01-01T12:00"):
        factories.open_world(officer, second_officer)
        factories.add_members(3)
        factories.add_member("hk", country="HK")


@pytest.fixture
def frozen(engineer):
    with at(FROZEN):
        return factories.freeze(engineer)


def number_of(account):
    return Member.objects.get(reference__account_ref=account).pk


def found() -> list[tuple[str, dict[str, list[str]]]]:
    """The incidents of a look: the kind of entry that is the cause, and the accounts by reason."""
    refs = dict(Member.objects.values_list("pk", "reference__account_ref"))
    with at("2026-06-21T12:00"):
        return [
            (
                Entry.objects.get(sequence=one.cause).kind,
                {
                    code: [refs[number] for number in numbers]
                    for code, numbers in archive.load(one).items()
                },
            )
            for one in finding.look()
        ]


def deny(product, decided, account="acc-1", recorded=LATER, **facts):
    with at(recorded):
        factories.decide(
            account, facts.pop("choice", "deny"), actor=product, at=moment(decided), **facts
        )


def test_a_no_that_was_decided_before_the_freeze_and_delivered_after_it(frozen, product):
    deny(product, "2026-05-31T12:00")

    assert found() == [("consent.decision", {"opted_out": ["acc-1"]})]
    assert found() == []


@pytest.mark.parametrize("decided", ["2026-06-01T12:00:01", "2026-06-10T12:00"])
def test_a_no_that_was_decided_after_the_freeze_is_none(frozen, product, decided):
    deny(product, decided)

    assert found() == []


def test_a_late_no_before_a_yes_that_was_given_before_the_freeze_is_none(frozen, product):
    deny(product, "2026-05-30T12:00", choice="allow")
    deny(product, "2026-05-29T12:00")

    assert found() == []


def test_a_late_no_stays_one_when_a_yes_follows_the_freeze(frozen, product):
    deny(product, "2026-05-29T12:00")
    deny(product, "2026-06-15T12:00", choice="allow")

    assert found() == [("consent.decision", {"opted_out": ["acc-1"]})]


def test_a_no_on_another_purpose_or_of_a_member_who_was_out_is_none(frozen, product):
    deny(product, "2026-05-29T12:00", channel="signal", privacy_signal=True)  # evidence only
    deny(product, "2026-05-29T12:00", account="unknown")

    assert found() == []


def test_many_decisions_of_one_entry_are_one_incident(frozen, product):
    with at(LATER):
        decisions.record_decisions(
            [
                decisions.DecisionInput(
                    account_ref=f"acc-{number}", purpose="generative-ai", choice="deny",
                    channel="product", source_id=f"s-{number}", decided_at=moment("2026-05-29T12:00"),
                )
                for number in range(3)
            ],
            actor=product,
        )  # fmt: skip

    assert found() == [("consent.decisions", {"opted_out": ["acc-0", "acc-1", "acc-2"]})]
    assert Incident.objects.get().members == 3


def test_an_exclusion_that_is_recorded_ten_days_late(frozen, officer, second_officer):
    with at(LATER):
        factories.allow(
            officer,
            second_officer,
            codes=["HK"],
            rule="excluded",
            effective_from=dt.date(2026, 6, 1),
        )

    ((kind, accounts),) = found()
    assert (kind, accounts) == ("rule.proposed", {"region": ["hk"]})


def test_an_exclusion_from_the_day_after_is_none(frozen, officer, second_officer):
    with at(LATER):
        factories.allow(
            officer,
            second_officer,
            codes=["HK"],
            rule="excluded",
            effective_from=dt.date(2026, 6, 3),
        )

    assert found() == []


def test_a_rule_that_asks_for_consent_and_is_recorded_late(frozen, officer, second_officer):
    with at(LATER):
        factories.allow(
            officer, second_officer, codes=["HK"], rule="opt-in", effective_from=dt.date(2026, 5, 1)
        )

    assert found() == [("rule.proposed", {"not_opted_in": ["hk"]})]


def test_a_no_after_the_freeze_does_not_undo_the_consent_from_before_it(
    engineer, officer, second_officer, product
):
    with at("2026-05-01T12:00"):
        factories.allow(
            officer, second_officer, codes=["HK"], rule="opt-in", effective_from=dt.date(2026, 5, 2)
        )
    deny(product, "2026-05-10T12:00", account="hk", choice="allow", recorded="2026-05-10T12:00")
    with at(FROZEN):
        factories.freeze(engineer)
    deny(product, "2026-06-10T12:00", account="hk", recorded="2026-06-10T12:00")
    with at(LATER):
        factories.allow(
            officer,
            second_officer,
            codes=["US"],
            rule="default-on",
            effective_from=dt.date(2026, 7, 1),
        )

    assert found() == []


def test_a_narrower_notice_that_is_recorded_late(frozen, officer, second_officer):
    with at(LATER):
        factories.publish(
            officer, second_officer, categories=["profile"], in_force_from=dt.date(2026, 5, 1),
            supersedes=Notice.objects.get(),
        )  # fmt: skip

    ((kind, accounts),) = found()
    assert kind == "notice.approved"
    assert sorted(accounts["no_notice"]) == ["acc-0", "acc-1", "acc-2", "hk"]


@pytest.mark.parametrize("adult_on", [dt.date(2028, 1, 1), None])
def test_a_member_found_to_be_16_or_of_unknown_age(frozen, adult_on):
    member = Member.objects.get(pk=number_of("acc-1"))
    with at(LATER), entries.entry("test.moved", actor="test"):
        consent_members.change(
            [(member, consent_members.facts_of(member)._replace(adult_on=adult_on))]
        )

    assert found() == [("test.moved", {"minor": ["acc-1"]})]


@pytest.mark.parametrize("country", ["", "HK"])
def test_a_move_after_the_freeze_is_none_whatever_its_country_allows(
    engineer, officer, second_officer, country
):
    with at("2026-05-01T12:00"):
        factories.allow(
            officer,
            second_officer,
            codes=["HK"],
            rule="excluded",
            effective_from=dt.date(2026, 5, 2),
        )
        number = factories.add_member("young", adult_on=dt.date(2026, 5, 1))
    with at(FROZEN):
        factories.freeze(engineer)
    with at(LATER), entries.entry("test.moved", actor="test"):
        member = Member.objects.get(pk=number)
        consent_members.change(
            [(member, consent_members.facts_of(member)._replace(country=country))]
        )

    assert found() == []


def test_a_rule_recorded_late_is_about_those_who_were_there_then(frozen, officer, second_officer):
    member = Member.objects.get(pk=number_of("hk"))
    with at("2026-06-10T12:00"), entries.entry("test.moved", actor="test"):
        consent_members.change([(member, consent_members.facts_of(member)._replace(country="US"))])
    with at(LATER):
        factories.allow(
            officer,
            second_officer,
            codes=["HK"],
            rule="excluded",
            effective_from=dt.date(2026, 6, 1),
        )

    assert found() == [("rule.proposed", {"region": ["hk"]})]


def test_an_objection_that_is_entered_late(frozen):
    with at(LATER):
        factories.objection("acc-1", received_at=moment("2026-05-30T09:00"))
    with at("2026-06-20T13:00"):
        factories.objection("acc-2", received_at=moment("2026-06-01T12:01"))

    # The desk looks at once.
    (incident,) = Incident.objects.all()
    assert list(archive.load(incident)["objection_open"]) == [number_of("acc-1")]
    assert found() == []


def test_the_moment_of_a_freeze_does_not_hide_what_came_between_its_cut_and_its_entry(
    engineer, product
):
    with at(FROZEN):
        run_manifest = factories.freeze(engineer)
    deny(product, "2026-05-31T12:00", recorded=FROZEN)
    finding.LateLook.objects.all().delete()

    assert found() == [("consent.decision", {"opted_out": ["acc-1"]})]
    assert run_manifest.cut < Incident.objects.get().cause


def test_a_cancelled_run_has_no_incident(frozen, engineer, product):
    registering.cancel(run=frozen.run, actor=engineer, reason="wrong data")
    deny(product, "2026-05-31T12:00")

    assert found() == []


def test_each_run_has_its_own(frozen, engineer, product):
    with at("2026-06-02T12:00"):
        factories.freeze(engineer)
    deny(product, "2026-06-01T18:00")
    assert len(found()) == 1
    deny(product, "2026-05-31T18:00", account="acc-2")

    assert [accounts for _, accounts in found()] == [{"opted_out": ["acc-2"]}] * 2


def test_the_next_delivery_leaves_them_out_even_if_they_are_in_again(frozen, engineer, product):
    deny(product, "2026-05-29T12:00")
    deny(product, "2026-06-15T12:00", choice="allow")
    with at("2026-06-22T12:00"):
        delivery = factories.deliver(frozen.run, engineer)
        withdrawn = withdrawing.withdrawn_since(frozen)

        assert (delivery.rows, delivery.subtracted) == (3, 1)
        assert list(withdrawn.withdrawn) == [number_of("acc-1")]
        assert following.follow(frozen).members == withdrawn.withdrawn
        assert following.follow(frozen).members == withdrawn.withdrawn
    # Found before the delivery was made: no data of theirs was delivered.
    incident = Incident.objects.get()
    assert (incident.delivered, incident.assess_by) == (0, None)


def test_an_incident_says_how_many_were_delivered_and_its_clock_runs(frozen, engineer, product):
    with at("2026-06-02T12:00"):
        factories.deliver(frozen.run, engineer)
    deny(product, "2026-05-29T12:00")
    found()

    incident = Incident.objects.get()
    assert (incident.delivered, incident.used) == (1, 0)
    assert incident.assess_by == moment("2026-06-24T12:00")


def test_a_reason_says_how_its_late_facts_are_found():
    with pytest.raises(ValueError, match="new says how"):
        Exclusion("new", "", "", lambda q: [])
    assert {one.code for one in EXCLUSIONS if not one.late} == {
        "erased",
        "closed",
        "country_unknown",
    }


def test_a_restriction_that_was_lifted_by_the_freeze_is_none(engineer):
    with at("2026-05-01T12:00"):
        ticket = factories.objection("acc-1", purposes=["generative-ai"])
        with entries.entry("test.moved", actor="test"):
            (row,) = ticket.objections.all()
            row.effect = Effect.RESTRICTION_LIFTED
            row.save()
    with at(FROZEN):
        factories.freeze(engineer)

    assert found() == []
