"""The accounts a manifest includes, as exact lists for programs: CSV and Parquet, made once as files.

A list is what was frozen, without those who were erased since: by set and by count, checked while it is written. A
reference is written as the product sent it, whatever a spreadsheet would make of it.
"""

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import islice
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.urls import reverse
from pyroaring import BitMap

from common.choices import FileState
from common.files import made_files
from common.models import MadeFile
from consent import members
from consent.choices import Status
from consent.models import AccountReference, Member
from ledger.errors import Refusal
from ledger.reads.recording import record_read
from training_runs import teams
from training_runs.errors import ManifestDamaged
from training_runs.manifests import roaring_lookup
from training_runs.models import Manifest, Run
from training_runs.runs import freezing, verifying, withdrawing

Page = list[tuple[int, str]]
PAGE = 10_000
"""Members read at a time, and rows of a Parquet row group."""
COLUMNS = ("member_number", "account_ref")


class ListDiffers(Refusal):
    """The list would not be what was frozen: it is not given out."""

    code = "list_differs"


# --- What is in it ------------------------------------------------------------------------------


def account_refs(included: BitMap, *, page: int) -> Iterator[Page]:
    """Pages of (member number, account_ref) in order of the number; erased members have none left.

    Every seal is opened: a reference that was changed after its entry is never given out. Raises ListDiffers.
    """
    numbers = iter(included)
    while chunk := list(islice(numbers, page)):
        rows = AccountReference.objects.filter(member__gte=chunk[0], member__lte=chunk[-1])
        if chunk[-1] - chunk[0] > 3 * len(chunk):
            rows = rows.filter(member__in=chunk)
        wanted = set(chunk)
        # Reference and seal in one statement: an import that confirms an account changes both.
        found = rows.order_by("member_id").values_list(
            "member_id", "account_ref", "account_key", "salt", "member__reference_seal"
        )
        yield [_unsealed(*row) for row in found if row[0] in wanted]


def _unsealed(number: int, account_ref: str, *sealed: str) -> tuple[int, str]:
    if fault := members.fault_of_reference(number, account_ref, *sealed):
        raise ListDiffers(fault)
    return number, account_ref


class Check:
    """Holds what is written against what was frozen."""

    def __init__(self, included: BitMap) -> None:
        self._included = included
        self._written = BitMap()
        self._last = 0
        self.rows = 0
        self.erased = 0

    def passing(self, pages: Iterable[Page]) -> Iterator[Page]:
        """The pages, each checked; at their end all of it. Raises ListDiffers."""
        for page in pages:
            for number, _ in page:
                if number <= self._last:
                    raise ListDiffers(f"Member {number} comes twice or out of order.")
                self._last = number
            self._written.update([number for number, _ in page])
            self.rows += len(page)
            yield page
        self._finish()

    def _finish(self) -> None:
        if strangers := self._written - self._included:
            raise ListDiffers(f"{len(strangers):,} members of the list are not in the manifest.")
        missing = self._included - self._written
        numbers = iter(missing)
        while chunk := list(islice(numbers, PAGE)):
            self.erased += Member.objects.filter(pk__in=chunk, status=Status.ERASED).count()
        if self.erased != len(missing) or self.rows + self.erased != len(self._included):
            raise ListDiffers(
                f"{len(missing):,} of {len(self._included):,} members have no account reference, and"
                f" {self.erased:,} were erased since: the list would not be what was frozen."
            )


# --- How it is written --------------------------------------------------------------------------


def write_csv(pages: Iterable[Page], to: io.RawIOBase) -> None:
    """CSV (RFC 4180) with a heading, in UTF-8. Quoted where its signs ask for it, and nothing else changed."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer)
    writer.writerow(COLUMNS)
    for page in pages:
        writer.writerows(page)
        to.write(buffer.getvalue().encode())
        buffer.seek(0)
        buffer.truncate()
    to.write(buffer.getvalue().encode())


def write_parquet(pages: Iterable[Page], to: io.RawIOBase) -> None:
    """Parquet sorted by member number, a row group for each page, every page of data with its checksum."""
    schema = pa.schema(
        [
            pa.field(COLUMNS[0], pa.uint32(), nullable=False),
            pa.field(COLUMNS[1], pa.string(), nullable=False),
        ]
    )
    with pq.ParquetWriter(
        to,
        schema,
        use_dictionary=False,
        write_page_checksum=True,
        sorting_columns=[pq.SortingColumn(0)],
    ) as writer:
        for page in pages:
            numbers, references = zip(*page, strict=True) if page else ((), ())
            writer.write_batch(
                pa.record_batch(
                    [pa.array(numbers, pa.uint32()), pa.array(references, pa.string())],
                    schema=schema,
                )
            )


FORMS: dict[str, tuple[str, Callable[[Iterable[Page], io.RawIOBase], None]]] = {
    "csv": ("text/csv; charset=utf-8", write_csv),
    "parquet": ("application/vnd.apache.parquet", write_parquet),
}


# --- As a made file -----------------------------------------------------------------------------


class MemberList(made_files.Maker):
    """`parameters`: the run's reference, the manifest's digest, `csv` or `parquet`."""

    kind = "member-list"

    def write(self, parameters: Mapping[str, Any], to: io.RawIOBase) -> dict[str, Any]:
        manifest = verifying.usable_manifest(_run(parameters))
        if manifest.digest != parameters["manifest"]:
            raise ManifestDamaged("The manifest is not the one that was asked for.")
        included = freezing.load(manifest).included
        check = Check(included)
        _, write = FORMS[parameters["form"]]
        write(check.passing(account_refs(included, page=PAGE)), to)
        # Afterwards: that a reference is missing is told as a fault of the list.
        since = withdrawing.withdrawn_since(manifest)
        return {
            "rows": check.rows,
            "included": len(included),
            "withdrawn": len(since.withdrawn),
            "erased": check.erased,
            "cut": since.cut,
        }

    def check_access(self, user: User, parameters: Mapping[str, Any]) -> None:
        run = _run(parameters)
        if not teams.has(run, user) or not user.has_perm("training_runs.download_manifest"):
            raise PermissionDenied
        verifying.usable_manifest(run)

    def record(self, user: User, row: MadeFile) -> None:
        said = f"{row.parameters['form']}, {row.facts['rows']} rows, sha-256={row.digest}"
        record_read(user, "manifest.members", row.parameters["run"], purpose=said)

    def name(self, parameters: Mapping[str, Any]) -> str:
        return f"{parameters['run']}-members.{parameters['form']}"

    def media_type(self, parameters: Mapping[str, Any]) -> str:
        return FORMS[parameters["form"]][0]

    def title(self, parameters: Mapping[str, Any]) -> str:
        return f"Accounts of {parameters['run']} as {parameters['form'].upper()}"

    def back(self, parameters: Mapping[str, Any]) -> str:
        return reverse("admin:training_runs_run_change", args=[_run(parameters).pk])

    def headers(self, row: MadeFile) -> dict[str, str]:
        return {
            "Members-Included": str(row.facts["included"]),
            "Members-Withdrawn-Since": str(row.facts["withdrawn"]),
            "Members-Erased-Since": str(row.facts["erased"]),
            "Members-Counted-At": str(row.facts["cut"]),
        }


def _run(parameters: Mapping[str, Any]) -> Run:
    return Run.objects.get(reference=parameters["run"])


def parameters_of(manifest: Manifest, form: str) -> dict[str, str]:
    """The parameters that request the list of a manifest."""
    return {"run": manifest.run.reference, "manifest": manifest.digest, "form": form}


def end_lists_with(member: Member) -> None:
    """No list keeps an account that is erased: those that hold it are deleted, those being written start over.

    Called in the entry that erases, and again once it is committed: until then a new list can read the account.
    """
    _end_lists_with(member.pk)
    transaction.on_commit(partial(_end_lists_with, member.pk), robust=True)


def _end_lists_with(number: int) -> None:
    with transaction.atomic():
        alive = MadeFile.objects.select_for_update().filter(
            kind=MemberList.kind, state__in=[FileState.WAITING, FileState.READY]
        )
        holding = [row.pk for row in alive if _may_hold(row.parameters["manifest"], number)]
        rows = MadeFile.objects.filter(pk__in=holding)
        made_files.start_over(rows)
        made_files.end(rows)


def _may_hold(digest: str, number: int) -> bool:
    try:
        with roaring_lookup.opened(digest) as archive:
            return archive.includes(number)
    except (ManifestDamaged, OSError):
        return True
