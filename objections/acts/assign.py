"""Assigning a ticket to an officer, or removing its officer."""

from typing import Any

from django.contrib.auth.models import User

from ledger.errors import InvalidInput
from ledger.open_entry import OpenEntry
from ledger.registry import EntryKind
from objections.acts.act import Act, ActForm, Many, Page, Said, acting
from objections.acts.fields import officer_field
from objections.models import Ticket
from objections.ticket.case import Case
from objections.ticket.officers import officer_of

ASSIGNED = "objection.assigned"


class AssignForm(ActForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["officer"] = officer_field("Assignee")


def why_not(case: Case, actor: User) -> str:
    if case.ticket.is_open:
        return ""
    return f"{case.ticket} is {case.ticket.get_state_display()}: closed tickets cannot be assigned."


def do(*, ticket: Ticket, officer: User | None, version: int, actor: User) -> Ticket:
    with acting(ASSIGNED, ticket, actor, why_not, version=version) as (case, opened):
        row = case.ticket
        if row.assignee_id == (officer.pk if officer else None):
            opened.abandon()
            return row
        if officer is not None and not officer.has_perm("objections.work_ticket"):
            raise InvalidInput(
                "Assign it to a privacy officer: no other account works tickets.", field="officer"
            )
        give(case, opened, officer)
    return row


def give(case: Case, opened: OpenEntry, officer: User | None) -> None:
    case.ticket.assignee = officer
    opened.reason = f"to {officer.get_username()}" if officer else "unassigned"
    case.ticket.save()


def who_has(ticket: Ticket) -> str:
    officer = officer_of(ticket)
    return f"{officer.get_username()} has it" if officer else "no officer has it"


def leaves(ticket: Ticket, to: str) -> str:
    officer = officer_of(ticket)
    return f"From {officer.get_username() if officer else 'the unassigned'} to {to}."


def _page(case: Case, actor: User) -> Page:
    now = who_has(case.ticket)
    return Page(
        will=[f"Now {now}. The ticket shows in the assignee's queue."],
        initial={"officer": case.ticket.assignee_id},
    )


def _done(case: Case, said: Said, result: Any) -> str:
    officer = said["officer"]
    return (
        f"{case.ticket} is assigned to {officer}." if officer else f"{case.ticket} is unassigned."
    )


ACT = Act(
    name="assign",
    title="Assign",
    kinds=[EntryKind(ASSIGNED, "Assigned", despite_clocks=True)],
    form=AssignForm,
    comes_up=lambda case, actor: case.ticket.is_open,
    why_not=why_not,
    do=do,
    page=_page,
    done=_done,
    many=Many(
        action="Assign to…",
        title="Assign tickets",
        lead="Assign it to a privacy officer: no other account works tickets.",
        button="Assign them",
        done="Assigned",
        will=lambda case: leaves(case.ticket, "whom you choose"),
        asks={"officer": lambda: officer_field("Assign to")},
    ),
)
