"""The cut is exact: writers of every kind race the freeze, and an oracle knows every acknowledged write."""

import datetime as dt
import os

import pytest

from ledger.models import Entry
from ledger.verification.verifying import verify_ledger
from training_runs.eligibility import canaries
from training_runs.models import Canary
from training_runs.runs import freezing, verifying
from training_runs.tests import racing

FREEZES = int(os.environ.get("RACE_FREEZES", "50"))
"""RACE_FREEZES=200 runs the long form (CONTRIBUTING.md)."""
WRITTEN = [
    "consent.decision",
    "consent.decisions",
    "letter.sent",
    "member.erased",
    "objection.decided",
    "objection.received",
    "rule.approved",
    "rule.proposed",
    "test.batch",
    "test.members",
]


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_no_member_is_on_the_wrong_side_of_any_cut(officer, second_officer, engineer):
    oracle = racing.world(officer, second_officer)
    before = Entry.objects.count()

    with racing.race(oracle, officer, second_officer) as race:
        frozen = []
        for number in range(FREEZES):
            frozen.append(racing.freeze(race, engineer, after_acts=number % 2))

    assert race.faults == []
    planted = set(Canary.objects.values_list("member_id", flat=True))
    for item in frozen:
        archive = freezing.load(item.manifest)
        cut, as_of = item.manifest.cut, dt.datetime.fromisoformat(archive.header["as_of"])
        expected = oracle.reasons_at(cut, as_of)
        members = set(range(1, item.manifest.population + 1)) - planted
        found = {number: set(archive.reasons(number)) for number in members}
        assert found == expected
        assert set(archive.included) == {number for number in members if not expected[number]}
        # Every decision answered before the start was requested is counted.
        assert oracle.missing_before(item.start_asked, cut) == []
    for item in frozen[::10]:
        assert verifying.verify(item.manifest).agreement == "agrees"

    # Every acknowledged write is in the ledger once, nothing else is, and the ledger recomputes.
    written = Entry.objects.filter(kind__in=WRITTEN, sequence__gt=before).exclude(
        actor_name=canaries.ACTOR
    )
    acknowledged = [act.entry for act in oracle.acts if act.entry > before]
    assert sorted(acknowledged) == sorted(written.values_list("sequence", flat=True))
    assert verify_ledger().problems == []
    # It was a race: at least every other freeze had a writer come between its request and its record.
    overtaken = [item for item in frozen if item.manifest.entry_id > item.requested + 1]
    assert len(overtaken) >= len(frozen) / 2
