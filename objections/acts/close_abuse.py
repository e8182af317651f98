"""Closing what was set aside and is no request of a person, without writing to an address that is likely forged.

A second person approves it. The restriction stays: an exclusion ends only by a letter.
"""

from typing import Any

from django.contrib.auth.models import User

from objections.acts import outcomes, required_words
from objections.acts.act import Act, ActForm, Many, Page, Said, acting
from objections.acts.fields import RequiredWordsField, WordsField
from objections.choices import AS_ABUSE, NoteKind, Outcome
from objections.models import Proposal, Ticket
from objections.ticket.case import Case
from objections.ticket.notes import write_note
from objections.ticket.states import effect_in_words, why_no_move


class CloseAbuseForm(ActForm):
    evidence = RequiredWordsField("abuse")


def why_not(case: Case, actor: User) -> str:
    if not case.ticket.is_set_aside:
        return f"{case.ticket} was not set aside: the requester gets an answer."
    return case.why_undecided or why_no_move(case.ticket, AS_ABUSE)


def do(*, ticket: Ticket, evidence: str, version: int, actor: User) -> Proposal:
    required_words.check("abuse", evidence)
    with acting(
        outcomes.PROPOSED, ticket, actor, why_not, version=version, reason="closed as abuse"
    ) as (case, _):
        write_note(case.ticket, NoteKind.EVIDENCE, evidence, actor)
        proposal = Proposal(
            ticket=case.ticket,
            state=AS_ABUSE,
            outcomes=dict.fromkeys(case.purposes, Outcome.UNIDENTIFIED),
            also=[],
            proposed_by=actor,
        )
        proposal.save()
        case.ticket.save()
    return proposal


def _page(case: Case, actor: User) -> Page:
    return Page(
        will=[
            "A colleague reviews it. No letter is sent. Personal data is erased on the usual schedule.",
            f"{effect_in_words(case.ticket)} An exclusion ends only by a letter.",
        ]
    )


def _done(case: Case, said: Said, result: Any) -> str:
    return f"Proposed: a colleague reviews the closing of {case.ticket} as abuse."


ACT = Act(
    name="close_abuse",
    title="Close as abuse",
    button="Propose the closing",
    kinds=outcomes.PROPOSING,
    form=CloseAbuseForm,
    comes_up=lambda case, actor: bool(case.ticket.is_set_aside) and case.ticket.is_open,
    why_not=why_not,
    do=do,
    page=_page,
    done=_done,
    many=Many(
        action="Close as abuse what was set aside",
        title="Close tickets as abuse",
        lead="They were set aside, and have no genuine requester. A colleague reviews it; no letter is sent, and"
        " the members they are matched to stay out.",
        button="Propose the closing",
        done="Closing proposed",
        will=lambda case: (
            f"Closed without a letter, once a colleague agrees; out of {case.purposes_in_words}."
        ),
        asks={
            "evidence": lambda: WordsField(
                label="Evidence that no genuine person made this request",
                help_text="For the colleague who reviews it; not disclosed outside the team.",
            )
        },
    ),
)
