import datetime as dt
from hashlib import sha256

import pyarrow.parquet as pq
import pytest

from conftest import new_run
from training_portal import receipts
from training_portal.errors import Misuse, NotVerified, Refused, Withdrawn
from training_portal.permission import Permission

pytestmark = pytest.mark.live


def accounts(permission: Permission) -> dict[int, str]:
    """The account of each member number in the lists."""
    found = {}
    for file in permission.files:
        table = pq.read_table(file.path)
        found |= dict(
            zip(table["member_number"].to_pylist(), table["account_ref"].to_pylist(), strict=True)
        )
    return found


def statement_of(permission: Permission) -> dict:
    now = dt.datetime.now(dt.UTC).isoformat().replace("+00:00", "Z")
    raw, clean = "ab" * 32, sha256(permission.delivery.encode()).hexdigest()
    return receipts.statement(
        permission,
        inputs=[{"name": "raw.parquet", "sha256": raw, "bytes": 10, "rows": 10}],
        outputs=[{"name": "clean.parquet", "sha256": clean, "bytes": 9, "rows": 9}],
        member_column={"name": "author", "type": "string"},
        dropped={"excluded": 1},
        distinct_members=9,
        unknown_per_mille=0,
        tokens={"text": 90},
        bytes_by_modality={"text": 900},
        started_at=now,
        ended_at=now,
    )


# --- To the permission --------------------------------------------------------------------------


def test_a_registered_run_ends_in_a_permission(portal, heard):
    run = new_run(portal)

    permission = run.permission()

    assert (permission.run, permission.purpose, permission.data_categories) == (
        run.reference,
        "generative-ai",
        ("posts",),
    )
    assert list(accounts(permission)) == list(permission.members | permission.withdrawn)
    assert 0 < len(permission.members) < permission.population
    assert permission.leased_until > dt.datetime.now(dt.UTC)
    assert heard.warnings == []


def test_a_second_process_goes_on_with_the_same_run(portal, portal_with, tmp_path):
    run = portal.register(
        purpose="generative-ai", data_categories=["posts"], tracker_run_id="goes-on"
    )
    first = run.permission()
    other = portal_with(cache=tmp_path / "elsewhere", state=tmp_path / "other-state")

    again = other.register(
        purpose="generative-ai", data_categories=["posts"], tracker_run_id="goes-on"
    )

    assert again.reference == run.reference
    assert again.permission().archive == first.archive


def test_a_set_is_permitted_without_a_list(portal):
    run = new_run(portal)
    run.form = "set"

    permission = run.permission()

    assert (permission.form, permission.files) == ("set", ())
    assert len(permission.members) > 1_000


def test_who_withdraws_after_the_delivery_is_out_at_once_and_of_the_next_list(portal, switch_off):
    run = new_run(portal)
    before = run.permission()
    number, account = next(iter(accounts(before).items()))
    switch_off(account)

    again = portal.run(run.reference).permission()
    renewed = run.renew()

    assert number in before.members
    assert (number in again.members, number in again.withdrawn) == (False, True)
    assert account in accounts(again).values()
    assert (number in renewed.members, number in renewed.withdrawn) == (False, False)
    assert account not in accounts(renewed).values()


def test_without_a_pinned_key_nothing_is_permitted(portal_with):
    run = new_run(portal_with(keys=()))

    with pytest.raises(Misuse, match="no key to verify with") as refused:
        run.permission()

    assert refused.value.code == "no_key"


def test_a_file_that_was_changed_in_the_cache_is_refused_and_then_brought_anew(portal):
    run = new_run(portal)
    path = run.permission().files[0].path
    path.write_bytes(path.read_bytes()[:-1] + b"!")

    with pytest.raises(NotVerified):
        portal.run(run.reference).permission()

    assert portal.run(run.reference).permission().files[0].path == path


# --- A block ------------------------------------------------------------------------------------


def training_run(portal, name):
    return portal.training_run(
        purpose="generative-ai", data_categories=["posts"], tracker_run_id=name
    )


def test_a_block_that_ends_well_completes_the_run_on_its_receipt(portal):
    with training_run(portal, "ends-well") as run:
        assert run.state == "training"
        receipt = run.send_receipt(statement_of(run.permission()))

    facts = run.refresh()
    assert facts["state"] == "completed"
    assert facts["use"]["completed_on"] == receipt["reference"]
    assert facts["use"]["first_read_at"] is not None
    assert facts["findings"] == []


def test_a_block_that_an_error_leaves_marks_the_run_failed_without_its_text(portal):
    with (
        pytest.raises(RuntimeError),
        training_run(portal, "ends-badly") as run,
    ):
        raise RuntimeError("what a member wrote")

    assert run.refresh()["state"] == "failed"
    failed = portal.session.get(f"runs/{run.reference}/entries").json["results"][0]
    assert failed["kind"] == "run.failed"


def test_a_block_without_a_receipt_says_what_is_missing(portal):
    with (
        pytest.raises(Refused) as refused,
        training_run(portal, "no-receipt") as run,
    ):
        pass

    assert refused.value.code == "receipt_missing"
    assert run.refresh()["state"] == "training"


def test_a_failed_run_begins_again(portal):
    for text in ("first", "second"):
        with pytest.raises(RuntimeError), training_run(portal, "begins-again"):
            raise RuntimeError(text)

    with training_run(portal, "begins-again") as run:
        run.send_receipt(statement_of(run.permission()))

    assert run.refresh()["state"] == "completed"


def test_who_withdraws_during_training_stops_it(portal, switch_off):
    with pytest.raises(Withdrawn) as stop, training_run(portal, "stopped") as run:
        permission = run.permission()
        switch_off(accounts(permission)[permission.members[3]])
        run._heart.beat(look=True)
        run.check()

    assert stop.value.exit_code == 5
    assert run.refresh()["state"] == "failed"


def test_training_goes_on_when_withdrawals_are_acknowledged(portal, switch_off):
    with training_run(portal, "acknowledged") as run:
        permission = run.permission()
        run.send_receipt(statement_of(permission))
        switch_off(accounts(permission)[permission.members[4]])
        members, digest = run.withdrawn()
        run.acknowledge(digest)
        run.check()

    assert len(members) == 1
    assert run.refresh()["findings"] == []


# --- Receipts -----------------------------------------------------------------------------------


def test_the_same_receipt_again_is_the_same(portal):
    run = new_run(portal)
    statement = statement_of(run.permission())

    first, second = run.send_receipt(statement), run.send_receipt(statement)

    assert first["reference"] == second["reference"]


def test_a_receipt_of_another_archive_is_refused(portal):
    run = new_run(portal)
    statement = statement_of(run.permission())
    statement["predicate"]["delivery"]["archive"] = "00" * 32

    with pytest.raises(Refused) as refused:
        run.send_receipt(statement)

    assert (refused.value.exit_code, refused.value.code) == (3, "digest_mismatch")
