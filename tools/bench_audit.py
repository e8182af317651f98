"""A million entries of the ledger: recomputing, signing, exporting and proving, and the outsider's check of the export."""

import datetime as dt
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.contrib.auth.models import User
from django.core.management.color import no_style
from django.db import connection
from django.utils import timezone

from auditing.exports import exporting
from consent.models import Decision
from ledger import entries, registry, sealing
from ledger.bulk import Rows, insert_rows, vacuum
from ledger.checkpoints import signing
from ledger.merkle.tree import Frontier, leaf_hash
from ledger.models import Entry, LedgerHead
from ledger.open_entry import OpenEntry
from ledger.registry import EntryKind
from ledger.verification import leaves
from ledger.verification.verifying import verify_ledger

PIECE = 50_000
OUTSIDER = Path(__file__).resolve().parent.parent / "outsider" / "verify.py"


def report(count: int) -> None:
    """Fill the ledger up to a million decisions, which stay there, and print the times."""
    _fill(count)
    print(f"a ledger of {entries.read_head().size:,} entries, {os.cpu_count()} cores")
    _timed("every entry recomputed, in processes", _recompute)
    _timed("manage.py verify_ledger, all its checks", _verify)
    _timed("the first checkpoint over all of it", signing.sign_now)
    _timed("the next checkpoint, one entry later", _sign_one_more)
    newest = signing.latest()
    _timed("a proof of one entry", lambda: signing.prove_entry(newest.size // 3, newest))
    with tempfile.TemporaryDirectory() as home:
        directory = Path(home) / "export"
        _timed("the export", lambda: exporting.export(directory))
        key = signing.signers()[0].verifier.text
        command = [sys.executable, "-I", "-S", OUTSIDER, "export", directory, "--key", key]
        _timed("verify.py export", lambda: _run([*command, "--no-derive"]))
    print("  (aim: a million entries verified in at most 10 s on two cores)")


registry.declare(EntryKind("bench.act", "Act of a measurement"))


def _timed(what: str, act: Callable[[], Any]) -> None:
    started = time.perf_counter()
    act()
    print(f"  {what:40} {time.perf_counter() - started:7.2f} s", flush=True)


def _recompute() -> None:
    for piece in leaves.pieces(entries.read_head().size, in_processes=True):
        if piece.problems:
            raise SystemExit(piece.problems[0])


def _verify() -> None:
    if problems := verify_ledger().problems:
        raise SystemExit(problems[0])


def _sign_one_more() -> None:
    with entries.entry("bench.act", actor="bench"):
        pass
    signing.sign_now()


def _run(command: list[Any]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)


def _fill(count: int) -> None:
    """Entries of one decision each, as the product's opt-outs make them, written past the ORM."""
    actor = User.objects.create_user("bench-product")
    head = LedgerHead.objects.get(pk=1)
    frontier = Frontier.from_text(head.size, head.frontier)
    first_row = (Decision.objects.order_by("-pk").values_list("pk", flat=True).first() or 0) + 1
    now = timezone.now()
    columns = sealing.sealed_columns(Decision)
    for start in range(head.size + 1, count + 1, PIECE):
        sequences = range(start, min(start + PIECE, count + 1))
        rows, leaves, times = [], [], []
        for sequence in sequences:
            at = now + dt.timedelta(milliseconds=sequence)
            row = _decision(first_row, sequence, at)
            first_row += 1
            opened = OpenEntry(
                sequence, "consent.decision", actor.pk, "bench-product", "", "", at, at
            )
            data = sealing.entry_bytes(
                opened, {"consent.decision": [tuple(row[name] for name in columns)]}
            )
            leaf = leaf_hash(data)
            frontier.append(leaf)
            rows.append(row)
            leaves.append(leaf.hex())
            times.append(at)
        insert_rows(
            Entry,
            Rows({"sequence": sequences, "recorded_at": times, "leaf": leaves}),
            kind="consent.decision",
            actor_id=actor.pk,
            actor_name="bench-product",
            credential="",
            subject="",
            reason="",
        )
        written = {name: [row[name] for row in rows] for name in columns}
        insert_rows(Decision, Rows({**written, "entry_id": sequences}))
    head.size, head.frontier = frontier.size, frontier.to_text()
    head.last_at = head.latest_at = at
    head.save()
    with connection.cursor() as cursor:
        # The numbers above were not taken from it.
        for statement in connection.ops.sequence_reset_sql(no_style(), [Decision]):
            cursor.execute(statement)
    vacuum(Entry, Decision)


def _decision(pk: int, sequence: int, at: dt.datetime) -> dict[str, Any]:
    """A row of `Decision`; its member is the first one."""
    return {
        "id": pk,
        "member_id": 1,
        "purpose": "generative-ai",
        "choice": "deny" if sequence % 2 else "allow",
        "channel": "product",
        "source_id": f"ledger-{sequence}",
        "decided_at": at,
        "counts_at": at,
        "notice_version": "2024-09-18",
        "privacy_signal": None,
        "account_known": True,
        "evidence_only": True,  # they decide nothing: no choices have to be written beside them
        "body_digest": "0" * 64,
    }
