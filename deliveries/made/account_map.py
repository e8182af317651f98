"""The account map: every account with its member number, for a lake that has joined our numbers once.

A file for each 2^20 numbers. What creates, spells or erases an account notes its range, in its own entry; a worker makes
the noted ranges again and no others. A file with an erased account goes in the entry that erases. The map is made when it
is asked for, and deleted when it was not asked for again for some time: it holds accounts.
"""

import datetime as dt
import math
import re
import sys
from collections.abc import Iterable, Sequence
from io import BufferedReader
from pathlib import Path

import structlog
from django.contrib.auth.models import User
from django.db import DatabaseError, transaction
from django.db.models import F, Max, Min, Q
from pyroaring import BitMap

from common.processes import leases
from consent.choices import Status
from consent.models import Member, Suppression
from deliveries.errors import AccountErased, AccountMapNotReady, DeliveryDiffers, NoAccountMap
from deliveries.made import lists, stores
from deliveries.models import AccountMapFile, AccountMapRange, AccountMapRequest
from ledger import clock, entries, open_entry
from ledger.errors import NotFound
from training_runs.choices import FindingKind
from training_runs.errors import ManifestDamaged
from training_runs.models import Finding
from training_runs.runs.sweeping import within

logger = structlog.get_logger(__name__)

HOME = "account-map"
"""Its directory among those of the deliveries."""
MAKER = "system:account-map"
KEPT = dt.timedelta(days=60)
"""How long the map is kept after it was asked for."""
REST = dt.timedelta(minutes=10)
"""A range that goes on changing, as in an import, is made again after this time only."""
MAX_TRIES = 3
"""How often a file is begun again because an account in it was erased meanwhile."""
_NAME = re.compile(r"accounts-([0-9]{5})\.parquet")


# --- Asking -------------------------------------------------------------------------------------


def request(*, actor: User) -> tuple[AccountMapRequest, bool]:
    """Ask for the map, or that it is kept on; again within half of its time changes nothing and gives False."""
    with entries.entry("account_map.requested", actor=actor, subject=HOME) as opened:
        known = AccountMapRequest.objects.order_by("-pk").first()
        if known is not None and known.kept_until > opened.recorded_at + KEPT / 2:
            opened.abandon()
            return known, False
        row = AccountMapRequest(kept_until=opened.recorded_at + KEPT)
        row.save()
        # Without ranges nothing was noted; all of them are to be made. With ranges every change since was noted.
        if not AccountMapRange.objects.exists():
            last = Member.objects.aggregate(last=Max("pk"))["last"] or 0
            _note(opened, range(place_of(last) + 1) if last else [])
    return row, True


def kept_until() -> dt.datetime:
    """The time until which the map is kept. Raises NoAccountMap."""
    known = AccountMapRequest.objects.order_by("-pk").first()
    if known is None or known.kept_until <= clock.now():
        raise NoAccountMap("No account map is kept: POST /api/v1/account-map.")
    return known.kept_until


def ranges() -> list[AccountMapRange]:
    """The ranges in order. Raises NoAccountMap."""
    kept_until()
    return list(AccountMapRange.objects.select_related("file").order_by("place"))


def opened(place: int) -> tuple[AccountMapFile, BufferedReader]:
    """The file of a range, checked completely before its first byte is sent. A damaged or lost one is made again.

    Raises NoAccountMap, AccountMapNotReady, NotFound for a range that does not exist, OSError.
    """
    kept_until()
    found = AccountMapRange.objects.select_related("file").filter(place=place)
    one = found.first()
    if one is None:
        raise NotFound("The account map has no such file: GET /api/v1/account-map names them.")
    if one.file is not None:
        try:
            return one.file, stores.opened(HOME, one.file.sha256)
        except ManifestDamaged:
            # Unless it has just been replaced.
            found.filter(file=one.file).update(file=None, tried_at=None)
    raise AccountMapNotReady(f"{name_of(place)} is being made; try again soon.")


def place_in(name: str) -> int:
    """The range that a file's name means. Raises NotFound."""
    read = _NAME.fullmatch(name)
    if read is None:
        raise NotFound("The account map has no such file: GET /api/v1/account-map names them.")
    return int(read[1])


def name_of(place: int) -> str:
    return f"accounts-{place:05d}.parquet"


def place_of(number: int) -> int:
    return number >> lists.PARTITION_BITS


def numbers_of(place: int) -> range:
    """All numbers that a range may hold."""
    return range(place << lists.PARTITION_BITS, (place + 1) << lists.PARTITION_BITS)


# --- Noting -------------------------------------------------------------------------------------


def note_created(keys: Sequence[str], numbers: Sequence[int]) -> None:
    """Accounts were created in the open entry: new numbers are dense."""
    _note_if_kept(range(place_of(numbers[0]), place_of(numbers[-1]) + 1))


def note_spelt(numbers: Iterable[int]) -> None:
    """The product's file has spelt accounts in the open entry."""
    _note_if_kept({place_of(number) for number in numbers})


def note_erased(number: int) -> None:
    """An account is erased in the open entry: the file that has it is not given out any more, and goes."""
    place = place_of(number)
    found = AccountMapRange.objects.select_related("file").filter(place=place).first()
    if found is None:
        return
    _note(open_entry.current(), [place])
    if found.file is not None:
        AccountMapRange.objects.filter(place=place).update(file=None, tried_at=None)
        _remove_once_committed(found.file.sha256)


def _note_if_kept(places: Iterable[int]) -> None:
    if AccountMapRange.objects.exists():
        _note(open_entry.current(), places)


def _note(opened: open_entry.OpenEntry, places: Iterable[int]) -> None:
    wanted = set(places)
    noted = {"changed_entry": opened.sequence, "changed_at": opened.recorded_at}
    rows = AccountMapRange.objects.filter(place__in=wanted)
    known = set(rows.values_list("place", flat=True))
    rows.update(**noted)
    new = [AccountMapRange(place=place, **noted) for place in sorted(wanted - known)]
    AccountMapRange.objects.bulk_create(new)


def _remove_once_committed(sha256: str) -> None:
    transaction.on_commit(lambda: _remove(sha256), robust=True)


def _remove(sha256: str) -> None:
    """Delete a file unless a range has it, by the same content, again."""
    if not AccountMapRange.objects.filter(file__sha256=sha256).exists():
        stores.path_of(HOME, sha256).unlink(missing_ok=True)


# --- Making -------------------------------------------------------------------------------------


def make_due(*, seconds: float = math.inf) -> dict[str, int]:
    """Make the files of noted ranges, and delete a map that nothing asks for. One process at a time.

    One failure keeps no other range waiting: it is tried again after a while.
    """
    done = {"made": 0, "failed": 0}
    with leases.held("make account map") as is_ours:
        if not is_ours or _end_unused():
            return done
        for place in within(seconds, _due()):
            try:
                _make(place)
                done["made"] += 1
            except (AccountErased, DeliveryDiffers, OSError, DatabaseError) as error:
                done["failed"] += 1
                _note_failure(place, error)
        _remove_strays()
    return done


def _due() -> list[int]:
    """Ranges without a file first."""
    rested = Q(tried_at=None) | Q(tried_at__lte=clock.now() - REST)
    noted = AccountMapRange.objects.filter(Q(file=None) | Q(changed_entry__gt=F("cut")))
    due = noted.filter(rested).order_by(F("file").asc(nulls_first=True), "place")
    return list(due.values_list("place", flat=True))


def _make(place: int) -> None:
    """Raises AccountErased, DeliveryDiffers, OSError."""
    for tried in range(1, MAX_TRIES + 1):
        try:
            _make_once(place)
        except AccountErased:
            if tried == MAX_TRIES:
                raise
        else:
            return


def _make_once(place: int) -> None:
    with entries.snapshot() as cut:
        numbers = numbers_of(place)
        living = Member.objects.filter(pk__gte=numbers.start, pk__lt=numbers.stop)
        living = living.exclude(status=Status.ERASED).order_by()
        expected = BitMap(living.values_list("pk", flat=True).iterator(lists.PAGE))
    stores.home(HOME).mkdir(mode=0o700, parents=True, exist_ok=True)
    check = lists.Check(expected)
    name = name_of(place)
    (stores.home(HOME) / f"{name}.part").unlink(missing_ok=True)
    with stores.Writing(HOME, name, sys.maxsize) as to:
        lists.write(check.passing(lists.account_refs(expected)), to, None)
        lists.check_missing(check.missing())
        digest = to.settle()
    stores.settle_directory(HOME)
    made = AccountMapFile(place=place, cut=cut.size, sha256=digest, size=to.size, rows=check.rows)
    try:
        _record(made, expected)
    except BaseException:
        _remove(digest)
        raise
    logger.info("file of the account map made", place=place, rows=check.rows)


def _record(made: AccountMapFile, expected: BitMap) -> None:
    """Raises AccountErased: under the ledger's lock no account of the file may have been erased since it was read."""
    with entries.entry("account_map.made", actor=MAKER, subject=HOME) as opened:
        erased = Suppression.objects.filter(entry_id__gt=made.cut)
        if not expected.isdisjoint(BitMap(erased.values_list("member_id", flat=True))):
            raise AccountErased("Accounts were erased while the file was written.")
        known = AccountMapRange.objects.select_related("file").filter(place=made.place).first()
        if known is None:
            # The map was deleted meanwhile.
            opened.abandon()
            _remove_once_committed(made.sha256)
            return
        known.cut, known.tried_at = made.cut, opened.recorded_at
        if known.file is not None and known.file.sha256 == made.sha256:
            known.save(update_fields=["cut", "tried_at"])
            opened.abandon()
            return
        opened.reason = f"{name_of(made.place)}: {made.rows} accounts, sha-256={made.sha256}"
        made.save()
        if known.file is not None:
            _remove_once_committed(known.file.sha256)
        known.file = made
        known.save(update_fields=["cut", "tried_at", "file"])


def _note_failure(place: int, error: Exception) -> None:
    logger.error("file of the account map not made", place=place, error=type(error).__name__)
    AccountMapRange.objects.filter(place=place).update(tried_at=clock.now())
    if not isinstance(error, DeliveryDiffers):
        return
    detail = {"account_map": name_of(place), "code": error.code}
    with entries.entry("account_map.refused", actor=MAKER, subject=HOME) as opened:
        kind = FindingKind.DELIVERY_DIFFERS
        if Finding.objects.filter(run=None, kind=kind, detail=detail).exists():
            opened.abandon()
            return
        opened.reason = name_of(place)
        Finding(kind=kind, detail=detail, found_at=opened.recorded_at).save()


# --- Ending -------------------------------------------------------------------------------------


def _end_unused() -> bool:
    """Delete a map that was not asked for in time; whether none is kept."""
    alive = AccountMapRequest.objects.filter(kept_until__gt=clock.now())
    if alive.exists():
        return False
    if AccountMapRange.objects.exists():
        with entries.entry("account_map.ended", actor=MAKER, subject=HOME) as opened:
            if alive.exists():
                opened.abandon()
                return False
            AccountMapRange.objects.all().delete()
            transaction.on_commit(lambda: stores.remove(HOME), robust=True)
    elif stores.home(HOME).exists():
        stores.remove(HOME)
    return True


def _remove_strays() -> None:
    """Delete files that no range has: a process that died left them behind."""
    known = set(AccountMapRange.objects.exclude(file=None).values_list("file__sha256", flat=True))
    home: Path = stores.home(HOME)
    for path in home.glob("*"):
        if path.stem not in known:
            path.unlink(missing_ok=True)


def oldest_waiting(now: dt.datetime) -> dt.timedelta | None:
    """How long the oldest range without a file has waited; None when none waits."""
    first = AccountMapRange.objects.filter(file=None).aggregate(first=Min("changed_at"))["first"]
    return now - first if first else None
