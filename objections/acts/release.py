"""Releasing a ticket that a flood set aside: from then on it is handled like any other ticket, and the person gets our first letter."""

from typing import Any

from django.contrib.auth.models import User

from ledger.registry import EntryKind
from objections.acts.act import Act, Many, Page, Said, acting
from objections.acts.previews import warnings_of
from objections.choices import LetterKind
from objections.errors import ForbiddenMove, WhyNot
from objections.intake import receiving
from objections.models import Ticket
from objections.ticket.case import Case


def why_not(case: Case, actor: User) -> str:
    if not case.ticket.is_set_aside:
        return f"{case.ticket} is {case.ticket.get_state_display()}: it is not set aside."
    if not case.ticket.is_open:
        return WhyNot(f"{case.ticket} was closed as abuse: no letter is sent.", ForbiddenMove)
    return case.why_undecided


def do(*, ticket: Ticket, version: int, actor: User) -> Ticket:
    with acting("objection.released", ticket, actor, why_not, version=version) as (case, _):
        row = case.ticket
        row.is_set_aside = False
        row.save()
        receiving.first_letter(case)
    return row


def _page(case: Case, actor: User) -> Page:
    return Page(
        will=[
            "It was set aside during a flood. It still restricts, and its clock still runs.",
            "Once released, it is handled like any other ticket, and the person gets our first letter.",
        ],
        warnings=warnings_of(case.ticket, writes=True),
    )


def _done(case: Case, said: Said, result: Any) -> str:
    return f"{case.ticket} is handled like any other ticket."


def _released(case: Case) -> str:
    if case.ticket.is_authenticated:
        return "The acknowledgement is sent."
    return "A link to confirm the address is sent."


ACT = Act(
    name="release",
    title="Release it",
    kinds=[EntryKind("objection.released", "Released, after it was set aside")],
    comes_up=lambda case, actor: bool(case.ticket.is_set_aside) and case.ticket.is_open,
    why_not=why_not,
    do=do,
    letters=[LetterKind.ACKNOWLEDGEMENT, LetterKind.CONFIRMATION],
    page=_page,
    done=_done,
    many=Many(
        action="Release what was set aside",
        title="Release tickets that were set aside",
        lead="They were received during a flood, and count like any other: a matched member stays out."
        " Once released they get the letter that was held back.",
        button="Release them",
        done="Released",
        will=_released,
        warns=lambda case: warnings_of(case.ticket, writes=True),
    ),
)
