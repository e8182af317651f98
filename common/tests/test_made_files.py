"""Long files: made once, whole or not at all, ended, within their room, and resumed to the same bytes."""

import base64
import hashlib
import os
import threading
from datetime import timedelta

import pytest
from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import DatabaseError, connection
from django.test import RequestFactory
from django.utils import timezone

from common import registry, tasks
from common.choices import FileState
from common.files import made_files, serving
from common.files.made_files import FileGone, FileNotMade, FileQuota, FileRefused, FilesUnavailable
from common.models import MadeFile
from ledger.errors import ReadNotRecorded, Refusal

pytestmark = pytest.mark.django_db(transaction=True)


class Refused(Refusal):
    code = "no_such_content"


class Numbers(made_files.Maker):
    """Lines of numbers, as many as the parameters say; told to fail by a function."""

    kind = "test-numbers"

    def __init__(self):
        self.calls = 0
        self.between = lambda number: None

    def write(self, parameters, to):
        self.calls += 1
        for number in range(parameters["lines"]):
            self.between(number)
            to.write(b"%d\n" % number)
        return {"rows": parameters["lines"]}

    def check_access(self, user, parameters):
        if user.username != "emil":
            raise PermissionDenied

    def record(self, user, row):
        pass

    def name(self, parameters):
        return "numbers.txt"

    def media_type(self, parameters):
        return "text/plain"

    def title(self, parameters):
        return "Numbers"


@pytest.fixture
def maker(monkeypatch):
    maker = Numbers()
    monkeypatch.setitem(registry.makers, maker.kind, maker)
    return maker


@pytest.fixture
def ask(maker, engineer):
    return lambda lines=3, owner=engineer: made_files.ask(maker.kind, {"lines": lines}, owner=owner)


def again(row):
    return MadeFile.objects.get(pk=row.pk)


def stored():
    home = made_files.settings.MADE_FILE_DIR
    return sorted(path for path in home.rglob("*") if path.is_file())


def test_a_file_is_named_by_its_digest_and_private(ask):
    row = ask()

    assert made_files.make(row.pk)

    row = again(row)
    data = b"0\n1\n2\n"
    (path,) = stored()
    assert path.read_bytes() == data
    assert row.digest == hashlib.sha256(data).hexdigest()
    assert path.name.startswith(row.digest)
    assert (row.state, row.size, row.facts) == (FileState.READY, 6, {"rows": 3})
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_asking_again_gives_the_same_file_and_makes_it_once(ask, maker):
    first = ask()
    assert ask().pk == first.pk
    made_files.make_due()
    assert ask().pk == first.pk
    made_files.make_due()

    assert maker.calls == 1
    assert ask(lines=4).pk != first.pk


def test_two_requests_at_once_are_one_file(ask):
    found = []

    def run():
        try:
            found.append(ask().pk)
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]

    assert len(found) == 4
    assert len(set(found)) == 1


def test_the_task_makes_the_file_and_a_second_message_changes_nothing(ask, maker):
    row = ask()

    tasks.make_file(row.pk)
    tasks.make_file(row.pk)

    assert maker.calls == 1


@pytest.mark.parametrize("row_id", [0, 10**9])
def test_a_message_about_a_file_that_is_not_there_is_taken_and_forgotten(row_id, maker):
    assert not made_files.make(row_id)


def test_while_a_process_has_a_file_no_other_makes_it(ask, maker):
    row = ask()
    others = []
    maker.between = lambda number: others.append(made_files.make(row.pk))

    made_files.make(row.pk)

    assert others == [False, False, False]
    assert maker.calls == 1


def test_a_process_that_died_loses_its_file_when_the_lease_ends(ask, maker):
    row = ask()

    class Killed(BaseException):
        pass

    def die(number):
        raise Killed

    maker.between = die
    with pytest.raises(Killed):
        made_files.make(row.pk)
    maker.between = lambda number: None
    assert made_files.make_due() == {"made": 0, "failed": 0}

    MadeFile.objects.update(not_before=timezone.now())

    assert made_files.make_due() == {"made": 1, "failed": 0}
    assert again(row).attempts == 2


def test_a_process_that_lost_its_lease_leaves_no_file(ask, maker):
    row = ask()

    def lose(number):
        MadeFile.objects.update(claim="another")

    maker.between = lose
    assert not made_files.make(row.pk)

    assert again(row).state == FileState.WAITING
    assert stored() == []


def test_a_long_work_renews_its_lease(ask, maker, monkeypatch):
    monkeypatch.setattr(made_files, "RENEWED", 0)
    row = ask()
    seen = []
    maker.between = lambda number: seen.append(again(row).written)

    made_files.make(row.pk)

    assert seen == [0, 2, 4]


def test_a_process_that_ends_again_and_again_is_given_up(ask):
    row = ask()
    MadeFile.objects.update(attempts=made_files.MAX_ATTEMPTS)

    assert not made_files.make(row.pk)

    assert again(row).error_code == "file_not_made"
    with pytest.raises(FileNotMade):
        ask()


def test_a_refusal_is_told_and_after_a_minute_a_new_attempt_is_made(ask, maker):
    def refuse(number):
        raise Refused("There is no such content.")

    maker.between = refuse
    row = ask()
    assert made_files.make_due() == {"made": 0, "failed": 1}

    with pytest.raises(FileRefused, match="There is no such content") as told:
        ask()

    assert (told.value.code, told.value.status) == ("no_such_content", 409)
    assert stored() == []
    MadeFile.objects.update(changed_at=timezone.now() - made_files.TOLD)
    maker.between = lambda number: None
    assert ask().pk != row.pk
    assert made_files.make_due() == {"made": 1, "failed": 0}


@pytest.mark.parametrize("error", [OSError("full"), DatabaseError("away")])
def test_what_may_pass_is_tried_again_later(ask, maker, error):
    def fail(number):
        raise error

    maker.between = fail
    row = ask()
    assert not made_files.make(row.pk)

    row = again(row)
    assert (row.state, row.error_code) == (FileState.WAITING, "file_not_made")
    assert row.not_before > timezone.now()
    # The error's own words may say what was being written.
    assert str(error) not in row.error
    assert stored() == []


@pytest.mark.parametrize("state", [FileState.FAILED, FileState.ENDED])
def test_a_request_that_another_overtook_looks_again(ask, maker, engineer, monkeypatch, state):
    known, others = made_files._known, []

    def overtaken(kind, parameters):
        """Another request's row comes after this one looked, and does not wait any more when it looks again."""
        found = known(kind, parameters) if not others else None
        if not others:
            question = made_files.question_of(kind, parameters)
            others.append(
                MadeFile.objects.create(
                    kind=kind, parameters=parameters, question=question, owner=engineer
                )
            )
            return found
        MadeFile.objects.filter(pk=others[0].pk).update(state=state, error_code="file_not_made")
        return known(kind, parameters)

    monkeypatch.setattr(made_files, "_known", overtaken)

    if state == FileState.FAILED:
        with pytest.raises(FileNotMade):
            ask()
    else:
        assert (ask().state, MadeFile.objects.count()) == (FileState.WAITING, 2)


def test_a_refusal_for_a_while_is_tried_again(ask, maker):
    def wait(number):
        raise ReadNotRecorded("Not now.")

    maker.between = wait
    row = ask()
    assert not made_files.make(row.pk)

    assert (again(row).state, again(row).error_code) == (FileState.WAITING, "file_not_made")


def test_starting_over_is_no_failed_attempt(ask, maker):
    row = ask()
    maker.between = lambda number: made_files.start_over(MadeFile.objects.all())
    for _ in range(made_files.MAX_ATTEMPTS + 1):
        assert not made_files.make(row.pk)
    maker.between = lambda number: None

    assert made_files.make(row.pk)
    assert again(row).state == FileState.READY


def test_one_that_fails_keeps_no_other_waiting(ask, maker):
    def fail(number):
        if number == 3:
            raise ZeroDivisionError

    maker.between = fail
    broken, whole = ask(lines=5), ask(lines=2)

    assert made_files.make_due() == {"made": 1, "failed": 1}
    assert again(broken).error_code == "file_not_made"
    with pytest.raises(FileNotMade) as told:
        ask(lines=5)
    assert (told.value.code, told.value.status) == ("file_not_made", 503)
    assert 0 < told.value.retry_after <= made_files.TOLD.total_seconds()
    assert "Zero" not in str(told.value)
    assert again(whole).state == FileState.READY


# --- The end ------------------------------------------------------------------------------------


def test_a_file_ends_and_is_deleted(ask, settings):
    settings.MADE_FILE_HOURS = 1
    row = ask()
    made_files.make_due()
    assert timedelta(0) < again(row).ends_at - timezone.now() <= timedelta(hours=1)

    MadeFile.objects.update(ends_at=timezone.now())
    with pytest.raises(FileGone):
        made_files.opened(again(row))
    tasks.remove_files()

    assert stored() == []
    assert again(row).state == FileState.ENDED
    assert ask().pk != row.pk


def test_two_files_with_the_same_content_end_on_their_own(ask, maker, monkeypatch):
    other = Numbers()
    other.kind = "test-others"
    monkeypatch.setitem(registry.makers, other.kind, other)
    first, second = ask(), made_files.ask(other.kind, {"lines": 3}, owner=again(ask()).owner)
    made_files.make_due()
    assert again(first).digest == again(second).digest

    made_files.end(MadeFile.objects.filter(pk=first.pk))

    with made_files.opened(again(second)) as file:
        assert file.read() == b"0\n1\n2\n"


def test_what_a_dead_process_left_is_deleted_after_an_hour(ask):
    row = ask()
    made_files.make_due()
    home = made_files.settings.MADE_FILE_DIR
    for name in ("left.part", f"{again(row).digest[:2]}/left"):
        (home / name).write_bytes(b"x")
        os.utime(home / name, (0, 0))
    (home / "written-now.part").write_bytes(b"x")
    os.utime(made_files.path_of(again(row)), (0, 0))

    made_files.remove_ended()

    assert [path.name for path in stored()] == [
        made_files.path_of(again(row)).name, "written-now.part",
    ]  # fmt: skip


@pytest.mark.parametrize("change", [b"0\n1\n3\n", b"0\n1\n", b""])
def test_a_file_that_was_changed_on_the_disk_is_not_given_out_and_is_made_again(ask, change):
    row = ask()
    made_files.make_due()
    made_files.opened(again(row)).close()
    made_files.path_of(again(row)).write_bytes(change)

    with pytest.raises(FileGone):
        made_files.opened(again(row))

    assert ask().pk != row.pk


def test_a_file_that_is_missing_on_the_disk_is_made_again(ask, maker):
    row = ask()
    made_files.make_due()
    made_files.path_of(again(row)).unlink()

    assert ask().pk != row.pk
    made_files.make_due()

    assert maker.calls == 2


# --- Room ---------------------------------------------------------------------------------------


def test_a_file_that_does_not_fit_into_the_persons_room_is_refused(ask, settings, second_engineer):
    settings.MADE_FILE_BYTES_PER_USER = 10
    made_files.make(ask(lines=3).pk)
    too_large = ask(lines=4)
    made_files.make_due()

    assert again(too_large).error_code == "files_quota"
    # Another person has room of their own.
    assert made_files.make(ask(lines=5, owner=second_engineer).pk)
    settings.MADE_FILE_BYTES_PER_USER = 6
    with pytest.raises(FileQuota, match="The first of them expires at"):
        ask(lines=6)


def test_all_files_together_have_their_room(ask, settings, second_engineer):
    settings.MADE_FILE_BYTES = 6
    made_files.make(ask(lines=3).pk)

    with pytest.raises(FileQuota):
        ask(lines=1, owner=second_engineer)


def test_files_leave_archives_their_room_on_the_disk(ask, settings, monkeypatch):
    settings.MIN_FREE_BYTES = 2**62
    row = ask()

    assert not made_files.make(row.pk)

    assert (again(row).state, again(row).error_code) == (FileState.WAITING, "file_not_made")
    assert stored() == []


def test_what_a_request_keeps_has_no_quota_and_takes_none(ask, maker, settings, engineer):
    settings.MADE_FILE_BYTES_PER_USER = 6
    maker.is_in_quota = False

    def keep(data):
        return made_files.keep(
            maker.kind, {"bytes": len(data)}, data, owner=engineer, lasting=timedelta(hours=1)
        )

    assert made_files.opened(keep(b"0123456789")).read() == b"0123456789"

    keep(b"01234567890")
    maker.is_in_quota = True
    with pytest.raises(FileQuota):
        ask()
    maker.is_in_quota = False
    assert made_files.make(ask().pk)


def test_what_a_request_keeps_leaves_archives_their_room(maker, settings, engineer):
    settings.MIN_FREE_BYTES = 2**62

    with pytest.raises(FilesUnavailable) as told:
        made_files.keep(maker.kind, {}, b"0", owner=engineer, lasting=timedelta(hours=1))

    assert (told.value.code, told.value.status) == ("files_unavailable", 503)
    assert (stored(), MadeFile.objects.count()) == ([], 0)


def test_a_disk_that_does_not_answer_is_503_and_names_no_path(ask, monkeypatch):
    row = ask()
    made_files.make_due()
    path = made_files.path_of(again(row))
    path.unlink()
    path.mkdir()
    monkeypatch.setattr(made_files, "is_there", lambda row: True)

    with pytest.raises(FilesUnavailable) as told:
        made_files.opened(again(row))

    assert str(path) not in str(told.value)


# --- Giving out ---------------------------------------------------------------------------------


@pytest.fixture
def given(ask):
    """Answers for a file of 1,000 lines, whatever headers and method."""
    row = ask(lines=1_000)
    made_files.make_due()

    def give(method="GET", **headers):
        row_now = again(row)
        request = RequestFactory(headers=headers).generic(method, "/")
        stored = serving.Stored(
            made_files.opened(row_now), row_now.size, row_now.digest, "numbers.txt", "text/plain"
        )
        answer = serving.response(request, stored)
        body = b"".join(answer.streaming_content) if answer.streaming else answer.content
        return answer, body

    return give


WHOLE = b"".join(b"%d\n" % number for number in range(1_000))
DIGEST = hashlib.sha256(WHOLE)
ETAG = f'"{DIGEST.hexdigest()}"'


def test_the_whole_comes_with_length_digest_and_etag(given):
    answer, body = given()

    assert body == WHOLE
    assert answer.headers == {
        "Content-Type": "text/plain",
        "Content-Disposition": 'attachment; filename="numbers.txt"',
        "Content-Length": str(len(WHOLE)),
        "ETag": ETAG,
        "Accept-Ranges": "bytes",
        "Repr-Digest": f"sha-256=:{base64.b64encode(DIGEST.digest()).decode()}:",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-store",
    }


def test_a_download_that_is_cut_again_and_again_is_resumed_to_the_same_bytes(given):
    got, digests = b"", set()
    while len(got) < len(WHOLE):
        answer, body = given(**{"Range": f"bytes={len(got)}-", "If-Range": ETAG})
        assert answer.status_code == 206
        assert answer["Content-Range"] == f"bytes {len(got)}-{len(WHOLE) - 1}/{len(WHOLE)}"
        digests.add(answer["Repr-Digest"])
        got += body[:777]

    assert got == WHOLE
    assert len(digests) == 1


def test_head_says_everything_and_sends_nothing(given):
    whole, _ = given()
    answer, body = given("HEAD", Range="bytes=0-1")

    assert answer.status_code == 200
    assert answer.headers == whole.headers
    assert body == b""


@pytest.mark.parametrize(
    ("headers", "status", "length"),
    [
        ({"Range": "bytes=0-0"}, 206, 1),
        ({"Range": "bytes=-5"}, 206, 5),
        ({"Range": f"bytes={len(WHOLE) - 1}-"}, 206, 1),
        ({"Range": f"bytes={len(WHOLE)}-"}, 416, None),
        ({"Range": "bytes=0-1,5-6"}, 200, len(WHOLE)),
        ({"Range": "bytes=0-1", "If-Range": '"another"'}, 200, len(WHOLE)),
        ({"Range": "bytes=0-1", "If-Range": f"W/{ETAG}"}, 200, len(WHOLE)),
        ({"Range": "bytes=0-1", "If-Range": "Wed, 21 Oct 2015 07:28:00 GMT"}, 200, len(WHOLE)),
        ({"Range": "bytes=0-1", "If-Range": ETAG}, 206, 2),
        ({"If-None-Match": ETAG}, 304, None),
        ({"If-None-Match": f"W/{ETAG}"}, 304, None),
        ({"If-None-Match": f'"x", {ETAG}'}, 304, None),
        ({"If-None-Match": "*"}, 304, None),
        ({"If-None-Match": f'"{ETAG.strip(chr(34))[:-1]}"'}, 200, len(WHOLE)),
        ({"If-None-Match": ETAG, "Range": "bytes=0-1"}, 304, None),
        ({"If-Match": ETAG}, 200, len(WHOLE)),
        ({"If-Match": '"another"'}, 412, None),
        ({"If-Match": "*"}, 200, len(WHOLE)),
    ],
)
def test_what_conditions_and_ranges_give(given, headers, status, length):
    answer, body = given(**headers)

    assert answer.status_code == status
    if length is not None:
        assert answer["Content-Length"] == str(len(body)) == str(length)
    if status == 416:
        assert answer["Content-Range"] == f"bytes */{len(WHOLE)}"


def test_every_answer_with_a_stream_or_a_file_is_known_to_have_a_length():
    """A stream without a length can be cut unnoticed: `common.files.serving` gives one, an attachment's FileResponse too."""
    root = settings.BASE_DIR
    found = sorted(
        f"{path.relative_to(root)}: {word}"
        for app in settings.OUR_APPS
        for path in (root / app).rglob("*.py")
        if "tests" not in path.parts
        for word in ("StreamingHttpResponse(", "FileResponse(")
        if word in path.read_text()
    )

    assert found == [
        "common/files/serving.py: StreamingHttpResponse(",
        "objections/staff/files.py: FileResponse(",
    ]
