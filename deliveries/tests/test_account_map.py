"""The account map: each account with its number, whole by range, following what changed at the price of what changed."""

import datetime as dt
import hashlib
import io

import pyarrow.parquet as pq
import pytest
from pyroaring import BitMap

from common.files import space
from common.models import Lease
from consent import accounts, members
from consent.models import AccountReference, Member
from deliveries.errors import NoAccountMap
from deliveries.made import account_map, archives, lists, stores, sweeping
from deliveries.models import AccountMapFile, AccountMapRange, AccountMapRequest
from ledger import entries
from ledger.models import AccessRecord, Entry
from tools import factories
from tools.outside import behind_the_back
from training_runs.choices import FindingKind
from training_runs.models import Finding

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def small_ranges(monkeypatch):
    """Ranges of eight numbers."""
    monkeypatch.setattr(lists, "PARTITION_BITS", 3)


def make() -> dict[str, int]:
    """What the worker does, as some minutes later."""
    Lease.objects.all().delete()
    AccountMapRange.objects.update(tried_at=None)
    return account_map.make_due()


def files() -> dict[int, str]:
    """Digests by range."""
    return dict(AccountMapRange.objects.values_list("place", "file__sha256"))


def rows() -> list[tuple[int, str]]:
    """Every row of the map, in the order of its files."""
    found = []
    for place, digest in sorted(files().items()):
        path = stores.path_of(account_map.HOME, digest)
        table = pq.read_table(path, page_checksum_verification=True)
        assert table.column_names == ["member_number", "account_ref"]
        of_range = list(zip(*(column.to_pylist() for column in table.columns), strict=True))
        assert {number >> lists.PARTITION_BITS for number, _ in of_range} <= {place}
        found += of_range
    return found


def living() -> list[tuple[int, str]]:
    return list(
        AccountReference.objects.order_by("member_id").values_list("member_id", "account_ref")
    )


def on_disk() -> set[str]:
    return {path.stem for path in stores.home(account_map.HOME).glob("*")}


@pytest.mark.parametrize("size", [1, 7, 8, 9, 20])
def test_a_map_of_any_length_has_every_account_once(engineer, small_ranges, size):
    factories.add_members(size)
    last = Member.objects.latest("pk").pk
    account_map.request(actor=engineer)

    done = make()

    assert rows() == living()
    assert len(rows()) >= size
    assert done["made"] == len(files()) == (last >> 3) + 1
    assert on_disk() == set(files().values())


def test_a_second_range_of_real_size_has_its_own_file(engineer):
    factories.add_members(3)
    first = 2**20 - 2
    with entries.entry("test.members", actor="test"):
        Member(id=first, status="erased", reference_seal="0" * 64).save()
    factories.add_members(5, prefix="high")
    account_map.request(actor=engineer)

    make()

    high = [first + 1 + i for i in range(5)]
    assert rows() == living()
    assert [number for number, ref in rows() if ref.startswith("high")] == high
    assert list(AccountMapFile.objects.order_by("place").values_list("place", flat=True)) == [0, 1]
    assert AccountMapFile.objects.get(place=1).rows == 4
    assert set(account_map.numbers_of(1)) >= {2**20, 2**21 - 1}


def test_only_ranges_whose_accounts_changed_are_made_again(engineer, officer, small_ranges):
    factories.add_members(20)
    account_map.request(actor=engineer)
    make()
    before = files()
    member = Member.objects.get(reference__account_ref="acc-3")
    with entries.entry("test.act", actor="test"):
        members.change([(member, members.facts_of(member)._replace(country="DE"))])
    assert make()["made"] == 0

    factories.add_members(1, prefix="new")

    assert make()["made"] == 1
    last = max(before)
    assert {place for place in before if files()[place] != before[place]} <= {last}
    assert rows() == living()
    assert on_disk() == set(files().values())


def test_an_account_that_a_file_spells_is_followed(engineer, small_ranges):
    factories.add_members(12)
    with entries.entry("test.members", actor="test"):
        (number,) = members.create([("spelt so", members.Facts())], is_confirmed=False)
    account_map.request(actor=engineer)
    make()
    before = files()

    with entries.entry("test.act", actor="test"):
        known = members.known(["spelt so"])["spelt so"]
        (spelt,) = members.seal_all(["spelt  so"], ["spelt so"])
        members.change_known([(known, known.facts)], {number: spelt})
    assert make()["made"] == 1

    assert dict(rows())[number] == "spelt  so"
    changed = {place for place in before if files()[place] != before[place]}
    assert changed == {number >> 3}


def test_an_erased_account_leaves_at_once_and_its_range_is_made_without_it(
    engineer, officer, small_ranges
):
    factories.add_members(20)
    account_map.request(actor=engineer)
    make()
    before = files()
    number = AccountReference.objects.get(account_ref="acc-9").member_id

    accounts.erase_member(account_ref="acc-9", actor=officer, reason="test")

    place = number >> 3
    assert files() == before | {place: None}
    assert on_disk() == {digest for at, digest in before.items() if at != place}
    # Without waiting: a range without a file is made by the next sweep.
    Lease.objects.all().delete()
    assert account_map.make_due()["made"] == 1
    assert rows() == living()
    assert number not in dict(rows())


@pytest.mark.parametrize("moment", ["read", "recorded"])
def test_an_account_erased_while_its_file_is_made_is_not_in_it(
    engineer, officer, monkeypatch, moment
):
    factories.add_members(5)
    account_map.request(actor=engineer)
    place, name = {"read": (lists, "account_refs"), "recorded": (account_map, "_record")}[moment]
    whole = getattr(place, name)

    def erasing(*args):
        monkeypatch.setattr(place, name, whole)
        accounts.erase_member(account_ref="acc-1", actor=officer, reason="test")
        return whole(*args)

    monkeypatch.setattr(place, name, erasing)
    make()

    assert rows() == living()
    assert "acc-1" not in dict(rows()).values()
    assert on_disk() == set(files().values())


def test_an_account_created_while_its_file_is_made_has_the_file_made_again(engineer, monkeypatch):
    factories.add_members(5)
    account_map.request(actor=engineer)
    whole = account_map._record

    def joined(*args):
        monkeypatch.setattr(account_map, "_record", whole)
        factories.add_members(1, prefix="late")
        return whole(*args)

    monkeypatch.setattr(account_map, "_record", joined)
    make()
    assert "late-0" not in dict(rows()).values()
    assert not AccountMapRange.objects.get().is_current
    # A range that goes on changing rests between two files.
    Lease.objects.all().delete()
    assert account_map.make_due()["made"] == 0

    assert make()["made"] == 1
    assert rows() == living()
    assert AccountMapRange.objects.get().is_current


@pytest.mark.parametrize("fault", ["lost", "twice", "stranger"])
def test_a_file_that_would_differ_is_none_and_a_finding_once(engineer, monkeypatch, fault):
    factories.add_members(4)
    account_map.request(actor=engineer)
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

    assert [make()["failed"] for _ in range(2)] == [1, 1]

    assert (files(), on_disk()) == ({0: None}, set())
    finding = Finding.objects.get()
    assert (finding.kind, finding.run) == (FindingKind.DELIVERY_DIFFERS, None)
    assert finding.detail == {"account_map": "accounts-00000.parquet", "code": "delivery_differs"}


def test_a_reference_changed_behind_the_back_is_in_no_map(engineer):
    factories.add_members(2)
    account_map.request(actor=engineer)
    behind_the_back(
        "consent_accountreference",
        "UPDATE consent_accountreference SET account_ref = %s, account_key = %s WHERE account_ref = %s",
        "acc-x", "acc-x", "acc-1",
    )  # fmt: skip

    assert make()["failed"] == 1

    assert on_disk() == set()
    assert Finding.objects.count() == 1


def test_a_full_disk_keeps_the_range_waiting(engineer, monkeypatch):
    factories.add_members(2)
    account_map.request(actor=engineer)
    with monkeypatch.context() as full:
        full.setattr(space.Room, "is_short", lambda room, wanted=0: True)
        assert make() == {"made": 0, "failed": 1}

    assert files() == {0: None}
    assert account_map.oldest_waiting(dt.datetime.now(dt.UTC)) is not None
    assert make() == {"made": 1, "failed": 0}
    assert not Finding.objects.exists()


def test_files_are_the_makers_own_and_survive_the_sweep_of_deliveries(engineer):
    factories.add_members(2)
    account_map.request(actor=engineer)
    make()
    home = stores.home(account_map.HOME)
    (home / "left-behind.part").write_bytes(b"x")

    sweeping.sweep()
    make()

    path = stores.path_of(account_map.HOME, files()[0])
    assert path.stat().st_mode & 0o777 == 0o600
    assert home.stat().st_mode & 0o777 == 0o700
    assert on_disk() == {files()[0]}


def test_every_file_is_in_the_ledger_with_its_digest(engineer):
    factories.add_members(2)
    account_map.request(actor=engineer)
    make()

    row = AccountMapFile.objects.get()
    data = stores.path_of(account_map.HOME, row.sha256).read_bytes()
    assert (row.sha256, row.size) == (hashlib.sha256(data).hexdigest(), len(data))
    assert row.entry.kind == "account_map.made"
    assert row.cut < row.entry_id
    assert AccountMapRequest.objects.get().entry.actor_name == engineer.username


def test_asking_again_keeps_the_map_on_and_the_map_ends_when_it_is_not(engineer, time_machine):
    factories.add_members(2)
    asked, is_new = account_map.request(actor=engineer)
    again, is_new_again = account_map.request(actor=engineer)
    make()
    assert (is_new, is_new_again, again.pk) == (True, False, asked.pk)

    time_machine.move_to(asked.kept_until - dt.timedelta(days=1))
    later, is_new = account_map.request(actor=engineer)
    assert is_new and later.kept_until > asked.kept_until
    assert make()["made"] == 0
    assert rows() == living()

    time_machine.move_to(later.kept_until + dt.timedelta(seconds=1))
    with pytest.raises(NoAccountMap):
        account_map.ranges()
    make()
    assert not stores.home(account_map.HOME).exists()
    assert not AccountMapRange.objects.exists()
    assert Entry.objects.filter(kind="account_map.ended").count() == 1
    # Changes cost nothing while there is none.
    factories.add_members(1, prefix="more")
    assert not AccountMapRange.objects.exists()


# --- The API ------------------------------------------------------------------------------------


def test_a_lake_joins_a_set_by_the_map(post, api, engineer, product, run):
    factories.decide("acc-0", "deny", actor=product)
    delivery = factories.deliver(run, engineer, form="set")

    asked = post("account-map")
    waiting = asked.json()["files"]
    make()
    said = api.get("/api/v1/account-map")
    again = api.get("/api/v1/account-map", headers={"If-None-Match": said["ETag"]})
    (file,) = said.json()["files"]
    answer = api.get(f"/api/v1/account-map/files/{file['name']}")
    data = answer.getvalue()
    table = pq.read_table(io.BytesIO(data))

    assert (asked.status_code, [one["sha256"] for one in waiting]) == (202, [None])
    assert post("account-map").status_code == 200
    assert (again.status_code, again["ETag"]) == (304, said["ETag"])
    assert file["is_current"] is True
    assert (file["first"], file["last"]) == (0, 2**20 - 1)
    assert hashlib.sha256(data).hexdigest() == file["sha256"] == answer["ETag"].strip('"')
    assert int(answer["Content-Length"]) == file["bytes"] == len(data)
    assert "sha-256=:" in answer["Repr-Digest"]
    assert file["rows"] == table.num_rows == AccountReference.objects.count()
    numbers, references = (column.to_pylist() for column in table.columns)
    joined = {
        ref
        for number, ref in zip(numbers, references, strict=True)
        if number in archives.load(delivery).delivered
    }
    assert joined == {"acc-1", "acc-2", "acc-3", "acc-4"}
    assert len(BitMap(numbers)) == len(numbers)


def test_a_file_of_the_map_resumes_and_each_hand_out_is_on_record(post, api):
    factories.add_members(3)
    post("account-map")
    make()
    address = "/api/v1/account-map/files/accounts-00000.parquet"
    whole = api.get(address)
    data = whole.getvalue()

    rest = api.get(address, headers={"Range": "bytes=100-", "If-Range": whole["ETag"]})
    known = api.get(address, headers={"If-None-Match": whole["ETag"]})

    assert (rest.status_code, rest.getvalue()) == (206, data[100:])
    assert rest["Content-Range"] == f"bytes 100-{len(data) - 1}/{len(data)}"
    assert known.status_code == 304
    reads = AccessRecord.objects.filter(kind="account_map.file")
    assert reads.count() == 3
    assert whole["ETag"].strip('"') in reads.first().purpose


def test_what_is_not_there_is_said_plainly(post, api, officer):
    factories.add_members(2)
    address = "/api/v1/account-map/files/accounts-00000.parquet"
    refused = [api.get("/api/v1/account-map"), api.get(address)]
    assert [(one.status_code, one.json()["code"]) for one in refused] == [
        (409, "no_account_map")
    ] * 2

    post("account-map")
    early = api.get(address)
    assert (early.status_code, early.json()["code"]) == (409, "account_map_not_ready")
    assert int(early["Retry-After"]) > 0

    make()
    for name in ("accounts-00001.parquet", "accounts-0.parquet", "members.parquet"):
        assert api.get(f"/api/v1/account-map/files/{name}").status_code == 404


def test_a_lost_or_damaged_file_is_made_again(post, api):
    factories.add_members(2)
    post("account-map")
    make()
    address = "/api/v1/account-map/files/accounts-00000.parquet"
    path = stores.path_of(account_map.HOME, files()[0])
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])

    damaged = api.get(address)
    Lease.objects.all().delete()
    account_map.make_due()

    assert (damaged.status_code, damaged.json()["code"]) == (409, "account_map_not_ready")
    assert api.get(address).getvalue() == whole


def test_only_a_token_with_the_scope_gets_the_map(client, engineer, admin_user):
    from common.identity import tokens  # noqa: PLC0415

    factories.add_members(2)
    answers = []
    for scope in ("deliveries:write", "account-map:read"):
        issued = tokens.issue_token(
            user=engineer, name=scope, scopes=[scope], days=1, actor=admin_user
        )
        headers = {"Authorization": f"Bearer {issued[1]}"}
        answers.append(client.post("/api/v1/account-map", headers=headers))

    assert [one.status_code for one in answers] == [403, 202]
    assert answers[0].json()["code"] == "scope_missing"
