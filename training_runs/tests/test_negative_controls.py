"""Three freezes that are wrong, kept to show that the race would notice.

Each takes its cut in a way that looks reasonable. The same writers race it, the same oracle judges it, and
the oracle must object. Between its two reads each pauses until the writers have moved on: what a slow
machine does by itself, without waiting for luck.
"""

import datetime as dt
from collections.abc import Callable

import pytest
from django.db import transaction
from django.db.models import Max
from django.utils import timezone
from pyroaring import BitMap

from consent.choices import DataCategory
from consent.models import Member
from consent.rulebook import days
from ledger import entries
from ledger.models import Entry
from training_runs.eligibility import canaries
from training_runs.eligibility.exclusions import EXCLUSIONS, Question, ask
from training_runs.models import Canary
from training_runs.tests import racing

ATTEMPTS = 8
Pause = Callable[[], None]
Split = tuple[int, BitMap]


def _question() -> Question:
    return ask(racing.PURPOSE, days.at(timezone.now()), [DataCategory.POSTS])


def _included(question: Question, between: Pause = lambda: None) -> BitMap:
    """The population minus the union, without the guards of `decide`."""
    highest = Member.objects.aggregate(highest=Max("id"))["highest"]
    included = BitMap(range(1, highest + 1))
    for exclusion in EXCLUSIONS:
        for rows in exclusion.members(question):
            field = "id" if rows.model is Member else "member_id"
            included -= BitMap(number for number in rows.values_list(field, flat=True) if number)
        between()
    return included


def by_timestamp(pause: Pause) -> Split:
    """The entries recorded up to now are the cut; what is committed is the state."""
    now = timezone.now()
    pause()
    with entries.snapshot():
        included = _included(_question())
    return Entry.objects.filter(recorded_at__lte=now).count(), included


def by_highest_number(pause: Pause) -> Split:
    """The highest entry number is the cut; the state is read right after."""
    cut = Entry.objects.aggregate(cut=Max("sequence"))["cut"]
    pause()
    with entries.snapshot():
        return cut, _included(_question())


def page_by_page(pause: Pause) -> Split:
    """The head is the cut; the exclusions are read one after the other, each as it is by then."""
    with transaction.atomic():
        cut, question = entries.read_head().size, _question()
    return cut, _included(question, between=pause)


def as_the_portal_does(pause: Pause) -> Split:
    """One snapshot whose first read is the head. On SQLite a snapshot keeps writers out: nothing to wait for."""
    pause()
    with entries.snapshot() as head:
        return head.size, _included(_question())


def _objections_to(freeze: Callable[[Pause], Split], officer, second_officer) -> list[str]:
    """What the oracle says about some attempts at the freeze."""
    oracle = racing.world(officer, second_officer)
    canaries.plant()
    planted = BitMap(Canary.objects.values_list("member_id", flat=True))
    splits = []
    with racing.race(oracle, officer, second_officer) as race:
        for _ in range(ATTEMPTS):
            splits.append(freeze(lambda: race.wait_for_acts(3)))
    assert race.faults == []
    today = dt.datetime.now(dt.UTC)
    return [
        objection
        for cut, included in splits
        for objection in oracle.objections_to(cut, today, set(included - planted))
    ]


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("freeze", [by_timestamp, by_highest_number, page_by_page])
def test_a_cut_taken_another_way_goes_red(freeze, officer, second_officer):
    assert _objections_to(freeze, officer, second_officer) != []


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_the_cut_of_a_snapshot_stays_green_in_the_same_race(officer, second_officer):
    assert _objections_to(as_the_portal_does, officer, second_officer) == []
