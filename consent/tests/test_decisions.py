"""Decisions: recorded once, in any order, and what a member's current choice is afterwards."""

import datetime as dt
from itertools import permutations

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from consent import accounts, decisions
from consent.choices import Choice, Purpose
from consent.decisions import DecisionInput, record_decisions
from consent.errors import AccountErased, RuledByObjection, SourceIdReused
from consent.members import Facts
from consent.models import AccountReference, Consent, Decision, Member
from ledger.errors import InvalidInput
from ledger.models import Entry
from ledger.verification import verifying
from tools.factories import add_member, decide, register

pytestmark = pytest.mark.django_db

NOON = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)


def sent(account_ref="a1", choice="deny", at=NOON, source_id="s1", **more):
    return DecisionInput(
        account_ref=account_ref,
        purpose=more.pop("purpose", Purpose.GENERATIVE_AI),
        choice=choice,
        channel=more.pop("channel", "product"),
        source_id=source_id,
        decided_at=at,
        **more,
    )


def record(*decisions):
    return record_decisions(decisions, actor="test")


def current(account_ref="a1"):
    """The current choice and its time, or None for the default."""
    found = Consent.objects.filter(member__reference__account_ref=account_ref)
    return found.values_list("choice", "decided_at").first()


def test_a_decision_is_one_entry_and_the_current_choice(product):
    add_member("a1")

    answer = decide("a1", "deny", actor=product, at=NOON, source_id="s1")

    assert (answer.source_id, answer.entry, answer.is_replay) == ("s1", 2, False)
    assert current() == ("deny", NOON)
    entry = Entry.objects.get(sequence=2)
    assert (entry.kind, entry.actor_name) == ("consent.decision", "product")
    assert verifying.verify_ledger().problems == []


def test_a_replay_gets_the_first_answer_and_changes_nothing():
    first = record(sent())[0]
    record(sent(choice="allow", at=NOON + HOUR, source_id="s2"))

    (again,) = record(sent())

    assert (again.entry, again.recorded_at, again.is_replay) == (
        first.entry, first.recorded_at, True,
    )  # fmt: skip
    assert Decision.objects.count() == Entry.objects.count() == 2
    assert current() == ("allow", NOON + HOUR)


@pytest.mark.parametrize(
    "other",
    [
        {"choice": "allow"},
        {"at": NOON + HOUR},
        {"account_ref": "a2"},
        {"notice_version": "2025"},
        {"privacy_signal": True},
    ],
)
def test_a_source_id_reused_with_another_body_is_refused(other):
    record(sent())

    (answer,) = record(sent(**other))

    assert isinstance(answer, SourceIdReused)
    assert (answer.status, answer.code) == (422, "source_id_reused")
    assert Decision.objects.count() == Entry.objects.count() == 1


def test_the_same_source_id_of_another_channel_is_another_decision():
    answers = record(sent(), sent(channel="staff"))

    assert [answer.is_replay for answer in answers] == [False, False]
    assert Decision.objects.count() == 2


@pytest.mark.parametrize(
    ("decisions", "expected"),
    [
        ([("deny", 0), ("allow", 1)], ("allow", 1)),
        ([("allow", 0), ("deny", 1)], ("deny", 1)),
        ([("deny", 0), ("allow", 0)], ("deny", 0)),
        ([("allow", 0), ("allow", 1), ("deny", 1)], ("deny", 1)),
        ([("deny", 0), ("allow", 1), ("deny", 2)], ("deny", 2)),
    ],
)
@pytest.mark.parametrize("together", [True, False])
def test_the_newest_choice_is_current_in_whatever_order_they_arrive(decisions, expected, together):
    for number, order in enumerate(permutations(enumerate(decisions))):
        ref = f"a{number}"
        arriving = [
            sent(ref, choice, NOON + hours * HOUR, f"{number}-{one}")
            for one, (choice, hours) in order
        ]

        for part in [arriving] if together else [[one] for one in arriving]:
            record(*part)

        assert current(ref) == (expected[0], NOON + expected[1] * HOUR)


def test_an_older_allow_that_arrives_late_is_kept_and_changes_nothing():
    record(sent(choice="deny", at=NOON))

    record(sent(choice="allow", at=NOON - HOUR, source_id="late"))

    assert current() == ("deny", NOON)
    assert Decision.objects.count() == 2


def test_purposes_and_members_do_not_touch_each_other():
    record(sent("a1", "deny", source_id="1"), sent("a2", "allow", source_id="2"))

    assert (current("a1"), current("a2")) == (("deny", NOON), ("allow", NOON))


def test_an_unknown_account_is_created_with_nothing_known_and_its_decision_kept():
    record(sent())

    member = Member.objects.get(reference__account_ref="a1")
    assert (member.country, member.adult_on, member.status) == ("", None, "unknown")
    assert current() == ("deny", NOON)
    assert Member.objects.complete().count() == 0


def test_an_erased_account_is_refused_and_nothing_is_kept_of_it():
    add_member("a1")
    accounts.erase_member(account_ref="a1", actor="test", reason="asked for")
    entries = Entry.objects.count()

    answers = record(sent())
    assert [type(answer) for answer in answers] == [AccountErased]
    assert (Entry.objects.count(), Decision.objects.count()) == (entries, 0)

    answers = record(sent(source_id="s2"), sent("a2", source_id="s3"))
    assert [type(answer).__name__ for answer in answers] == ["AccountErased", "Recorded"]
    assert list(AccountReference.objects.values_list("account_ref", flat=True)) == ["a2"]


def test_a_bulk_with_duplicates_inside_answers_each_line():
    first = record(sent("a0", source_id="s0"))[0]

    answers = record(
        sent("a0", source_id="s0"),
        sent("a1", source_id="s1"),
        sent("a1", source_id="s1"),
        sent("a1", "allow", source_id="s1"),
        sent("a2", source_id="s2"),
    )

    assert [getattr(answer, "is_replay", answer.__class__) for answer in answers] == [
        True, False, True, SourceIdReused, False,
    ]  # fmt: skip
    assert answers[0].entry == first.entry
    assert {answers[index].entry for index in (1, 2, 4)} == {first.entry + 1}
    assert Entry.objects.last().sequence == 1
    assert list(Entry.objects.order_by("sequence").values_list("kind", flat=True)) == [
        "consent.decision", "consent.decisions",
    ]  # fmt: skip
    assert Decision.objects.count() == 3


@pytest.mark.parametrize("count", [1, 3, 50])
def test_a_bulk_asks_the_database_as_often_for_many_as_for_one(
    count, django_assert_max_num_queries
):
    for warm_up in range(2):
        record(sent(f"w{warm_up}", source_id=f"w{warm_up}"), sent("w", source_id=f"v{warm_up}"))
    # COPY is not counted on PostgreSQL; SQLite counts an executemany as one.
    # One of them asks whether an objection waits for the new account.
    most = 22

    with django_assert_max_num_queries(most):
        record(*[sent(f"b{i}", source_id=f"b{i}") for i in range(count)], sent("w", source_id="z"))


# --- What cannot be a decision ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"purpose": "advertising"}, "purpose"),
        ({"choice": "maybe"}, "choice"),
        ({"channel": "fax"}, "channel"),
        ({"source_id": ""}, "source_id"),
        ({"source_id": "x" * 101}, "source_id"),
        ({"source_id": "x\x00"}, "source_id"),
        ({"account_ref": ""}, "account_ref"),
        ({"account_ref": " \u200b\xa0"}, "account_ref"),
        ({"account_ref": "a\x00b"}, "account_ref"),
        ({"account_ref": "x" * 101}, "account_ref"),
        ({"channel": "signal", "choice": "allow"}, "choice"),
    ],
)
def test_what_means_nothing_is_refused_with_its_field(wrong, field):
    with pytest.raises(InvalidInput) as refusal:
        sent(**wrong)

    assert refusal.value.field == field


@pytest.mark.parametrize("purpose", [Purpose.PERSONALISATION, Purpose.SAFETY])
def test_a_purpose_ruled_by_objection_takes_no_decision(purpose):
    with pytest.raises(RuledByObjection, match="file an objection"):
        sent(purpose=purpose)


# --- Signals ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("implies_deny", "evidence_only", "expected"), [(False, True, None), (True, False, "deny")]
)
def test_whether_a_privacy_signal_denies_is_a_policy(
    settings, implies_deny, evidence_only, expected
):
    settings.GPC_IMPLIES_DENY = implies_deny

    record(sent(channel="signal", privacy_signal=True))

    decision = Decision.objects.get()
    assert (decision.evidence_only, decision.privacy_signal) == (evidence_only, True)
    assert (current() or (None,))[0] == expected


@pytest.mark.parametrize("signal", [None, False])
def test_the_absence_of_a_signal_never_allows(signal):
    record(sent(choice="deny"))

    record(sent(choice="deny", source_id="s2", at=NOON + HOUR, privacy_signal=signal))

    assert current() == ("deny", NOON + HOUR)


# --- Staff --------------------------------------------------------------------------------------


def test_staff_record_deny_with_a_reason(officer):
    member = Member.objects.get(pk=add_member("a1"))

    decisions.deny_for_member(
        member=member, purpose=Purpose.GENERATIVE_AI, actor=officer, reason="by letter"
    )

    assert current()[0] == Choice.DENY
    assert (Decision.objects.get().channel, Entry.objects.first().reason) == ("staff", "by letter")


def test_staff_without_a_reason_or_for_an_erased_member_are_refused(officer):
    member = Member.objects.get(pk=add_member("a1"))
    with pytest.raises(InvalidInput):
        decisions.deny_for_member(
            member=member, purpose=Purpose.GENERATIVE_AI, actor=officer, reason=" "
        )

    accounts.erase_member(account_ref="a1", actor="test", reason="asked for")
    with pytest.raises(AccountErased):
        decisions.deny_for_member(
            member=member, purpose=Purpose.GENERATIVE_AI, actor=officer, reason="by letter"
        )


# --- Any order gives the same -------------------------------------------------------------------

arrivals = st.lists(
    st.tuples(st.sampled_from(["a1", "a2"]), st.sampled_from(["allow", "deny"]), st.integers(0, 3)),
    min_size=1,
    max_size=8,
)


class AnyOrderTest(TestCase):
    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(arrivals, st.randoms(use_true_random=False), st.integers(1, 8))
    def test_decisions_in_any_order_and_grouping_end_as_sorted_ones(self, made, chance, size):
        numbered = [
            sent(ref, choice, NOON + hours * HOUR, f"s{one}")
            for one, (ref, choice, hours) in enumerate(made)
        ]
        expected = {}
        for one in sorted(numbered, key=lambda one: (one.decided_at, one.choice == "deny")):
            expected[one.account_ref] = (one.choice, one.decided_at)
        chance.shuffle(numbered)

        for start in range(0, len(numbered), size):
            record(*numbered[start : start + size])

        assert {ref: current(ref) for ref in expected} == expected
        assert Member.objects.count() == len(expected)
        assert set(Member.objects.values_list("status", flat=True)) == {Facts().status}


def test_decisions_for_the_portals_test_accounts_are_refused(engineer, product):
    """Switching a canary on would stop every freeze."""
    register(engineer)  # plants them
    before = Decision.objects.count()

    with pytest.raises(InvalidInput, match="test accounts"):
        decide("canary:opted_out", "allow", actor=product)

    assert Decision.objects.count() == before


def test_a_staff_deny_wins_over_a_clock_that_runs_ahead(officer, product):
    member = Member.objects.get(pk=add_member("acc-0"))
    decide("acc-0", "allow", actor=product, at=timezone.now() + dt.timedelta(minutes=4))

    decisions.deny_for_member(
        member=member, purpose=Purpose.GENERATIVE_AI, actor=officer, reason="by telephone"
    )

    assert Consent.objects.get().choice == Choice.DENY
