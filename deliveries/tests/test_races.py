"""Deliveries among other writers: whose *no* was acknowledged before is never delivered, and what is asked twice happens once."""

import contextlib
import os
import threading
import time
from collections.abc import Callable
from typing import Any

import pyarrow.parquet as pq
import pytest
from django.db import connection

from deliveries.choices import DeliveryState
from deliveries.errors import DeliveryNotReady
from deliveries.made import archives, ending, making, requesting, stores
from deliveries.models import Completion, DataSet, Delivery, Receipt
from deliveries.receipts import accepting, completing
from deliveries.receipts.accepting import OutputClaimed
from ledger.models import Entry
from ledger.verification.verifying import verify_ledger
from tools import factories
from tools.receipts import file
from training_runs.incidents import finding
from training_runs.models import Canary, Run
from training_runs.runs import freezing
from training_runs.tests import racing

DELIVERIES = int(os.environ.get("RACE_DELIVERIES", "20"))
"""RACE_DELIVERIES=200 runs the long form (CONTRIBUTING.md)."""

pytestmark = pytest.mark.django_db(transaction=True)


def at_once(*acts: Callable[[], Any]) -> list[Any]:
    """What each act returned or raised; they begin together, each with a connection of its own."""
    together = threading.Barrier(len(acts))
    found: list[Any] = [None] * len(acts)

    def run(place: int) -> None:
        together.wait()
        try:
            found[place] = acts[place]()
        except Exception as fault:  # whatever it is, the test must see it
            found[place] = fault
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(place,)) for place in range(len(acts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


@pytest.mark.slow
def test_no_member_whose_no_was_acknowledged_before_the_request_is_delivered(
    officer, second_officer, engineer
):
    oracle = racing.world(officer, second_officer, size=600)
    manifest = factories.freeze(engineer, purpose=racing.PURPOSE)
    included = freezing.load(manifest).included
    asked: dict[int, float] = {}
    files: dict[int, dict[int, str]] = {}

    with racing.race(oracle, officer, second_officer) as race:
        delivery = None
        for number in range(DELIVERIES):
            moment = time.monotonic()
            delivery = _next_requested(manifest.run, delivery, engineer)
            asked[delivery.pk] = moment
            race.next_round()
            race.wait_for_acts(number % 3)
            factories.made(delivery)
            files[delivery.pk] = _list_of(delivery)

    assert race.faults == []
    made = Delivery.objects.filter(pk__in=asked)
    assert len(made) == DELIVERIES
    planted = set(Canary.objects.values_list("member_id", flat=True))
    known = {number: account_ref for account_ref, number in race.numbers.items()}
    for delivery in made:
        archive = archives.load(delivery)
        reasons = oracle.reasons_at(delivery.cut, delivery.as_of)
        assert not planted & set(archive.delivered)
        # Who was out at the freeze, as was known by the delivery, stays out.
        late = finding.out_by_incidents(delivery.run_id, cut=delivery.cut)
        assert set(archive.delivered) == {
            number for number in included if not reasons[number] and number not in late
        }
        assert archive.delivered | archive.subtracted == included
        assert oracle.missing_before(asked[delivery.pk], delivery.cut) == []
        assert delivery.rows == len(archive.delivered)
        # An erasure may have taken the file along before it was read.
        if files[delivery.pk] or delivery.end_reason == "":
            assert files[delivery.pk] == {number: known[number] for number in archive.delivered}
    assert sum(bool(rows) for rows in files.values()) > DELIVERIES / 2
    assert verify_ledger().problems == []


def _next_requested(run: Run, last: Delivery | None, person: Any) -> Delivery:
    """The first delivery, else the one that takes the place of the last one; an erasure may have ended that."""
    if last is not None:
        with contextlib.suppress(DeliveryNotReady):
            return requesting.renew(delivery=last, actor=person)[0]
    return requesting.request(run=run, actor=person)[0]


def _list_of(delivery: Delivery) -> dict[int, str]:
    delivery.refresh_from_db()
    (file,) = delivery.files
    try:
        table = pq.read_table(stores.path_of(delivery.reference, file["sha256"]))
    except FileNotFoundError:
        return {}
    columns = [table[name].to_pylist() for name in ("member_number", "account_ref")]
    return dict(zip(*columns, strict=True))


def test_requests_at_the_same_time_are_one_delivery(run, engineer):
    answers = at_once(*[lambda: requesting.request(run=run, actor=engineer)] * 4)

    delivery = Delivery.objects.get()
    assert [one[0].pk for one in answers] == [delivery.pk] * 4
    assert sorted(one[1] for one in answers) == [False, False, False, True]
    assert Entry.objects.filter(kind="delivery.requested").count() == 1


def test_renewals_and_a_request_at_the_same_time_are_one_delivery(run, engineer):
    old = factories.deliver(run, engineer)

    answers = at_once(*[lambda: requesting.renew(delivery=old, actor=engineer)] * 4)

    new = Delivery.objects.exclude(pk=old.pk).get()
    assert [one[0].pk for one in answers] == [new.pk] * 4


def test_a_delivery_that_several_workers_make_is_made_once(run, engineer):
    delivery, _ = requesting.request(run=run, actor=engineer)

    made = at_once(*[lambda: making.make(delivery.pk)] * 4)

    assert [one.pk for one in made if one is not None] == [delivery.pk]
    assert Entry.objects.filter(kind="delivery.made").count() == 1
    assert [path.name for path in stores.home(delivery.reference).iterdir()] == [
        f"{Delivery.objects.get().files[0]['sha256']}.parquet"
    ]


def test_a_delivery_cancelled_while_it_is_made_leaves_no_file(run, engineer):
    delivery, _ = requesting.request(run=run, actor=engineer)

    at_once(
        lambda: making.make(delivery.pk),
        lambda: ending.cancel(delivery=delivery, actor=engineer, reason="test"),
    )

    delivery.refresh_from_db()
    assert delivery.state == DeliveryState.CANCELLED
    assert not stores.home(delivery.reference).exists()


def test_receipts_that_race_to_complete_complete_the_run_once(run, engineer):
    delivery = factories.training(run, engineer)
    runner = factories.registered_runner(engineer)
    envelopes = [factories.receipt_of(runner, delivery) for _ in range(2)]

    def send_and_complete(envelope: Any) -> Run:
        own = Run.objects.get(pk=run.pk)
        receipt, _ = accepting.accept(run=own, sent=envelope, actor=engineer)
        return completing.complete(run=own, actor=engineer, receipt=receipt.reference)

    answers = at_once(*(lambda sent=sent: send_and_complete(sent) for sent in envelopes))

    done = Completion.objects.get()
    assert [one for one in answers if isinstance(one, Run)] == [run]
    (refused,) = (one for one in answers if not isinstance(one, Run))
    # Refused by the run that is over, or by the other's receipt on which it completed.
    assert refused.code in ("forbidden_move", "invalid")
    assert done.receipt in Receipt.objects.all()
    assert Entry.objects.filter(kind="run.completed").count() == 1
    assert DataSet.objects.count() == Receipt.objects.count()


def test_one_receipt_sent_twice_at_the_same_time_is_kept_once(run, engineer):
    delivery = factories.training(run, engineer)
    envelope = factories.receipt_of(factories.registered_runner(engineer), delivery)

    answers = at_once(*[lambda: accepting.accept(run=run, sent=envelope, actor=engineer)] * 4)

    receipt = Receipt.objects.get()
    assert [one[0].pk for one in answers] == [receipt.pk] * 4
    assert sorted(one[1] for one in answers) == [False, False, False, True]


def test_one_file_claimed_by_two_runs_at_the_same_time_belongs_to_one(run, engineer):
    runner = factories.registered_runner(engineer)
    runs = [run, factories.freeze(engineer).run]
    sent = [
        factories.receipt_of(
            runner, factories.training(one, engineer), outputs=[file("a.parquet", b"same", 8)]
        )
        for one in runs
    ]

    answers = at_once(
        *(
            lambda one=one, envelope=envelope: accepting.accept(
                run=one, sent=envelope, actor=engineer
            )
            for one, envelope in zip(runs, sent, strict=True)
        )
    )

    assert DataSet.objects.count() == 1
    assert [type(one) for one in answers if not isinstance(one, tuple)] == [OutputClaimed]
