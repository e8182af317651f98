"""Correcting a wrong match: the right account is out from receipt, the wrong one until a second officer confirms it."""

from typing import Any

from django.contrib.auth.models import User

from consent import members
from consent.choices import Status
from consent.lookup import look_up
from consent.models import Member
from ledger.errors import InvalidInput, NotFound
from ledger.registry import EntryKind
from objections.acts.act import Act, Page, Said, acting
from objections.acts.match import MatchForm
from objections.choices import FoundBy
from objections.clock.days import moment_in_words
from objections.intake import candidates, receiving
from objections.models import Ticket
from objections.ticket.case import Case
from objections.ticket.incidents import FoundIncident, incidents_in_words, look_for_incidents
from objections.ticket.notes import must_say

CORRECTED = "objection.match_corrected"


def why_not(case: Case, actor: User) -> str:
    ticket = case.ticket
    if ticket.member_id is None:
        return f"{ticket} is not matched yet."
    if ticket.is_authenticated:
        return f"The product vouched for the account of {ticket}."
    return case.why_undecided


def do(
    *, ticket: Ticket, account_ref: str, reason: str, version: int, actor: User
) -> tuple[Ticket, list[FoundIncident]]:
    """Raises NotFound; the look is on record, also then."""
    must_say("reason", reason, "Say how you know it is theirs: the ledger keeps it, so no names.")
    if members.is_test_account(account_ref):
        raise InvalidInput("That is one of the portal's own test accounts.", field="account_ref")
    member = look_up(account_ref, reader=actor, kind="member.read", purpose=ticket.reference)
    with acting(CORRECTED, ticket, actor, why_not, version=version, reason=reason) as (case, _):
        row = case.ticket
        right = Member.objects.exclude(status=Status.ERASED).filter(pk=member.pk).first()
        if right is None:
            raise NotFound("The account was erased meanwhile.")
        wrong = row.member_id
        if wrong is None or wrong == right.pk:
            raise InvalidInput("It is matched to this account already.", field="account_ref")
        # Another person's tickets are not this one's any more.
        row.linked_to = None
        receiving.give_member(row, right)
        candidates.add(row, wrong, FoundBy.OFFICER)
    row.refresh_from_db()
    return row, look_for_incidents(row)


def _page(case: Case, actor: User) -> Page:
    since = moment_in_words(case.ticket.received_at)
    return Page(
        will=[
            "The right account is out of the purposes named from now on.",
            f"Runs frozen with it since {since} are recorded as incidents.",
            "The wrong account stays out until a colleague chooses between the two.",
        ]
    )


def _done(case: Case, said: Said, result: Any) -> str:
    _, incidents = result
    return (
        f"The match of {case.ticket} is corrected. {incidents_in_words(len(incidents))}"
        " A colleague lets the wrong account in again."
    )


ACT = Act(
    name="correct_match",
    title="Correct the match",
    kinds=[EntryKind(CORRECTED, "Match corrected", despite_clocks=True)],
    form=MatchForm,
    comes_up=lambda case, actor: (
        case.ticket.member_id is not None and not case.ticket.is_authenticated
    ),
    why_not=why_not,
    do=do,
    page=_page,
    done=_done,
)
