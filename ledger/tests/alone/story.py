"""Writes, reads, verifies and signs in a project that has nothing of the portal but the ledger; prints what it saw."""

import json
import sys

import django
from django.core.management import call_command

django.setup()

from django.contrib.auth.models import User  # noqa: E402  Django is set up first

from ledger import checks, entries  # noqa: E402
from ledger.checkpoints import signing  # noqa: E402
from ledger.errors import AppendOnlyViolation, LedgerError  # noqa: E402
from ledger.reads.recording import record_read  # noqa: E402
from ledger.tests.alone.notes.models import Note  # noqa: E402
from ledger.verification.verifying import verify_ledger  # noqa: E402


def refused(act, *errors):
    try:
        act()
    except errors:
        return True
    return False


def write(kind):
    with entries.entry(kind, actor=person):
        Note(text="first").save()


call_command("makemigrations", "--check", "--verbosity", "0")
call_command("migrate", verbosity=0)
call_command("check", "--database", "default", "--fail-level", "WARNING")
checks.require_triggers()
person = User.objects.create_user("nora")
signing.add_key(actor=person)
write("note.written")
record_read(person, "note.read", "note:1")
checkpoint = signing.sign_now()
report = verify_ledger()
seen = {
    "refused": [
        refused(lambda: write("note.rewritten"), LedgerError),
        refused(lambda: Note.objects.update(text="second"), AppendOnlyViolation),
    ],
    "checks": report.checks,
    "problems": report.problems,
    "signed": checkpoint.note.splitlines()[:2],
    "proved": signing.prove_entry(2, checkpoint).splitlines()[0],
    "modules": sorted({name.partition(".")[0] for name in sys.modules}),
}
sys.stdout.write(f"{json.dumps(seen)}\n")
