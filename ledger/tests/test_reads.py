"""The record of reads is sealed in batches; none can be changed or taken away unseen."""

import threading

import pytest
from django.db import connection, transaction

from ledger import entries
from ledger.models import AccessRecord, ReadBatch
from ledger.reads import batches
from ledger.reads.recording import record_read
from ledger.verification.verifying import verify_ledger
from tools.outside import behind_the_back

pytestmark = pytest.mark.django_db(transaction=True)


def read(auditor, count):
    for number in range(count):
        record_read(auditor, "test.read", f"test:{number}")


def test_batches_follow_one_another_and_an_empty_one_is_not_made(auditor):
    read(auditor, 3)
    first = batches.seal()
    assert batches.seal() is None
    read(auditor, 2)
    second = batches.seal()

    assert (first.count, second.count) == (3, 2)
    assert second.first == first.last + 1
    assert verify_ledger().problems == []


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ledger_accessrecord SET actor_name = 'another' WHERE subject = 'test:1'",
        "DELETE FROM ledger_accessrecord WHERE subject = 'test:1'",
        "UPDATE ledger_accessrecord SET read_at = '2020-01-01T00:00:00Z' WHERE subject = 'test:1'",
    ],
)
def test_a_record_that_was_changed_after_it_was_sealed_is_found(auditor, statement):
    read(auditor, 3)
    batches.seal()

    behind_the_back("ledger_accessrecord", statement)

    (problem,) = verify_ledger().problems
    assert "are not those that were sealed" in problem


def test_a_batch_that_skips_records_is_found(auditor):
    read(auditor, 2)
    batch = batches.seal()
    read(auditor, 2)
    last = AccessRecord.objects.latest("pk")
    with entries.entry("test.act", actor="test"):
        ReadBatch(first=batch.last + 2, last=last.pk, count=1, root="0" * 64).save()

    assert any("does not follow" in problem for problem in verify_ledger().problems)


@pytest.mark.skipif(
    connection.vendor != "postgresql", reason="SQLite gives out numbers one writer at a time"
)
def test_a_record_whose_number_was_given_out_before_and_committed_after_is_not_left_out(auditor):
    numbered, go_on = threading.Event(), threading.Event()

    def slow_reader():
        try:
            with transaction.atomic():
                record_read(auditor, "test.read", "slow")
                numbered.set()
                go_on.wait(20)
        finally:
            connection.close()

    thread = threading.Thread(target=slow_reader)
    thread.start()
    numbered.wait(20)
    threading.Timer(0.5, go_on.set).start()
    # The sealer waits for a writer that has a number and has not committed.
    batch = batches.seal()
    thread.join()

    assert batch.count == 1
    read(auditor, 1)
    assert batches.seal().first == batch.last + 1
    assert verify_ledger().problems == []
