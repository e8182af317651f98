"""Every manifest derived once more, here and on the other database engine.

The history is copied into a database of the other kind and derived from there: an engine that sorts, compares or counts
otherwise than the one that froze would be found out.
"""

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any

import environ
import structlog
from django.core.management import call_command
from django.db import connection, connections, models

from auditing import replica
from ledger import entries
from ledger.errors import InvalidInput, Refusal
from ledger.models import Entry, LedgerCheck
from ledger.sealing import sealed_models
from ledger.verification.verifying import Report, verify_ledger
from training_runs.choices import Agreement
from training_runs.eligibility import deriving
from training_runs.models import Manifest, Run
from training_runs.runs import verifying

logger = structlog.get_logger(__name__)

REPLICA = "replica"
CHECKER = "system:checker"
_PIECE = 5_000
# What deriving looks up beside history: the manifests' runs, by their key.
_BESIDE: tuple[type[models.Model], ...] = (Run,)


@dataclass
class Verified:
    """The result of verifying. `problems` is empty when everything agrees."""

    here: int = 0
    there: int = 0
    engine: str = ""
    """The other engine; empty when there was none to go to."""
    problems: list[str] = field(default_factory=list)


def verify_all(
    *, other: str = "", progress: Callable[[str], object] = lambda what: None
) -> Verified:
    """Derive every manifest from history here and on the other engine, and compare with what was frozen.

    `other` is the address of an empty PostgreSQL database, for a portal on SQLite; a portal on PostgreSQL
    makes a SQLite file of its own.
    """
    found = Verified()
    manifests = list(Manifest.objects.select_related("run").order_by("pk"))
    for manifest in manifests:
        progress(f"{manifest.run.reference} here")
        found.here += _agrees(manifest, connection.vendor, found)
    with _other_engine(other) as engine:
        found.engine = engine
        if engine:
            progress(f"copying the history to {engine}")
            _copy_history()
            for manifest in manifests:
                progress(f"{manifest.run.reference} on {engine}")
                with replica.working_on(REPLICA):
                    copy = Manifest.objects.select_related("run").get(pk=manifest.pk)
                    found.there += _agrees(copy, engine, found)
    return found


def _agrees(manifest: Manifest, engine: str, found: Verified) -> bool:
    try:
        derived = sha256(deriving.derive(manifest)).hexdigest()
    except Refusal as error:
        found.problems.append(f"{manifest.run.reference} on {engine}: {error}")
        return False
    if derived != manifest.digest:
        found.problems.append(
            f"{manifest.run.reference} on {engine}: history gives {derived}, frozen was {manifest.digest}."
        )
    return derived == manifest.digest


# --- The other engine ---------------------------------------------------------------------------


@contextmanager
def _other_engine(address: str) -> Iterator[str]:
    """A migrated, empty database of the other kind under the alias REPLICA; yields its name, or nothing."""
    if connection.vendor == "sqlite" and not address:
        yield ""
        return
    with tempfile.TemporaryDirectory(prefix="portal-verify-") as home:
        described: dict[str, Any] = environ.Env.db_url_config(
            address or f"sqlite:///{Path(home) / 'derived.sqlite3'}"
        )
        if described["ENGINE"] == connection.settings_dict["ENGINE"]:
            raise InvalidInput("Name a database of the other engine.", field="other")
        connections.databases[REPLICA] = connections.configure_settings(
            {"default": {}, REPLICA: described}
        )[REPLICA]
        try:
            there = connections[REPLICA]
            if there.introspection.table_names():
                raise InvalidInput("The other database is not empty.", field="other")
            # Migrations write first rows, and name no database.
            with replica.working_on(REPLICA):
                call_command("migrate", database=REPLICA, verbosity=0)
            yield there.vendor
        finally:
            connections[REPLICA].close()
            del connections[REPLICA], connections.databases[REPLICA]


def _copy_history() -> None:
    """Copy entries and sealed rows. Nothing else decides; what it points to is not copied, so keys are not checked."""
    there = connections[REPLICA]
    with there.cursor() as cursor:
        if there.vendor == "sqlite":
            cursor.execute("PRAGMA foreign_keys=OFF")
        else:
            cursor.execute("SET session_replication_role = replica")
    copied: list[type[models.Model]] = [Entry, *sealed_models().values(), *_BESIDE]
    for model in copied:
        rows = iter(model._base_manager.order_by("pk").iterator(_PIECE))
        while piece := list(islice(rows, _PIECE)):
            model._base_manager.using(REPLICA).bulk_create(piece)


# --- Night by night -----------------------------------------------------------------------------


def check_tonight(*, seconds: float = 3_600) -> LedgerCheck:
    """Recompute the whole ledger, then derive again the manifests that were verified longest ago, for a while.

    What was found is kept: the auditors' start page shows it.
    """
    started = time.monotonic()
    report = verify_ledger()
    check = record_check(report, time.monotonic() - started)
    # A ledger that takes long leaves the manifests the same time.
    started = time.monotonic()
    for manifest in _longest_ago():
        if time.monotonic() - started > seconds:
            break
        verification = verifying.verify(manifest, actor=CHECKER)
        if verification.agreement != Agreement.AGREES:
            logger.error("manifest differs", run=manifest.run.reference)
    return check


def record_check(report: Report, seconds: float) -> LedgerCheck:
    """Keep what a recomputation of the ledger found."""
    kind = "ledger.verification_failed" if report.problems else "ledger.verified"
    with entries.entry(kind, actor=CHECKER, subject=f"entry:{report.size}"):
        check = LedgerCheck(
            size=report.size,
            root=report.root,
            rows=report.rows,
            problems=report.problems,
            seconds=f"{seconds:.3f}",
        )
        check.save()
    if report.problems:
        logger.error("the ledger does not verify", problems=len(report.problems))
    return check


def _longest_ago() -> Iterator[Manifest]:
    """Manifests, the one first whose last verification is oldest."""
    rows = Manifest.objects.annotate(last=models.Max("verifications__verified_at"))
    yield from rows.select_related("run").order_by("last", "pk")
