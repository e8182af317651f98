"""Whatever ends the process that makes or ends a delivery: the whole right list can be downloaded, or none. With real processes."""

import errno
import io
import itertools
import mmap
import os
import resource
import signal
import sys
import traceback
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from django.conf import settings
from django.db import DatabaseError, OperationalError, connection, connections
from django.urls import reverse

from common.models import Lease
from consent import accounts
from consent.models import AccountReference
from deliveries.choices import DeliveryState
from deliveries.made import archives, lists, making, requesting, sweeping
from deliveries.models import Delivery, DeliveryAttempt
from tools import factories

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

CHANGES = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "shutil.rmtree"}
"""What Python audits of changes to directories (`sys.addaudithook`)."""
MEMBERS = 25

Heard = Callable[[str, tuple[Any, ...]], None]


@pytest.fixture
def left(officer, second_officer, engineer, product, monkeypatch):
    """A frozen run, and the rows of a list of it: of several files and pages, without two members who have said no since."""
    monkeypatch.setattr(lists, "PAGE", 10)
    monkeypatch.setattr(lists, "PARTITION_ABOVE", 20)
    monkeypatch.setattr(lists, "PARTITION_BITS", 4)
    factories.open_world(officer, second_officer)
    numbers = factories.add_members(MEMBERS)
    run = factories.freeze(engineer).run
    for place in (3, 20):
        factories.decide(f"acc-{place}", "deny", actor=product)
    return run, [(n, f"acc-{i}") for i, n in enumerate(numbers) if i not in (3, 20)]


def in_a_process(
    act: Callable[[], object], heard: Heard, before_statement: Callable[[], None]
) -> int:
    """Act in a process of its own, which hears of each of its steps. Returns how it ended: 0 done, 1 with an error of the disk or
    the database, below 0 by a signal.
    """
    connections.close_all()
    if child := os.fork():
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    code = 2
    try:

        def each(execute: Any, *args: Any) -> Any:
            before_statement()
            return execute(*args)

        sys.addaudithook(heard)
        connection.execute_wrappers.append(each)
        act()
        code = 0
    except (OSError, DatabaseError):
        code = 1
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def is_written(event: str, args: tuple[Any, ...], home: Path) -> bool:
    """Whether a file below the directory is opened for writing."""
    return (
        event == "open"
        and isinstance(args[0], str)
        and args[0].startswith(f"{home}{os.sep}")
        and bool(args[2] & (os.O_WRONLY | os.O_RDWR))
    )


def is_stopped_at(step: int, act: Callable[[], object], how: str = "killed") -> bool:
    """Act in a process that is killed, or gets an error, at its step of that number; False when it ended before."""
    steps = itertools.count(1)
    homes = (Path(settings.DELIVERY_DIR), Path(settings.MANIFEST_DIR))
    shared = mmap.mmap(-1, 1)

    def took(error: Exception) -> None:
        if next(steps) != step:
            return
        shared[0] = 1
        if how == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        raise error

    def heard(event: str, args: tuple[Any, ...]) -> None:
        if event in CHANGES or any(is_written(event, args, home) for home in homes):
            took(OSError(errno.EIO, os.strerror(errno.EIO)))

    def before_statement() -> None:
        took(OperationalError("the connection is lost"))

    code = in_a_process(act, heard, before_statement)
    assert code in ((0, -signal.SIGKILL) if how == "killed" else (0, 1))
    return shared[0] == 1


def files_of_accounts() -> set[str]:
    """The deliveries that have a directory of files."""
    return {path.name for path in Path(settings.DELIVERY_DIR).iterdir()}


def downloaded(api: Any, delivery: Delivery) -> list[tuple[int, str]] | None:
    """The rows of every file that the API gives out, whole by their digests; None when it refuses each."""
    delivery.refresh_from_db()
    said = {file["name"]: file["sha256"] for file in delivery.files}
    rows, refused = [], 0
    for name, digest in (said or {"members-00000.parquet": ""}).items():
        answer = api.get(reverse("api:delivery-file", args=[delivery.reference, name]))
        if answer.status_code != 200:
            assert answer.status_code == 409
            refused += 1
            continue
        data = b"".join(answer.streaming_content)
        assert sha256(data).hexdigest() == digest
        table = pq.read_table(io.BytesIO(data))
        columns = (table[name].to_pylist() for name in ("member_number", "account_ref"))
        rows += list(zip(*columns, strict=True))
    assert refused in (0, len(said) or 1)
    return None if refused else rows


@pytest.mark.parametrize("how", ["killed", "an error"])
def test_a_process_stopped_at_any_step_leaves_the_whole_list_or_none_and_a_sweep_makes_it(
    left, engineer, api, how
):
    run, rows = left
    old = factories.deliver(run, engineer)
    unmade = made = 0

    for step in itertools.count(1):
        new, _ = requesting.renew(delivery=old, actor=engineer)
        was_stopped = is_stopped_at(step, lambda new=new: making.make(new.pk), how)

        new.refresh_from_db()
        if new.state == DeliveryState.REQUESTED:
            unmade += 1
            assert (new.files, new.digest, downloaded(api, new)) == ([], "", None)
            assert downloaded(api, old) == rows
        else:
            made += 1
            assert downloaded(api, new) == rows
            assert downloaded(api, old) is None
        Lease.objects.all().delete()  # as a minute later
        sweeping.sweep()

        assert downloaded(api, new) == rows
        assert list(archives.load(new).delivered) == [number for number, _ in rows]
        assert files_of_accounts() == {new.reference}
        assert not DeliveryAttempt.objects.exists()
        if not was_stopped:
            break
        old = new

    assert unmade > 30 and made > 2
    parts = set(Path(settings.MANIFEST_DIR).rglob("*.part"))
    being_written = Path(settings.MANIFEST_DIR) / "new.part"
    being_written.touch()
    for part in parts:
        os.utime(part, (0, 0))  # as hours later
    sweeping.sweep()
    assert bool(parts) == (how == "killed")
    assert list(Path(settings.MANIFEST_DIR).rglob("*.part")) == [being_written]


def test_an_erasure_killed_at_any_step_happened_or_not_and_no_list_keeps_the_account(
    left, engineer, officer, api
):
    run, rows = left
    delivery = factories.deliver(run, engineer)
    kept_files = 0

    for step in itertools.count(1):
        was_killed = is_stopped_at(
            step,
            lambda: accounts.erase_member(account_ref="acc-1", actor=officer, reason="test"),
        )
        is_erased = not AccountReference.objects.filter(account_ref="acc-1").exists()
        assert downloaded(api, delivery) == (None if is_erased else rows)
        if is_erased:
            kept_files += bool(files_of_accounts())
            break
        assert was_killed

    sweeping.sweep()
    assert files_of_accounts() == set()
    assert step > 10 and kept_files == 1
    again = factories.deliver(run, engineer)
    assert downloaded(api, again) == [row for row in rows if row[1] != "acc-1"]


@pytest.mark.parametrize("store", ["DELIVERY_DIR", "MANIFEST_DIR"])
def test_a_disk_that_fills_up_while_it_is_written_leaves_no_short_file(left, engineer, api, store):
    """A limit on the size of files stands in for a full disk, from a file's first byte until it is given up."""
    run, rows = left
    old = factories.deliver(run, engineer)
    new, _ = requesting.renew(delivery=old, actor=engineer)
    home = Path(getattr(settings, store))
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)

    def heard(event: str, args: tuple[Any, ...]) -> None:
        if is_written(event, args, home):
            resource.setrlimit(resource.RLIMIT_FSIZE, (200, most))
        elif event in CHANGES:
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))

    code = in_a_process(lambda: making.make(new.pk), heard, lambda: None)

    new.refresh_from_db()
    attempt = DeliveryAttempt.objects.get(delivery=new)
    assert code == 1
    assert (new.state, new.files, attempt.count) == (DeliveryState.REQUESTED, [], 1)
    assert attempt.error == "The disk or the database refused."
    assert (downloaded(api, new), downloaded(api, old)) == (None, rows)
    assert files_of_accounts() == {old.reference}
    assert list(Path(settings.MANIFEST_DIR).rglob("*.part")) == []
    Lease.objects.all().delete()  # as a minute later
    sweeping.sweep()
    assert downloaded(api, new) == rows
    assert files_of_accounts() == {new.reference}
