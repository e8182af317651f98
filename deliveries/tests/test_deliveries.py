"""Deliveries: what is handed out is the manifest without the members who are out by now, whole or not at all."""

import datetime as dt
import errno
import os

import pyarrow.parquet as pq
import pytest
from django.conf import settings
from pyroaring import BitMap

from common.files import space
from common.models import Lease
from consent import accounts, members
from consent.choices import ReviewVerdict
from consent.models import AccountReference, Member
from deliveries import recipients
from deliveries.choices import DeliveryState
from deliveries.errors import DeliveryQuota, RunNotInUse
from deliveries.made import archives, ending, lists, making, requesting, stores, sweeping
from deliveries.models import Delivery, DeliveryAttempt
from ledger import entries
from ledger.models import Entry
from tools import factories
from tools.outside import behind_the_back
from training_runs.choices import FindingKind
from training_runs.errors import ManifestBlocked, ManifestNotReady
from training_runs.models import Finding
from training_runs.runs import freezing, registering, withdrawing

pytestmark = pytest.mark.django_db(transaction=True)

SIZES = [int(size) for size in os.environ.get("DELIVERED", "1 9999 10000 10001 20002").split()]
"""Members of a list, around one and two pages. DELIVERED=200000 runs the long form (CONTRIBUTING.md)."""


@pytest.fixture(autouse=True)
def world(officer, second_officer):
    factories.open_world(officer, second_officer)


def rows_of(delivery: Delivery) -> list[tuple[int, str, dt.date | None]]:
    """Every row of the delivery's files, in their order."""
    found = []
    for file in delivery.files:
        path = stores.path_of(delivery.reference, file["sha256"])
        table = pq.read_table(path, page_checksum_verification=True)
        assert table.num_rows == file["rows"]
        found += list(zip(*(column.to_pylist() for column in table.columns), strict=True))
    return found


def expected(numbers: BitMap) -> list[tuple[int, str, None]]:
    rows = AccountReference.objects.filter(member__in=list(numbers)).order_by("member_id")
    return [(*row, None) for row in rows.values_list("member_id", "account_ref")]


@pytest.mark.parametrize("size", [1, 9, 10, 11, 20, 22])
def test_a_list_of_any_length_is_the_manifest_without_those_who_are_out(
    engineer, product, monkeypatch, size
):
    monkeypatch.setattr(lists, "PAGE", 10)
    factories.add_members(size + 2)
    manifest = factories.freeze(engineer)
    for number in (0, size):
        factories.decide(f"acc-{number}", "deny", actor=product)

    delivery = factories.deliver(manifest.run, engineer)

    out = set(
        AccountReference.objects.filter(account_ref__in=["acc-0", f"acc-{size}"]).values_list(
            "member_id", flat=True
        )
    )
    included = freezing.load(manifest).included
    assert (delivery.rows, delivery.subtracted) == (size, 2)
    assert rows_of(delivery) == expected(included - BitMap(out))
    assert archives.load(delivery).subtracted == BitMap(out)
    assert delivery.subtraction_digest == archives.digest_of(BitMap(out))


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
def test_a_list_of_many_is_those_who_were_in_without_those_who_are_out_row_by_row(
    engineer, product, monkeypatch, size
):
    monkeypatch.setattr(lists, "PAGE", 10_000)
    numbers = factories.add_members(size + 3)
    manifest = factories.freeze(engineer)
    out = {0, size // 2 + 1, size + 2}
    for place in out:
        factories.decide(f"acc-{place}", "deny", actor=product)

    delivery = factories.deliver(manifest.run, engineer)

    left = [
        (number, f"acc-{place}", None) for place, number in enumerate(numbers) if place not in out
    ]
    archive = archives.load(delivery)
    assert len(left) == delivery.rows == size
    assert rows_of(delivery) == left
    assert list(archive.delivered) == [row[0] for row in left]
    assert set(archive.subtracted) == {numbers[place] for place in out}


def test_a_delivery_is_sealed_with_its_digests_and_its_lease(engineer):
    factories.add_members(3)
    manifest = factories.freeze(engineer)

    delivery = factories.deliver(manifest.run, engineer)

    entry = Entry.objects.filter(kind="delivery.made").get()
    history = Delivery.history.get(entry=entry)
    assert (history.digest, history.files) == (delivery.digest, delivery.files)
    assert history.manifest_id == manifest.pk
    assert delivery.leased_until == delivery.delivered_at + dt.timedelta(days=30)
    assert delivery.cut < entry.sequence
    path = stores.path_of(delivery.reference, delivery.files[0]["sha256"])
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_a_member_who_was_out_at_the_freeze_is_never_added(engineer, product):
    factories.add_members(3)
    factories.decide("acc-1", "deny", actor=product)
    manifest = factories.freeze(engineer)
    factories.decide("acc-1", "allow", actor=product)

    delivery = factories.deliver(manifest.run, engineer)

    assert [row[1] for row in rows_of(delivery)] == ["acc-0", "acc-2"]


@pytest.mark.parametrize("change", ["country", "minor", "closed", "notice"])
def test_every_exclusion_since_is_subtracted(engineer, officer, second_officer, change):
    factories.add_members(2)
    factories.add_member("de-1", country="DE")
    manifest = factories.freeze(engineer)
    if change == "country":
        factories.allow(
            officer, second_officer, codes=["DE"], rule="excluded",
            effective_from=dt.date(2025, 1, 1),
        )  # fmt: skip
    elif change == "notice":
        from consent.models import Notice  # noqa: PLC0415
        from consent.rulebook import proposing  # noqa: PLC0415

        old = Notice.objects.get()
        row = proposing.propose_notice(
            version="without-germany", purposes=old.purposes, data_categories=old.data_categories,
            countries=[code for code in old.countries if code != "DE"],
            published_on=old.published_on, in_force_from=factories.LONG_AGO, texts=old.texts,
            source="test", supersedes=old, actor=officer,
        )  # fmt: skip
        if row.needs_approval:
            proposing.review(
                proposal=row, verdict=ReviewVerdict.APPROVED, actor=second_officer, reason="test"
            )
    else:
        member = Member.objects.get(reference__account_ref="de-1")
        changed = {"adult_on": None} if change == "minor" else {"status": "closed"}
        with entries.entry("test.act", actor="test"):
            members.change([(member, members.facts_of(member)._replace(**changed))])

    delivery = factories.deliver(manifest.run, engineer)

    assert [row[1] for row in rows_of(delivery)] == ["acc-0", "acc-1"]


def test_the_same_request_gives_the_same_delivery_while_its_lease_lasts(engineer):
    factories.add_members(2)
    run = factories.freeze(engineer).run

    first, is_new = requesting.request(run=run, actor=engineer)
    again, is_new_again = requesting.request(run=run, actor=engineer)
    delivery = factories.made(first)
    after, is_new_after = requesting.request(run=run, actor=engineer)

    assert [first.pk, again.pk, delivery.pk, after.pk] == [first.pk] * 4
    assert [is_new, is_new_again, is_new_after] == [True, False, False]


def test_renewing_makes_a_new_delivery_and_the_old_file_goes(engineer, product):
    factories.add_members(3)
    run = factories.freeze(engineer).run
    old = factories.deliver(run, engineer)
    factories.decide("acc-0", "deny", actor=product)

    renewed, _ = requesting.renew(delivery=old, actor=engineer)
    still_there = stores.home(old.reference).exists()
    again, is_new = requesting.renew(delivery=old, actor=engineer)
    new = factories.made(renewed)

    old.refresh_from_db()
    assert still_there and (again.pk, is_new) == (renewed.pk, False)
    assert (old.state, new.state) == (DeliveryState.REPLACED, DeliveryState.DELIVERED)
    assert (old.rows, new.rows, new.subtracted) == (3, 2, 1)
    assert not stores.home(old.reference).exists()


def test_a_lease_ends_by_itself_and_takes_the_file_along(engineer, time_machine):
    factories.add_members(2)
    run = factories.freeze(engineer).run
    delivery = factories.deliver(run, engineer)
    time_machine.move_to(delivery.leased_until + dt.timedelta(seconds=1))

    assert sweeping.sweep()["expired"] == 1

    delivery.refresh_from_db()
    assert delivery.state == DeliveryState.EXPIRED
    assert not stores.home(delivery.reference).exists()
    assert requesting.request(run=run, actor=engineer)[1]


def test_an_erasure_ends_the_deliveries_that_hold_the_account(engineer, officer):
    factories.add_members(2)
    factories.add_member("other", country="FR")
    run = factories.freeze(engineer).run
    delivery = factories.deliver(run, engineer)

    accounts.erase_member(account_ref="acc-1", actor=officer, reason="test")

    delivery.refresh_from_db()
    assert delivery.state == DeliveryState.CANCELLED
    assert "erased" in delivery.end_reason
    assert not stores.home(delivery.reference).exists()
    again = factories.deliver(run, engineer)
    assert [row[1] for row in rows_of(again)] == ["acc-0", "other"]


def test_an_account_erased_while_the_list_is_written_is_not_in_it(engineer, officer, monkeypatch):
    factories.add_members(3)
    run = factories.freeze(engineer).run
    whole = lists.account_refs

    def erasing(numbers):
        monkeypatch.setattr(lists, "account_refs", whole)
        accounts.erase_member(account_ref="acc-1", actor=officer, reason="test")
        return whole(numbers)

    monkeypatch.setattr(lists, "account_refs", erasing)

    delivery = factories.deliver(run, engineer)

    assert [row[1] for row in rows_of(delivery)] == ["acc-0", "acc-2"]
    assert delivery.subtracted == 1


def test_an_account_erased_before_the_list_is_recorded_is_not_in_it(engineer, officer, monkeypatch):
    factories.add_members(3)
    run = factories.freeze(engineer).run
    record = making._record

    def erasing(*args):
        monkeypatch.setattr(making, "_record", record)
        accounts.erase_member(account_ref="acc-1", actor=officer, reason="test")
        return record(*args)

    monkeypatch.setattr(making, "_record", erasing)

    delivery = factories.deliver(run, engineer)

    assert [row[1] for row in rows_of(delivery)] == ["acc-0", "acc-2"]


def test_a_set_is_made_however_many_accounts_are_erased_meanwhile(engineer, officer, monkeypatch):
    """It holds numbers only, and no file of it has to go."""
    factories.add_members(9)
    run = factories.freeze(engineer).run
    record, erased = making._record, iter(range(9))

    def erasing(*args):
        accounts.erase_member(account_ref=f"acc-{next(erased)}", actor=officer, reason="test")
        return record(*args)

    monkeypatch.setattr(making, "_record", erasing)

    delivery = factories.deliver(run, engineer, form="set")

    assert (delivery.rows, delivery.subtracted) == (9, 0)
    assert len(withdrawing.withdrawn_since(run.manifest).withdrawn) == 1


@pytest.mark.parametrize("fault", ["lost", "twice", "stranger"])
def test_a_list_that_differs_is_no_delivery_and_a_finding(engineer, monkeypatch, fault):
    factories.add_members(4)
    run = factories.freeze(engineer).run
    whole = lists.account_refs

    def differing(numbers):
        for page in whole(numbers):
            if fault == "lost":
                yield lists.Page(*(column[:-1] for column in page))
            elif fault == "twice":
                yield lists.Page(*([*column, column[-1]] for column in page))
            else:
                yield lists.Page([*page.numbers, 999], [*page.account_refs, "stranger"])

    monkeypatch.setattr(lists, "account_refs", differing)
    delivery, _ = requesting.request(run=run, actor=engineer)

    assert making.make(delivery.pk) is None

    delivery.refresh_from_db()
    assert delivery.state == DeliveryState.REFUSED
    assert not stores.home(delivery.reference).exists()
    assert Finding.objects.get(run=run).kind == FindingKind.DELIVERY_DIFFERS


def test_a_reference_changed_behind_the_back_is_not_delivered(engineer):
    factories.add_members(2)
    run = factories.freeze(engineer).run
    behind_the_back(
        "consent_accountreference",
        "UPDATE consent_accountreference SET account_ref = %s, account_key = %s WHERE account_ref = %s",
        "acc-x", "acc-x", "acc-1",
    )  # fmt: skip
    delivery, _ = requesting.request(run=run, actor=engineer)

    assert making.make(delivery.pk) is None
    delivery.refresh_from_db()
    assert delivery.state == DeliveryState.REFUSED


def test_a_full_disk_keeps_the_delivery_waiting_and_leaves_no_file(engineer, monkeypatch):
    factories.add_members(2)
    run = factories.freeze(engineer).run
    delivery, _ = requesting.request(run=run, actor=engineer)
    with monkeypatch.context() as full:
        full.setattr(space.Room, "is_short", lambda room, wanted=0: True)
        with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
            making.make(delivery.pk)

    delivery.refresh_from_db()
    assert delivery.state == DeliveryState.REQUESTED
    assert DeliveryAttempt.objects.get(delivery=delivery).count == 1
    assert not stores.home(delivery.reference).exists()
    Lease.objects.all().delete()  # as a minute later
    assert factories.made(delivery).rows == 2


def test_a_run_has_only_so_much_room(engineer, monkeypatch):
    factories.add_members(2)
    run = factories.freeze(engineer).run
    monkeypatch.setattr(settings, "DELIVERY_BYTES_PER_RUN", 0)

    with pytest.raises(DeliveryQuota, match="all the room"):
        requesting.request(run=run, actor=engineer)


def test_a_list_of_more_than_half_the_room_is_renewed(engineer, administrator, monkeypatch):
    factories.add_members(2)
    run = factories.freeze(engineer).run
    old = factories.deliver(run, engineer)
    size = sum(file["bytes"] for file in old.files)
    monkeypatch.setattr(settings, "DELIVERY_BYTES_PER_RUN", size + size // 2)
    processor = recipients.record(
        actor=administrator, name="trainer", title="Trainer Ltd", kind="processor", country="IE"
    )

    renewed = factories.made(requesting.renew(delivery=old, actor=engineer)[0])

    assert renewed.state == DeliveryState.DELIVERED
    # A list for another recipient stays beside it.
    other, _ = requesting.request(run=run, actor=engineer, recipient=processor)
    assert making.make(other.pk) is None
    other.refresh_from_db()
    assert other.state == DeliveryState.REFUSED and "delivery_quota" in other.end_reason


def test_only_a_verified_manifest_is_delivered(engineer):
    factories.add_members(2)
    manifest = factories.freeze(engineer, verified=False)

    with pytest.raises(ManifestNotReady):
        requesting.request(run=manifest.run, actor=engineer)


def test_a_manifest_that_differs_later_stops_the_delivery(engineer, monkeypatch):
    factories.add_members(2)
    manifest = factories.freeze(engineer)
    delivery, _ = requesting.request(run=manifest.run, actor=engineer)
    from training_runs.manifests import archives as stored  # noqa: PLC0415
    from training_runs.runs import verifying  # noqa: PLC0415

    path = stored.path_of(manifest.digest)
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    assert verifying.verify(manifest).agreement == "differs"
    path.write_bytes(data)

    assert making.make(delivery.pk) is None
    delivery.refresh_from_db()
    assert (delivery.state, delivery.end_reason.split(":")[0]) == ("refused", "manifest_blocked")
    with pytest.raises(ManifestBlocked):
        requesting.request(run=manifest.run, actor=engineer)


def test_a_completed_or_cancelled_run_gets_no_delivery(engineer):
    factories.add_members(2)
    done = factories.complete(factories.freeze(engineer).run, engineer)
    with pytest.raises(RunNotInUse, match="parent"):
        requesting.request(run=done, actor=engineer)
    assert not Delivery.objects.alive().exists()


def test_cancelling_a_run_ends_its_deliveries(engineer):
    factories.add_members(2)
    run = factories.freeze(engineer).run
    delivery = factories.deliver(run, engineer)

    registering.cancel(run=run, actor=engineer, reason="not needed")

    delivery.refresh_from_db()
    assert delivery.state == DeliveryState.CANCELLED
    assert not stores.home(delivery.reference).exists()


def test_a_set_has_numbers_and_no_account(engineer, product):
    factories.add_members(3)
    run = factories.freeze(engineer).run
    factories.decide("acc-0", "deny", actor=product)

    delivery = factories.deliver(run, engineer, form="set")

    assert (delivery.files, delivery.rows) == ([], 2)
    assert len(archives.load(delivery).delivered) == 2


def test_a_long_list_is_several_files_of_whole_ranges(engineer, monkeypatch):
    monkeypatch.setattr(lists, "PARTITION_ABOVE", 5)
    monkeypatch.setattr(lists, "PARTITION_BITS", 3)
    factories.add_members(20)
    run = factories.freeze(engineer).run

    delivery = factories.deliver(run, engineer)

    assert len(delivery.files) > 2
    for file in delivery.files:
        assert file["first"] >> 3 == file["last"] >> 3
    assert rows_of(delivery) == expected(archives.load(delivery).delivered)
    assert sum(file["rows"] for file in delivery.files) == delivery.rows == 20


def test_files_that_no_delivery_knows_are_deleted(engineer):
    factories.add_members(2)
    delivery = factories.deliver(factories.freeze(engineer).run, engineer)
    stores.begin("DL-2026-999999")

    sweeping.sweep()

    assert not stores.home("DL-2026-999999").exists()
    assert stores.home(delivery.reference).exists()


def test_cancelling_says_why_and_is_final(engineer):
    factories.add_members(2)
    delivery = factories.deliver(factories.freeze(engineer).run, engineer)

    ending.cancel(delivery=delivery, actor=engineer, reason="wrong run")
    ending.cancel(delivery=delivery, actor=engineer, reason="wrong run")

    assert Entry.objects.filter(kind="delivery.cancelled").count() == 1
    assert not stores.home(delivery.reference).exists()


def test_the_list_says_from_when_on_content_may_be_used_and_only_ever_later(
    engineer, product, officer
):
    factories.add_members(2)
    factories.add_member("young", adult_on=dt.date(2025, 5, 6))
    run = factories.freeze(engineer).run
    factories.decide("acc-0", "deny", actor=product)
    factories.decide("acc-0", "allow", actor=product)

    delivery = factories.deliver(run, engineer)

    tomorrow = dt.datetime.now(dt.UTC).date() + dt.timedelta(days=1)
    assert {row[1]: row[2] for row in rows_of(delivery)} == {
        "acc-0": tomorrow,
        "acc-1": None,
        # In the United States the day begins later than in UTC, in which content is dated.
        "young": dt.date(2025, 5, 7),
    }
