"""Upholding many tickets for every purpose they name, those that are only received with a review that begins and ends."""

from django.contrib.auth.models import User
from django.db import transaction

from objections.acts import begin_review, decide
from objections.acts.act import Act, Many
from objections.acts.previews import warnings_of
from objections.choices import LetterKind, Outcome, TicketState
from objections.models import Proposal, Ticket
from objections.ticket.case import Case


def why_not(case: Case, actor: User) -> str:
    if case.ticket.state == TicketState.RECEIVED:
        return case.why_undecided or case.why_set_aside
    return decide.why_not(case, actor)


def do(*, ticket: Ticket, version: int, actor: User) -> Ticket | Proposal:
    # Two entries, for two moves of the map; both or neither.
    with transaction.atomic():
        if ticket.state == TicketState.RECEIVED:
            ticket = begin_review.do(ticket=ticket, version=version, actor=actor)
            assert ticket.version is not None
            version = ticket.version
        outcomes = {one.purpose: Outcome.UPHELD for one in ticket.objections.all()}
        return decide.do(ticket=ticket, outcomes=outcomes, version=version, actor=actor)


def _will(case: Case) -> str:
    if case.ticket.member_id is None:
        return (
            "Upheld, but no member is excluded: no account is matched. The outcome letter is sent."
        )
    return f"Out for good of {case.purposes_in_words}. The outcome letter is sent."


ACT = Act(
    name="uphold",
    title="Uphold",
    why_not=why_not,
    do=do,
    letters=[LetterKind.UPHELD],
    many=Many(
        action="Uphold for every purpose named",
        title="Uphold tickets for every purpose they name",
        lead="An upheld objection keeps the matched member out for good. It cannot be taken back here,"
        " and the person is written to.",
        button="Uphold them",
        done="Upheld",
        will=_will,
        warns=lambda case: warnings_of(case.ticket, writes=True, upholds=True),
    ),
)
