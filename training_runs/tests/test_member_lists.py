"""The lists of accounts that a manifest includes: whole, exact, and an error where they could not be."""

import csv
import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from django.db import connection

from common.files import made_files
from common.models import MadeFile
from consent import accounts
from consent.models import AccountReference
from ledger import entries
from ledger.models import AccessRecord
from tools import factories
from tools.outside import behind_the_back
from training_runs.downloads import member_lists
from training_runs.downloads.member_lists import Check, ListDiffers, account_refs
from training_runs.runs import freezing, registering

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def world(officer, second_officer):
    factories.open_world(officer, second_officer)


@pytest.fixture
def api(client_of, engineer):
    return client_of(engineer)


def address(manifest, form):
    return f"/api/v1/runs/{manifest.run.reference}/manifest/members.{form}"


def listed(api, manifest, form):
    """(number, account_ref) of every row of the downloaded list."""
    answer = factories.download(api, address(manifest, form))
    assert answer.status_code == 200, answer.content
    data = b"".join(answer.streaming_content)
    assert answer["Content-Length"] == str(len(data))
    if form == "csv":
        rows = list(csv.reader(io.StringIO(data.decode(), newline="")))
        assert rows.pop(0) == ["member_number", "account_ref"]
        return [(int(number), reference) for number, reference in rows]
    table = pq.read_table(io.BytesIO(data), page_checksum_verification=True)
    return list(zip(*(column.to_pylist() for column in table.columns), strict=True))


def expected(manifest):
    included = freezing.load(manifest).included
    rows = AccountReference.objects.filter(member__in=list(included)).order_by("member_id")
    return list(rows.values_list("member_id", "account_ref"))


@pytest.mark.parametrize("size", [1, 9, 10, 11, 20, 21])
@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_a_list_of_any_length_is_what_was_frozen(api, world, engineer, monkeypatch, size, form):
    monkeypatch.setattr(member_lists, "PAGE", 10)
    factories.add_members(size)
    manifest = factories.freeze(engineer)

    found = listed(api, manifest, form)

    assert len(found) == manifest.included == size
    assert found == expected(manifest)


@pytest.mark.slow
def test_a_list_of_more_than_a_page_as_it_is_used_is_whole(api, world, engineer):
    for _ in range(3):
        factories.add_members(member_lists.PAGE // 3 + 1, prefix=f"acc{_}")
    manifest = factories.freeze(engineer)

    for form in ("csv", "parquet"):
        found = listed(api, manifest, form)

        assert len(found) == manifest.included > member_lists.PAGE
        assert found == expected(manifest)


@pytest.mark.parametrize("kept", [1, 2, 7])
def test_a_list_with_many_left_out_in_between_is_whole(api, world, engineer, monkeypatch, kept):
    monkeypatch.setattr(member_lists, "PAGE", 3)
    numbers = factories.add_members(30)
    for place in range(30):
        if place % 10 >= kept:
            factories.decide(f"acc-{place}", "deny", actor="test")
    manifest = factories.freeze(engineer)

    found = listed(api, manifest, "csv")

    assert [number for number, _ in found] == [
        number for place, number in enumerate(numbers) if place % 10 < kept
    ]


EXACT = [
    "=a1",
    "'=a1",
    "+1",
    "-1",
    "@a",
    " a",
    "a;=1",
    "007",
    "1e5",
    'say "a", b',
    "NA",
    "été",
    "＝1",
]


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_references_are_written_as_the_product_sent_them(api, world, engineer, form):
    with entries.entry("test.members", actor="test"):
        pass
    for reference in EXACT:
        factories.add_member(reference)
    manifest = factories.freeze(engineer)

    assert [reference for _, reference in listed(api, manifest, form)] == EXACT


def test_a_parquet_list_has_checksums_no_nulls_and_says_that_it_is_sorted(api, world, engineer):
    factories.add_members(3)
    manifest = factories.freeze(engineer)
    data = b"".join(factories.download(api, address(manifest, "parquet")).streaming_content)

    file = pq.ParquetFile(io.BytesIO(data), page_checksum_verification=True)

    assert file.schema_arrow == pa.schema(
        [
            pa.field("member_number", pa.uint32(), nullable=False),
            pa.field("account_ref", pa.string(), nullable=False),
        ]
    )
    assert file.metadata.row_group(0).sorting_columns == (pq.SortingColumn(0),)
    # One bit of a reference, which nothing but the checksum would notice.
    column = file.metadata.row_group(0).column(1)
    at = column.data_page_offset + column.total_compressed_size - 1
    broken = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
    with pytest.raises(OSError, match="CRC"):
        pq.read_table(io.BytesIO(broken), page_checksum_verification=True)


# --- A list that would not be whole -------------------------------------------------------------


def pages_of(included):
    return [[(number, f"acc-{number}")] for number in included]


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda pages: pages[:-1], "have no account reference"),
        (lambda pages: pages[1:], "have no account reference"),
        (lambda pages: [*pages[:1], *pages], "comes twice"),
        (lambda pages: pages[::-1], "out of order"),
        (lambda pages: [*pages, [(99, "x")]], "not in the manifest"),
    ],
)
def test_a_list_that_differs_from_what_was_frozen_ends_as_an_error(world, engineer, spoil, said):
    factories.add_members(4)
    included = freezing.load(factories.freeze(engineer)).included

    assert len(list(Check(included).passing(pages_of(included)))) == 4
    with pytest.raises(ListDiffers, match=said):
        list(Check(included).passing(spoil(pages_of(included))))


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_a_reference_deleted_by_hand_gives_an_error_and_no_file(api, world, engineer, form):
    factories.add_members(4)
    manifest = factories.freeze(engineer)
    behind_the_back(
        "consent_accountreference",
        "DELETE FROM consent_accountreference WHERE account_ref = 'acc-2'",
    )

    answer = factories.download(api, address(manifest, form))

    assert answer.status_code == 409
    assert answer.json()["code"] == "list_differs"
    assert "1 of 4 members have no account reference" in answer.json()["detail"]
    assert list((made_files.settings.MADE_FILE_DIR).rglob("*")) == []


@pytest.mark.parametrize("form", ["csv", "parquet"])
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("account_ref = 'victim'", "is not the one that was sealed"),
        ("salt = 'no hexadecimal'", "is not the one that was sealed"),
        ("account_key = 'acc-9'", "under a key that is not its own"),
    ],
)
def test_a_reference_changed_by_hand_is_never_given_out(api, world, engineer, form, change, said):
    factories.add_members(4)
    manifest = factories.freeze(engineer)
    behind_the_back(
        "consent_accountreference",
        f"UPDATE consent_accountreference SET {change} WHERE account_ref = 'acc-2'",
    )

    answer = factories.download(api, address(manifest, form))

    assert (answer.status_code, answer.json()["code"]) == (409, "list_differs")
    assert said in answer.json()["detail"]
    assert list((made_files.settings.MADE_FILE_DIR).rglob("*")) == []


def test_a_pager_that_loses_members_is_noticed(api, world, engineer, monkeypatch):
    factories.add_members(4)
    manifest = factories.freeze(engineer)
    whole = account_refs

    def losing(included, *, page):
        for rows in whole(included, page=page):
            yield rows[:-1]

    monkeypatch.setattr(member_lists, "account_refs", losing)

    assert factories.download(api, address(manifest, "csv")).json()["code"] == "list_differs"


# --- Erased -------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_a_list_is_deleted_when_one_of_its_accounts_is_erased(api, world, engineer, officer, form):
    factories.add_members(4)
    manifest = factories.freeze(engineer)
    before = listed(api, manifest, form)

    accounts.erase_member(account_ref="acc-2", actor=officer, reason="test")

    assert [path for path in made_files.settings.MADE_FILE_DIR.rglob("*") if path.is_file()] == []
    assert api.get(address(manifest, form)).status_code == 202
    after = factories.download(api, address(manifest, form))
    assert (after["Members-Included"], after["Members-Erased-Since"]) == ("4", "1")
    assert listed(api, manifest, form) == [row for row in before if row[1] != "acc-2"]


def test_a_list_is_kept_when_another_account_is_erased(api, world, engineer, officer):
    factories.add_members(2)
    manifest = factories.freeze(engineer)
    factories.add_member("later")
    listed(api, manifest, "csv")

    accounts.erase_member(account_ref="later", actor=officer, reason="test")

    assert api.get(address(manifest, "csv")).status_code == 200


def test_a_list_that_is_being_written_starts_over_when_an_account_is_erased(
    api, world, engineer, officer, monkeypatch
):
    factories.add_members(4)
    manifest = factories.freeze(engineer)
    whole = account_refs
    api.get(address(manifest, "csv"))

    def erasing(included, *, page):
        rows = list(whole(included, page=page))
        accounts.erase_member(account_ref="acc-2", actor=officer, reason="test")
        yield from rows

    monkeypatch.setattr(member_lists, "account_refs", erasing)
    made_files.make_due()
    monkeypatch.setattr(member_lists, "account_refs", whole)

    assert api.get(address(manifest, "csv")).status_code == 202
    assert [row[1] for row in listed(api, manifest, "csv")] == ["acc-0", "acc-1", "acc-3"]


# --- Who has it ---------------------------------------------------------------------------------


def test_each_download_and_no_question_leaves_a_record_with_the_digest(api, world, engineer):
    factories.add_members(2)
    manifest = factories.freeze(engineer)
    api.get(address(manifest, "csv"))
    api.get(address(manifest, "csv"))
    assert not AccessRecord.objects.exists()

    first = factories.download(api, address(manifest, "csv"))
    api.get(address(manifest, "csv"), headers={"Range": "bytes=0-3"})

    digest = MadeFile.objects.get().digest
    assert first["ETag"] == f'"{digest}"'
    assert [(row.kind, row.subject, row.purpose) for row in AccessRecord.objects.all()] == [
        ("manifest.members", manifest.run.reference, f"csv, 2 rows, sha-256={digest}")
    ] * 2


def test_a_list_is_not_given_out_once_the_run_is_cancelled(api, world, engineer, client_of):
    factories.add_members(2)
    manifest = factories.freeze(engineer)
    factories.download(api, address(manifest, "csv"))
    page = f"/admin/files/{MadeFile.objects.get().key}/"
    assert api.get(page).status_code == api.get(f"{page}download/").status_code == 200

    registering.cancel(run=manifest.run, actor=engineer, reason="test")

    assert api.get(address(manifest, "csv")).json()["code"] == "run_cancelled"
    assert api.get(page).status_code == api.get(f"{page}download/").status_code == 409


@pytest.mark.parametrize("person", ["second_engineer", "officer", "auditor", "stranger"])
def test_the_page_of_a_list_is_its_owners_alone(api, world, engineer, client_of, request, person):
    factories.add_members(2)
    manifest = factories.freeze(engineer)
    api.get(address(manifest, "csv"))
    page = f"/admin/files/{MadeFile.objects.get().key}/"
    made_files.make_due()
    client = client_of(request.getfixturevalue(person))

    assert client.get(page).status_code == client.get(f"{page}download/").status_code == 403


def test_a_person_asks_on_the_runs_page_and_sees_how_far_the_list_is(api, world, engineer):
    factories.add_members(2)
    manifest = factories.freeze(engineer)
    run = api.get(f"/admin/training_runs/run/{manifest.run.pk}/change/")
    link = f"/admin/training_runs/run/{manifest.run.pk}/members/csv/"
    assert link in run.text

    waiting = api.get(link, follow=True)
    made_files.make_due()
    ready = api.get(waiting.request["PATH_INFO"])

    assert "The file is being made" in waiting.text
    assert '<meta http-equiv="refresh"' in waiting.text
    assert "Download TR-" in ready.text
    assert "http-equiv" not in ready.text
    file = api.get(f"{waiting.request['PATH_INFO']}download/")
    assert b"acc-1" in b"".join(file.streaming_content)
    assert "no-store" in file["Cache-Control"]


def test_nothing_of_an_account_is_in_the_row_of_a_file(api, world, engineer):
    factories.add_member("customer-secret")
    manifest = factories.freeze(engineer)
    factories.download(api, address(manifest, "csv"))

    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM common_madefile")
        assert "secret" not in repr(cursor.fetchall())
