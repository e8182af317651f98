"""Approving for many tickets at once that they are closed as abuse: no letter leaves, so none has to be read first."""

from django.contrib.auth.models import User

from objections.acts import review
from objections.acts.act import Act, Many, acting
from objections.acts.fields import ReasonField
from objections.errors import AlreadySettled, NeedsSecondPerson, WhyNot
from objections.models import Ticket
from objections.ticket.case import Case
from objections.ticket.notes import must_say


def why_not(case: Case, actor: User) -> str:
    if case.proposal is None or not case.ticket.is_set_aside:
        # With a letter it is approved on its page, where the letter is read.
        return WhyNot("No proposal to close it as abuse waits.", AlreadySettled)
    if case.proposal.proposed_by_id == actor.pk:
        return WhyNot("You proposed it yourself.", NeedsSecondPerson)
    return ""


def do(*, ticket: Ticket, reason: str, version: int, actor: User) -> Ticket:
    must_say("reason", reason, "Say what you checked.")
    with acting(review.APPROVED, ticket, actor, why_not, version=version, reason=reason) as (
        case,
        _,
    ):
        review.approve(case, actor)
    return case.ticket


ACT = Act(
    name="approve_abuse",
    title="Approve the closing as abuse",
    why_not=why_not,
    do=do,
    many=Many(
        action="Approve the closing as abuse",
        title="Approve that tickets are closed as abuse",
        lead="No letter is sent, and the matched members stay out. It cannot be taken back.",
        button="Approve the closing",
        done="Closed as abuse",
        will=lambda case: f"Closed without a letter; out of {case.purposes_in_words}.",
        asks={"reason": lambda: ReasonField(help_text="What you checked.")},
    ),
)
