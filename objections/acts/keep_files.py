"""Keeping the files that wait in quarantine, although the address is unconfirmed."""

from typing import Any

from django.contrib.auth.models import User

from ledger.registry import EntryKind
from objections.acts.act import Act, Page, Said, acting
from objections.models import Ticket
from objections.ticket import quarantine
from objections.ticket.case import Case


def why_not(case: Case, actor: User) -> str:
    if sentence := case.why_nothing_is_added:
        return sentence
    if quarantine.waiting(case.attachments):
        return ""
    state = case.ticket.get_state_display()
    return f"{case.ticket} is {state}: no file waits: they are kept, or gone."


def do(*, ticket: Ticket, version: int, actor: User) -> Ticket:
    with acting("objection.files_kept", ticket, actor, why_not, version=version) as (case, opened):
        count = quarantine.keep(case.attachments)
        opened.reason = f"{count} file{'' if count == 1 else 's'}"
        case.ticket.save()
    return case.ticket


def _page(case: Case, actor: User) -> Page:
    last_day = quarantine.last_day(case.attachments)
    return Page(
        will=[
            "They came with the form, and the address is unconfirmed: a stranger may have sent them."
            + (f" Unless you keep them they go after {last_day}." if last_day else ""),
            "Kept, they stay with the ticket and are erased with the person's data.",
        ]
    )


def _done(case: Case, said: Said, result: Any) -> str:
    return "The files are kept."


ACT = Act(
    name="keep_files",
    title="Keep the files",
    kinds=[EntryKind("objection.files_kept", "Files kept by an officer")],
    comes_up=lambda case, actor: bool(quarantine.waiting(case.attachments)),
    why_not=why_not,
    do=do,
    page=_page,
    done=_done,
)
