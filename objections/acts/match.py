"""Finding the member behind a ticket that named none: out from now on, and runs since receipt are incidents."""

from typing import Any

from django import forms
from django.contrib.auth.models import User

from consent import members
from consent.choices import Status
from consent.lookup import look_up
from consent.models import Member
from ledger.errors import InvalidInput, NotFound
from ledger.registry import EntryKind
from objections.acts.act import Act, ActForm, Page, Said, acting
from objections.acts.fields import ReasonField
from objections.clock.days import moment_in_words
from objections.intake import receiving
from objections.models import Ticket
from objections.ticket.case import Case
from objections.ticket.incidents import FoundIncident, incidents_in_words, look_for_incidents
from objections.ticket.notes import must_say


class MatchForm(ActForm):
    account_ref = forms.CharField(
        max_length=100,
        strip=False,
        label="Account reference",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
        help_text="The product's key of the account. It is not kept in the address or in any log.",
    )
    reason = ReasonField(label="How you know it is theirs")


def why_not(case: Case, actor: User) -> str:
    if case.ticket.member_id is None:
        return ""
    return f"{case.ticket} belongs to a member already. If it is the wrong one, correct the match."


def do(
    *, ticket: Ticket, account_ref: str, reason: str, version: int, actor: User
) -> tuple[Ticket, list[FoundIncident]]:
    """Raises NotFound; the look is on record, also then."""
    must_say("reason", reason, "Say how you know it is theirs: the ledger keeps it, so no names.")
    if members.is_test_account(account_ref):
        raise InvalidInput("That is one of the portal's own test accounts.", field="account_ref")
    member = look_up(account_ref, reader=actor, kind="member.read", purpose=ticket.reference)
    with acting(
        "objection.member_matched", ticket, actor, why_not, version=version, reason=reason
    ) as (
        case,
        _,
    ):
        row = case.ticket
        still = Member.objects.exclude(status=Status.ERASED).filter(pk=member.pk).first()
        if still is None:
            raise NotFound("The account was erased meanwhile.")
        receiving.give_member(row, still)
    row.refresh_from_db()
    return row, look_for_incidents(row)


def _page(case: Case, actor: User) -> Page:
    since = moment_in_words(case.ticket.received_at)
    return Page(
        will=[
            "The member is out of the purposes named from now on.",
            f"Runs frozen with the member since {since} are recorded as incidents.",
        ]
    )


def _done(case: Case, said: Said, result: Any) -> str:
    _, incidents = result
    return f"{case.ticket} is matched. {incidents_in_words(len(incidents))}"


ACT = Act(
    name="match",
    title="Match to a member",
    kinds=[EntryKind("objection.member_matched", "Matched to a member", despite_clocks=True)],
    form=MatchForm,
    comes_up=lambda case, actor: case.ticket.member_id is None,
    why_not=why_not,
    do=do,
    page=_page,
    done=_done,
)
