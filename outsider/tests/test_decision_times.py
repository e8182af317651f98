"""When a decision counts, three ways: as the portal keeps it, as it derives it from history, and as verify.py reads an export."""

import datetime as dt
import itertools
import json

import pytest
import time_machine
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from consent import decisions
from consent.choices import Purpose
from consent.models import Consent, Decision
from consent.verification import consent_is_its_decisions
from ledger import sealing
from ledger.append_only import unguard_sql
from ledger.models import Entry
from outsider import verify
from tools import sample_export
from training_runs.eligibility import deriving

NOON = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
PURPOSE = Purpose.GENERATIVE_AI
_numbers = itertools.count(1)


def receive(choice, *, sent, at, account_ref="acc-0"):
    """A decision that says it was made at `sent` is recorded while the ledger's clock says `at`."""
    with time_machine.travel(at, tick=False):
        return decisions.record_decision(
            decisions.DecisionInput(
                account_ref=account_ref,
                purpose=PURPOSE,
                choice=choice,
                channel="product",
                source_id=f"times-{next(_numbers)}",
                decided_at=sent,
            ),
            actor="test",
        )


def three_ways():
    """The choices in force by member: kept, derived from history, and read from the exported entries."""
    kept = {row.member_id: (row.choice, row.decided_at) for row in Consent.objects.all()}
    cut = Entry.objects.count()
    _, latest = deriving._ledger(cut)
    history = verify.History()
    for line in sample_export.lines_of_the_database():
        history.add(json.loads(line))
    read = {
        number: (choice, dt.datetime.fromisoformat(at))
        for (_, number), (at, choice, _) in history.choices.items()
    }
    derived = {
        number: (choice, at)
        for number, (choice, at, _) in deriving._choices(PURPOSE, cut, latest).items()
    }
    return [kept, derived, read]


CASES = {
    "a clock ahead": [("allow", 0, 4), ("deny", 1, 1)],
    "a clock far ahead": [("allow", 0, 90_000), ("deny", 1, 1)],
    "a clock ahead, and a no from before its receipt": [("allow", 60, 120), ("deny", 60, 30)],
    "a clock ahead, and an older no much later": [("allow", 0, 60), ("deny", 90_000, -60)],
    "a tie": [("allow", 0, 0), ("deny", 1, 0)],
    "both ahead": [("allow", 0, 60), ("deny", 1, 60)],
    "no clock set": [("allow", 0, 0), ("deny", 1, "1970-01-01T00:00:00+00:00")],
    "the moment of receipt": [("allow", 0, 0), ("deny", 1, None)],
    "the ledger's clock stepped back": [("allow", 0, 0), ("deny", -60, 1)],
    "every clock stepped back": [("allow", 0, None), ("deny", -60, -60)],
    "the ledger's clock was ahead": [("allow", 90_000, None), ("deny", 1, 1)],
    "the clock stepped back, then an older allow": [
        ("deny", 0, 0),
        ("deny", -60, 1),
        ("allow", 2, -1),
    ],
}


@pytest.mark.django_db
@pytest.mark.parametrize("decisions", CASES.values(), ids=CASES.keys())
def test_a_no_received_last_is_in_force(decisions):
    """Each is (choice, minute by the ledger's clock, minute by the sender's)."""
    answers = [
        receive(
            choice,
            at=NOON + dt.timedelta(minutes=minute),
            sent=dt.datetime.fromisoformat(sent)
            if isinstance(sent, str)
            else sent if sent is None else NOON + dt.timedelta(minutes=sent),
        )
        for choice, minute, sent in decisions
    ]  # fmt: skip

    kept, derived, read = three_ways()

    assert kept == derived == read
    assert kept[1][0] == "deny"
    is_last_a_deny = decisions[-1][0] == "deny"
    assert answers[-1].in_force is is_last_a_deny
    assert list(consent_is_its_decisions()) == []


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("allowed", "denied", "expected"),
    [
        # The product cuts a time to whole seconds; the page that allowed did not.
        ("12:00:00.400000", "12:00:00", "deny"),
        ("12:00:00.999999", "12:00:00", "deny"),
        ("12:00:01.000000", "12:00:00", "allow"),
        ("12:00:00.400000", "12:00:00.300000", "allow"),
    ],
)
def test_a_no_in_whole_seconds_is_the_last_word_of_its_second(allowed, denied, expected):
    def on_the_day(time):
        return dt.datetime.fromisoformat(f"2026-03-01T{time}+00:00")

    receive("allow", at=on_the_day(allowed), sent=None)
    answer = receive("deny", at=NOON + HOUR, sent=on_the_day(denied))

    assert answer.in_force is (expected == "deny")
    assert [way[1][0] for way in three_ways()] == [expected] * 3
    assert list(consent_is_its_decisions()) == []


@pytest.mark.django_db
def test_an_older_no_that_travelled_late_leaves_a_later_yes_in_force():
    receive("allow", at=NOON, sent=NOON)

    answer = receive("deny", at=NOON + HOUR, sent=NOON - HOUR)

    assert answer.in_force is False
    assert [way[1][0] for way in three_ways()] == ["allow"] * 3


@pytest.mark.django_db
def test_a_forged_time_of_counting_is_found():
    receive("deny", at=NOON, sent=NOON - HOUR)
    with connection.cursor() as cursor:
        table = Decision._meta.db_table
        for statement in unguard_sql(connection.vendor, table, Decision.guard):
            cursor.execute(statement)
        cursor.execute(f"UPDATE {table} SET counts_at = %s", [NOON])

    (problem,) = consent_is_its_decisions()
    assert problem.startswith("A decision of entry 1 counts at 2026-03-01 12:00")
    with pytest.raises(ValueError, match="says that it counts at 2026-03-01T12:00"):
        verify.History().add(json.loads(line_of_the_first_entry()))


def line_of_the_first_entry():
    """As an export has it, whatever its leaf says."""
    entry = Entry.objects.get(pk=1)
    rows = {
        label: list(
            model._default_manager.filter(entry_id=1).values_list(
                *(sealing.stored(model, column) for column in sealing.sealed_columns(model))
            )
        )
        for label, model in sealing.sealed_models().items()
    }
    return sealing.entry_bytes(entry, rows)


MINUTES = [-90_000, -60, -4, -1, 0, 0, 0, 1, 4, 60, 90_000]
arriving = st.lists(
    st.tuples(
        st.sampled_from(["acc-0", "acc-1"]),
        st.sampled_from(["allow", "deny"]),
        st.sampled_from(MINUTES),  # by which the ledger's clock is wrong
        st.sampled_from([*MINUTES, None, "never set"]),  # by which the sender's is
    ),
    min_size=1,
    max_size=9,
)


class SkewedClocksTest(TestCase):
    @settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(arriving)
    def test_three_ways_agree_and_no_yes_received_earlier_outlasts_a_no(self, arrived):
        taken = []
        for minute, (account_ref, choice, here, there) in enumerate(arrived):
            now = NOON + dt.timedelta(minutes=2 * minute)
            at = now + dt.timedelta(minutes=here)
            sent = (
                None if there is None
                else dt.datetime(1970, 1, 1, tzinfo=dt.UTC) if there == "never set"
                else now + dt.timedelta(minutes=there)
            )  # fmt: skip
            receive(choice, account_ref=account_ref, sent=sent, at=at)
            taken.append((account_ref, choice, at, sent))

        kept, derived, read = three_ways()

        assert kept == derived == read
        assert list(consent_is_its_decisions()) == []
        references = dict(Consent.objects.values_list("member__reference__account_ref", "member"))
        for account_ref, number in references.items():
            if kept[number][0] != "allow":
                continue
            mine = [one[1:] for one in taken if one[0] == account_ref]
            # The allow in force; every no received after it was made before it, by its sender's own clock.
            place = next(
                place
                for place, (choice, at, sent) in enumerate(mine)
                if choice == "allow" and min(sent or at, at) == kept[number][1]
            )
            for choice, _, sent in mine[place + 1 :]:
                if choice == "deny":
                    # Nor was that allow sent by a clock ahead of ours.
                    assert (mine[place][2] or mine[place][1]) <= mine[place][1]
                    assert sent is not None
                    assert sent.year >= 2000
                    assert sent < kept[number][1]
