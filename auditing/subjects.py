"""The kinds of thing that entries of the ledger are about, and which entries hang on each."""

import re
from collections.abc import Iterator

from common.staff.subjects import Subject
from consent.models import Decision, Member
from objections.models import Letter, Objection, RedactionEntry, Ticket
from training_runs.models import Finding, Incident, Manifest, Run, Verification


def _find_member(reference: str) -> int | None:
    number = int(reference.removeprefix("member:"))
    return number if number < 2**31 and Member.objects.filter(pk=number).exists() else None


def _find_run(reference: str) -> int | None:
    return Run.objects.filter(reference=reference).values_list("pk", flat=True).first()


def _find_ticket(reference: str) -> int | None:
    return Ticket.objects.filter(reference=reference).values_list("pk", flat=True).first()


def _entries_of_member(number: int) -> Iterator[int]:
    yield from Member.history.filter(id=number).values_list("entry_id", flat=True)
    yield from Decision.objects.filter(member=number).values_list("entry_id", flat=True)
    objections = Objection.history.filter(member_id=number).values("id")
    yield from Objection.history.filter(id__in=objections).values_list("entry_id", flat=True)
    yield from Ticket.history.filter(member_id=number).values_list("entry_id", flat=True)


def _entries_of_run(key: int) -> Iterator[int]:
    yield from Run.history.filter(id=key).values_list("entry_id", flat=True)
    yield from Manifest.objects.filter(run=key).values_list("entry_id", flat=True)
    yield from Verification.objects.filter(manifest__run=key).values_list("entry_id", flat=True)
    yield from Finding.objects.filter(run=key).values_list("entry_id", flat=True)
    yield from Incident.history.filter(run_id=key).values_list("entry_id", flat=True)


def _entries_of_ticket(key: int) -> Iterator[int]:
    yield from Ticket.history.filter(id=key).values_list("entry_id", flat=True)
    yield from Objection.history.filter(ticket_id=key).values_list("entry_id", flat=True)
    yield from Letter.history.filter(ticket_id=key).values_list("entry_id", flat=True)
    yield from RedactionEntry.history.filter(ticket_id=key).values_list("entry_id", flat=True)


MEMBER = Subject(
    "a member (member:12)",
    "consent.member",
    re.compile(r"member:[0-9]{1,10}"),
    _find_member,
    _entries_of_member,
    "admin:auditing_member_dossier",
    "auditing.view_dossier",
)
RUN = Subject(
    "a run (TR-2026-000012)",
    "training_runs.run",
    re.compile(r"TR-[0-9]{4}-[0-9]+"),
    _find_run,
    _entries_of_run,
    "admin:auditing_run_dossier",
    "auditing.view_dossier",
)
TICKET = Subject(
    "a ticket (OBJ-2026-000431)",
    "objections.ticket",
    re.compile(r"OBJ-[0-9]{4}-[0-9]+"),
    _find_ticket,
    _entries_of_ticket,
    "admin:objections_ticket_change",
    "objections.view_ticket",
)
