"""Taking a ticket: the officer who asks has it from now on."""

from typing import Any

from django.contrib.auth.models import User

from objections.acts import assign
from objections.acts.act import Act, Many, Page, Said, acting
from objections.models import Ticket
from objections.ticket.case import Case


def why_not(case: Case, actor: User) -> str:
    if case.ticket.assignee_id == actor.pk and case.ticket.is_open:
        return f"{case.ticket} is yours already."
    return assign.why_not(case, actor)


def do(*, ticket: Ticket, version: int, actor: User) -> Ticket:
    with acting(assign.ASSIGNED, ticket, actor, why_not, version=version) as (case, opened):
        assign.give(case, opened, actor)
    return case.ticket


def _page(case: Case, actor: User) -> Page:
    return Page(will=[f"You work {case.ticket} from now on; now {assign.who_has(case.ticket)}."])


def _done(case: Case, said: Said, result: Any) -> str:
    return f"{case.ticket} is yours."


ACT = Act(
    name="take",
    title="Take it",
    comes_up=lambda case, actor: case.ticket.is_open and case.ticket.assignee_id != actor.pk,
    why_not=why_not,
    do=do,
    page=_page,
    done=_done,
    many=Many(
        action="Take: assign to me",
        title="Take tickets",
        lead="They are assigned to you, even those that have another officer.",
        button="Take them",
        done="Taken",
        will=lambda case: assign.leaves(case.ticket, "you"),
    ),
)
