"""What a portal that lies, with the right key, cannot make a client believe; and what it gives to who is honest."""

import datetime as dt

import lying_portal
import pyarrow as pa
import pytest
from lying_portal import DELIVERY, RUN, SCHEMA, LyingPortal
from pyroaring import BitMap

from training_portal.errors import LeaseOver, NotVerified
from training_portal.trust import Memory, Trust, VerifierKey


@pytest.fixture
def lying(tmp_path):
    return LyingPortal(tmp_path)


def verify(lying: LyingPortal, **more):
    trust = Trust((VerifierKey.parse(lying.verifier_key),), Memory(lying.home / "memory"))
    return trust.verify(lying, run=RUN, delivery=DELIVERY, **more)


def test_an_honest_answer_is_permitted(lying):
    permission = verify(lying)

    assert permission.members == BitMap(range(1, 901)) - BitMap([5, 6, 7])
    assert permission.cohorts == ((dt.date(2025, 11, 3), BitMap([10, 11])),)
    assert permission.withdrawn == BitMap()
    assert (permission.population, permission.left_out_per_mille) == (1_000, 103)
    assert permission.leased_until_text == "2099-12-26T10:00:00.000000Z"


def test_who_has_withdrawn_since_is_not_permitted(lying):
    lying.withdrawn_numbers = BitMap([5, 6, 7, 10, 20])

    permission = verify(lying)

    assert permission.withdrawn == BitMap([10, 20])
    assert permission.members.isdisjoint(BitMap([5, 6, 7, 10, 20]))
    assert permission.cohorts == ((dt.date(2025, 11, 3), BitMap([11])),)


def test_a_set_needs_no_list(lying):
    lying.forms = {"form": "set"}

    permission = verify(lying)

    assert (permission.form, permission.files, "list" in lying.asked) == ("set", (), False)


def test_a_long_entry_is_read_in_full_under_its_short_form(lying):
    lying.row = {"end_reason": "x" * 70_000}

    permission = verify(lying)

    assert (len(permission.members), "entry" in lying.asked) == (897, True)


def test_a_long_entry_with_other_rows_than_the_sealed_ones_is_refused(lying):
    lying.row = {"end_reason": "x" * 70_000}
    lying.line = lying._entry().replace(b"2099-12-26", b"2199-12-26")

    with pytest.raises(NotVerified, match="not those that were sealed"):
        verify(lying)


def test_a_short_entry_needs_nothing_more(lying):
    verify(lying)

    assert "entry" not in lying.asked


def test_a_lease_that_has_ended_is_over_before_anything_is_brought(lying):
    lying.leased_until = "2026-11-01T00:00:00.000000Z"

    with pytest.raises(LeaseOver):
        verify(lying)

    assert lying.asked == ["proof"]


# --- Lies that are signed and sealed ------------------------------------------------------------


def subtraction_dropped(lying):
    lying.delivered = lying.included


def subtraction_dropped_everywhere(lying):
    lying.delivered, lying.subtracted = lying.included, BitMap([950])


def somebody_added(lying):
    lying.delivered = lying.included - lying.subtracted | BitMap([950])


def earlier_day_than_the_manifest(lying):
    lying.delivered_cohorts = {"2025-11-02": BitMap([10, 11])}


def no_day_at_all(lying):
    lying.delivered_cohorts = {}


def another_run_in_the_archive(lying):
    lying.header = {"run": "TR-2026-000002"}


def another_purpose_in_the_archive(lying):
    lying.header = {"purpose": "safety"}


def another_cut_in_the_archive(lying):
    lying.header = {"cut": 0}


def another_subtraction_in_the_row(lying):
    lying.row = {"subtracted": 2}


def another_count_in_the_row(lying):
    lying.row = {"rows": 5}


def a_tree_that_says_more_are_in(lying):
    lying.tree_of = {"opted_out": BitMap(range(902, 1_001))}


def a_member_in_and_out(lying):
    lying.excluded = {"opted_out": BitMap(range(901, 1_001)), "erased": BitMap([1_001])}


def rows(lying):
    days = {10: dt.date(2025, 11, 3), 11: dt.date(2025, 11, 3)}
    return [(n, f"acc-{n}", days.get(n)) for n in lying.included - lying.subtracted]


def a_row_group_missing(lying):
    lying.rows = rows(lying)[250:]


def a_member_who_left_in_the_list(lying):
    lying.rows = [(5, "acc-5", None), *rows(lying)[1:]]


def a_member_twice_in_the_list(lying):
    lying.rows = [rows(lying)[1], *rows(lying)[1:]]


def days_dropped_from_the_list(lying):
    lying.rows = [(number, account, None) for number, account, _ in rows(lying)]


def a_day_more_in_the_list(lying):
    lying.rows = [(*rows(lying)[0][:2], dt.date(2020, 1, 1)), *rows(lying)[1:]]


def numbers_of_another_type(lying):
    lying.list_schema = SCHEMA.set(0, pa.field("member_number", pa.int64(), nullable=False))


def a_whole_archive_that_was_not_sealed(lying):
    sealed = lying._delivery_archive()
    lying.delivery_archive = lambda entry: sealed.replace(b'"policies":{}', b'"policies":[]')


def a_whole_manifest_that_was_not_sealed(lying):
    sealed = lying._manifest()
    lying.manifest_archive = lambda *asked: sealed.replace(b'"notices":[]', b'"notices":{}')


def another_digest_of_who_has_withdrawn(lying):
    lying.withdrawn_digest = "00" * 32


def the_tree_of_members_for_the_ledger(lying):
    lying.origin = f"{lying_portal.NAME}/{RUN}"


def the_tree_of_another_run(lying):
    lying.tree_run = "TR-2026-000002"


def a_day_before_the_manifest(lying):
    lying.manifest_as_of = "2026-11-26T00:15:00.000000Z"


def another_kind_of_entry(lying):
    lying.entry_said = {"kind": "delivery.requested"}


def another_format_of_entries(lying):
    lying.entry_said = {"format": 2}


def a_field_more_in_the_entry(lying):
    lying.entry_said = {"note": ""}


def another_number_in_the_entry(lying):
    lying.entry_said = {"sequence": 3}


def an_entry_about_another_run(lying):
    lying.entry_said = {"subject": "TR-2026-000002"}


def a_delivery_that_was_not_made(lying):
    lying.row = {"state": "requested"}


def another_delivery(lying):
    lying.row = {"reference": "DL-2026-000002"}


def a_form_that_nobody_knows(lying):
    lying.row = {"form": "csv"}


def a_list_without_files(lying):
    lying.row = {"files": []}


def a_cut_after_the_entry(lying):
    lying.row = {"cut": 2}
    lying.header = {"cut": 2}


def a_lease_in_other_words(lying):
    lying.row = {"leased_until": "2099-12-26"}


def a_digest_that_is_none(lying):
    lying.row = {"ledger_root": "x"}
    lying.header = {"ledger_root": "x"}


def a_count_below_zero(lying):
    lying.row = {"size": -1}


def another_list_than_the_sealed_one(lying):
    lying.list_bytes = b"PAR1"


LIES = [
    subtraction_dropped, subtraction_dropped_everywhere, somebody_added, earlier_day_than_the_manifest, no_day_at_all,
    another_run_in_the_archive, another_purpose_in_the_archive, another_cut_in_the_archive,
    another_subtraction_in_the_row, another_count_in_the_row, a_tree_that_says_more_are_in, a_member_in_and_out,
    a_row_group_missing, a_member_who_left_in_the_list, a_member_twice_in_the_list, days_dropped_from_the_list,
    a_day_more_in_the_list, numbers_of_another_type, another_digest_of_who_has_withdrawn,
    the_tree_of_members_for_the_ledger, the_tree_of_another_run, a_day_before_the_manifest, another_kind_of_entry,
    another_format_of_entries, a_field_more_in_the_entry, another_number_in_the_entry, an_entry_about_another_run,
    a_delivery_that_was_not_made, another_delivery, a_form_that_nobody_knows, a_list_without_files,
    a_cut_after_the_entry, a_lease_in_other_words, a_digest_that_is_none, a_count_below_zero,
    another_list_than_the_sealed_one, a_whole_archive_that_was_not_sealed, a_whole_manifest_that_was_not_sealed,
]  # fmt: skip


@pytest.mark.parametrize("lie", LIES, ids=lambda one: one.__name__)
def test_a_lie_that_is_signed_is_refused(lying, lie):
    lie(lying)

    with pytest.raises(NotVerified) as refused:
        verify(lying)

    assert refused.value.exit_code == 4
