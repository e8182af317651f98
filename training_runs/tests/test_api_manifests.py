"""Manifests over HTTP: the summary, the archive and its parts, member lists, who withdrew since."""

import re
from hashlib import sha256

import pytest
from django.db import connection
from django.utils import timezone
from pyroaring import BitMap

from common.files import made_files
from common.files.serving import Span, Unsatisfiable, span
from common.models import MadeFile
from consent import accounts
from consent.models import AccountReference
from ledger.models import AccessRecord, Entry
from tools import factories
from training_runs.manifests import archives, container, manifest_file
from training_runs.models import Manifest, Verification
from training_runs.runs import registering, verifying

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.one_engine]


@pytest.fixture
def api(client_of, engineer):
    return client_of(engineer)


@pytest.fixture
def manifest(officer, second_officer, engineer) -> Manifest:
    """Of acc-0 to acc-3; acc-4 is out."""
    factories.open_world(officer, second_officer)
    factories.add_members(5)
    factories.decide("acc-4", "deny", actor="test")
    return factories.freeze(engineer)


def url(manifest, what=""):
    return f"/api/v1/runs/{manifest.run.reference}/manifest{what}"


def number_of(account_ref):
    return AccountReference.objects.get(account_ref=account_ref).member_id


def body(response):
    return b"".join(response.streaming_content)


def test_the_summary_says_who_is_out_in_the_words_of_the_header(api, manifest):
    answer = api.get(url(manifest)).json()

    assert answer["included"] == 4
    assert answer["verification"] == "agrees"
    assert answer["digest"] == manifest.digest
    assert answer["header"] == manifest.header
    assert sum(row["members"] for row in answer["excluded"] if row["code"] == "opted_out") == 2
    assert answer["excluded"][0].keys() == {"code", "sentence", "ground", "members"}


def test_the_archive_is_what_was_frozen(api, manifest):
    answer = api.get(url(manifest, "/archive"))

    data = body(answer)
    assert sha256(data).hexdigest() == manifest.digest
    assert len(manifest_file.parse(data).included) == 4
    assert (
        answer["Content-Disposition"] == f'attachment; filename="{manifest.run.reference}.manifest"'
    )
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert "no-store" in answer["Cache-Control"]
    assert answer["ETag"] == f'"{manifest.digest}"'
    assert answer["Content-Length"] == str(len(data))


def test_a_part_of_the_archive_is_sent_alone(api, manifest):
    whole = body(api.get(url(manifest, "/archive")))

    part = api.get(url(manifest, "/archive"), headers={"Range": "bytes=10-19"})
    last = api.get(url(manifest, "/archive"), headers={"Range": "bytes=-5"})

    assert part.status_code == 206
    assert part["Content-Range"] == f"bytes 10-19/{len(whole)}"
    assert body(part) == whole[10:20]
    assert body(last) == whole[-5:]


def test_a_range_beyond_the_end_is_refused_with_the_size(api, manifest):
    answer = api.get(url(manifest, "/archive"), headers={"Range": f"bytes={manifest.size}-"})

    assert answer.status_code == 416
    assert answer["Content-Range"] == f"bytes */{manifest.size}"
    assert answer.json()["code"] == "range_not_satisfiable"


def test_a_range_of_another_version_gives_the_whole(api, manifest):
    answer = api.get(
        url(manifest, "/archive"), headers={"Range": "bytes=0-1", "If-Range": '"another"'}
    )

    assert answer.status_code == 200
    assert len(body(answer)) == manifest.size


def test_who_has_the_archive_is_not_sent_it_again(api, manifest):
    answer = api.get(url(manifest, "/archive"), headers={"If-None-Match": f'"{manifest.digest}"'})

    assert answer.status_code == 304


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", None),
        ("bytes=0-", Span(0, 100)),
        ("bytes=0-0", Span(0, 1)),
        ("bytes=90-200", Span(90, 10)),
        ("bytes=-200", Span(0, 100)),
        ("bytes=-1", Span(99, 1)),
        ("bytes=5-4", None),
        ("bytes=0-1,5-6", None),
        ("bytes=a-b", None),
        ("bytes=-", None),
        ("lines=0-1", None),
        ("bytes=0-99999999999999999999999", None),
    ],
)
def test_a_range_header_names_a_span_or_nothing(header, expected):
    assert span(header, 100) == expected


@pytest.mark.parametrize("header", ["bytes=100-", "bytes=-0"])
def test_a_span_without_a_byte_is_unsatisfiable(header):
    with pytest.raises(Unsatisfiable):
        span(header, 100)


def test_references_only_of_who_withdrew_since_in_pages(api, manifest, officer):
    factories.decide("acc-1", "deny", actor="test")
    accounts.erase_member(account_ref="acc-2", actor=officer, reason="asked for it")
    path = f"/api/v1/runs/{manifest.run.reference}/withdrawn"

    first = api.get(f"{path}?page_size=1").json()
    second = api.get(first["next"]).json()

    cut = Entry.objects.count()
    assert first == {
        "included": 4,
        "withdrawn": 2,
        "cut": cut,
        "digest": second["digest"],
        "next": first["next"],
        "results": [{"member_number": number_of("acc-1"), "account_ref": "acc-1"}],
    }
    assert [row["account_ref"] for row in second["results"]] == [None]
    assert (second["next"], second["cut"], second["withdrawn"]) == (None, cut, 2)


def test_the_pages_of_who_withdrew_belong_to_one_answer_despite_decisions_in_between(api, manifest):
    factories.decide("acc-1", "deny", actor="test")
    factories.decide("acc-3", "deny", actor="test")
    path = f"/api/v1/runs/{manifest.run.reference}/withdrawn"

    first = api.get(f"{path}?page_size=1").json()
    # One before the page's place, and one that is taken back behind it.
    factories.decide("acc-0", "deny", actor="test")
    factories.decide("acc-3", "allow", actor="test")
    second = api.get(first["next"]).json()
    fresh = api.get(path).json()

    assert [row["account_ref"] for page in (first, second) for row in page["results"]] == [
        "acc-1",
        "acc-3",
    ]
    assert first["cut"] == second["cut"] == fresh["cut"] - 2
    assert [row["account_ref"] for row in fresh["results"]] == ["acc-0", "acc-1"]


def test_every_withdrawn_member_is_on_one_page_whatever_its_size(api, manifest):
    for name in ("acc-0", "acc-1", "acc-2"):
        factories.decide(name, "deny", actor="test")
    path = f"/api/v1/runs/{manifest.run.reference}/withdrawn"

    for size in (1, 2, 3, 4):
        found, following = [], f"{path}?page_size={size}"
        while following:
            answer = api.get(following).json()
            found += [row["account_ref"] for row in answer["results"]]
            following = answer["next"]

        assert found == ["acc-0", "acc-1", "acc-2"]


def test_asking_again_keeps_the_answer_only_once(api, manifest):
    factories.decide("acc-1", "deny", actor="test")
    factories.decide("acc-3", "deny", actor="test")
    path = f"/api/v1/runs/{manifest.run.reference}/withdrawn"

    asked = [api.get(f"{path}?page_size=1").json()["next"] for _ in range(3)]

    assert MadeFile.objects.count() == 1
    assert len(set(asked)) == 1


@pytest.mark.parametrize("cursor", ["1", "x-1-1", f"{'0' * 31}-1-1", f"{'a' * 32}-1-{'9' * 30}"])
def test_a_cursor_that_is_none_is_refused(api, manifest, cursor):
    path = f"/api/v1/runs/{manifest.run.reference}/withdrawn"

    assert api.get(path, {"cursor": cursor}).status_code == 400


def test_an_answer_that_has_ended_is_said_to_be_gone_and_never_read_as_another(api, manifest):
    factories.decide("acc-1", "deny", actor="test")
    factories.decide("acc-3", "deny", actor="test")
    path = f"/api/v1/runs/{manifest.run.reference}/withdrawn"
    following = api.get(f"{path}?page_size=1").json()["next"]

    MadeFile.objects.update(ends_at=timezone.now())
    made_files.remove_ended()

    answer = api.get(following)
    assert (answer.status_code, answer.json()["code"]) == (410, "file_gone")


@pytest.mark.parametrize("number", [2**32, 9_999_999_999])
def test_a_cursor_with_a_number_that_no_member_can_have_is_refused(api, manifest, number):
    factories.decide("acc-1", "deny", actor="test")
    factories.decide("acc-3", "deny", actor="test")
    following = api.get(f"/api/v1/runs/{manifest.run.reference}/withdrawn?page_size=1").json()[
        "next"
    ]

    made_up = re.sub(r"-\d+&", f"-{number}&", following)
    largest = re.sub(r"-\d+&", f"-{2**32 - 1}&", following)

    assert api.get(made_up).status_code == 400
    assert api.get(largest).json()["results"] == []


def test_who_withdrew_is_told_whatever_room_files_have(api, manifest, settings):
    factories.decide("acc-1", "deny", actor="test")
    factories.decide("acc-3", "deny", actor="test")
    settings.MADE_FILE_BYTES_PER_USER = settings.MADE_FILE_BYTES = 0

    first = api.get(f"/api/v1/runs/{manifest.run.reference}/withdrawn?page_size=1").json()
    second = api.get(first["next"]).json()

    assert [row["account_ref"] for page in (first, second) for row in page["results"]] == [
        "acc-1",
        "acc-3",
    ]


def test_a_full_disk_asks_the_caller_to_come_back(api, manifest, settings):
    factories.decide("acc-1", "deny", actor="test")
    factories.decide("acc-3", "deny", actor="test")
    settings.MIN_FREE_BYTES = 2**62
    path = f"/api/v1/runs/{manifest.run.reference}/withdrawn"

    answer = api.get(f"{path}?page_size=1")

    assert (answer.status_code, answer.json()["code"]) == (503, "files_unavailable")
    assert int(answer["Retry-After"]) > 0
    # What fits on one page needs no disk.
    assert api.get(path).json()["withdrawn"] == 2


def test_a_cursor_of_another_run_is_refused(api, manifest, engineer):
    factories.decide("acc-1", "deny", actor="test")
    factories.decide("acc-3", "deny", actor="test")
    path = f"/api/v1/runs/{manifest.run.reference}/withdrawn"
    cursor = api.get(f"{path}?page_size=1").json()["next"].split("cursor=")[1].split("&")[0]
    other = factories.freeze(engineer)

    answer = api.get(f"/api/v1/runs/{other.run.reference}/withdrawn", {"cursor": cursor})

    assert answer.status_code == 400


def test_no_member_withdrew(api, manifest):
    answer = api.get(f"/api/v1/runs/{manifest.run.reference}/withdrawn").json()

    cut = Entry.objects.count()
    assert answer == {
        "included": 4,
        "withdrawn": 0,
        "cut": cut,
        "digest": sha256(container.portable(BitMap())).hexdigest(),
        "next": None,
        "results": [],
    }


DOWNLOADS = ["/archive", "/members.csv", "/members.parquet"]


@pytest.mark.parametrize("what", DOWNLOADS)
def test_a_manifest_that_is_not_verified_yet_cannot_be_downloaded(
    api, officer, second_officer, engineer, what
):
    factories.open_world(officer, second_officer)
    factories.add_members(1)
    manifest = factories.freeze(engineer, verified=False)

    answer = api.get(url(manifest, what))

    assert answer.status_code == 409
    assert answer.json()["code"] == "manifest_not_ready"


@pytest.mark.parametrize("what", DOWNLOADS)
def test_a_manifest_that_does_not_verify_is_shown_and_not_handed_out(api, manifest, what):
    archives.path_of(manifest.digest).write_bytes(b"something else")
    verifying.verify(manifest)

    refused = api.get(url(manifest, what))

    assert refused.status_code == 409
    assert refused.json()["code"] == "manifest_blocked"
    assert api.get(url(manifest)).json()["verification"] == "differs"
    assert Verification.objects.count() == 2


def test_an_archive_damaged_after_its_verification_is_not_handed_out(api, manifest):
    archives.path_of(manifest.digest).write_bytes(b"something else")

    answer = api.get(url(manifest, "/archive"))

    assert answer.status_code == 409
    assert answer.json()["code"] == "manifest_damaged"


@pytest.mark.parametrize("what", DOWNLOADS)
def test_the_manifest_of_a_cancelled_run_is_shown_and_not_handed_out(api, manifest, engineer, what):
    registering.cancel(run=manifest.run, actor=engineer, reason="test")

    refused = api.get(url(manifest, what))

    assert refused.status_code == 409
    assert refused.json()["code"] == "run_cancelled"
    assert api.get(url(manifest)).status_code == 200


@pytest.mark.parametrize("what", [*DOWNLOADS, ""])
def test_a_run_without_a_manifest_has_nothing_to_read(api, engineer, what):
    run = factories.register(engineer)

    answer = api.get(f"/api/v1/runs/{run.reference}/manifest{what}")

    assert answer.status_code == 409
    assert answer.json()["code"] == "manifest_not_ready"


@pytest.mark.parametrize(
    ("what", "person", "status"),
    [
        ("/archive", "auditor", 200),
        ("/archive", "officer", 403),
        ("/archive", "second_engineer", 403),
        ("/members.csv", "auditor", 403),
        ("/members.csv", "second_engineer", 403),
        ("/members.parquet", "officer", 403),
        ("", "auditor", 200),
        ("", "officer", 200),
        ("", "second_engineer", 200),
    ],
)
def test_who_may_read_a_manifest_that_is_not_theirs(
    request, client_of, manifest, what, person, status
):
    answer = client_of(request.getfixturevalue(person)).get(url(manifest, what))

    assert answer.status_code == status


READS = [
    ("manifest", "manifest.read"),
    ("manifest/archive", "manifest.archive"),
    ("withdrawn", "manifest.withdrawn"),
]


@pytest.mark.parametrize(("what", "kind"), READS)
def test_every_read_of_a_manifest_is_recorded(api, manifest, engineer, what, kind):
    api.get(f"/api/v1/runs/{manifest.run.reference}/{what}")

    record = AccessRecord.objects.get()
    assert (record.kind, record.subject, record.user) == (kind, manifest.run.reference, engineer)


@pytest.mark.parametrize(("what", "kind"), READS)
def test_a_read_that_cannot_be_recorded_is_refused(api, manifest, what, kind):
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE ledger_accessrecord RENAME TO ledger_accessrecord_gone")
    try:
        answer = api.get(f"/api/v1/runs/{manifest.run.reference}/{what}")
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE ledger_accessrecord_gone RENAME TO ledger_accessrecord")

    assert answer.status_code == 503
    assert answer.json()["code"] == "read_not_recorded"
