"""The second person's word on an erasure: approved, the words are gone for good; sent back, they stay."""

from typing import Any

from django.contrib.auth.models import User

from ledger.registry import EntryKind
from objections.acts import erase
from objections.acts.act import Act, Page, Said, acting
from objections.acts.previews import dossier_of
from objections.acts.review import ReviewForm
from objections.choices import ChangeVerdict
from objections.errors import AlreadySettled, WhyNot, refuse
from objections.models import Ticket
from objections.ticket import retention, two_person
from objections.ticket.case import Case

ERASED, RETURNED = "objection.data_erased", "objection.erasure_returned"


def why_not(case: Case, actor: User) -> str:
    if case.erasure is None:
        return WhyNot("No erasure of it waits for a second person.", AlreadySettled)
    return ""


def do(*, ticket: Ticket, verdict: ChangeVerdict, version: int, actor: User, reason: str) -> Ticket:
    two_person.check_reason(reason)
    kind = ERASED if verdict == ChangeVerdict.APPROVED else RETURNED
    with acting(kind, ticket, actor, why_not, version=version, reason=reason) as (case, opened):
        assert case.erasure is not None
        two_person.record_word(case.erasure, verdict=verdict, actor=actor)
        if verdict == ChangeVerdict.APPROVED:
            refuse(retention.why_not_erased(case.ticket))
            retention.erase(case.ticket, opened.recorded_at)
    return case.ticket


def _page(case: Case, actor: User) -> Page:
    is_own = _is_own(case, actor)
    return Page(
        will=[
            "You proposed it yourself: a colleague reviews it. You can take it back."
            if is_own
            else "",
            "Approved, it is done at once and cannot be undone:",
            *erase.WHAT_GOES,
            "Sent back, everything stays, and who proposed it finds your reason.",
        ],
        form_takes={"is_own": is_own},
        dangerous=not is_own,
        context={"change": case.erasure, "shows_dossier": True, **dossier_of(case)},
    )


def _is_own(case: Case, actor: User) -> bool:
    return case.erasure is not None and case.erasure.proposed_by_id == actor.pk


def _done(case: Case, said: Said, result: Any) -> str:
    if said["verdict"] == ChangeVerdict.APPROVED:
        return f"Approved: the personal data kept with {case.ticket} is erased."
    if _is_own(case, said["actor"]):
        return f"Taken back: the personal data kept with {case.ticket} stays."
    return f"Sent back: the personal data kept with {case.ticket} stays."


ACT = Act(
    name="review_erasure",
    title="Review the erasure",
    button="Record your word",
    kinds=[
        EntryKind(ERASED, "Personal data erased", despite_clocks=True),
        EntryKind(
            RETURNED,
            "Erasure of the personal data sent back by a second person",
            despite_clocks=True,
        ),
    ],
    form=ReviewForm,
    comes_up=lambda case, actor: case.erasure is not None,
    why_not=why_not,
    do=do,
    page=_page,
    done=_done,
)
