"""Changes that take two people: what removes evidence, and what changes what our letters say.

One person proposes, a second one approves or sends it back. What an approval brings about, the service of the
change does in the same entry. (Outcomes of tickets have proposals of their own, see `closing`.)
"""

from typing import Any

from django.contrib.auth.models import User

from objections.choices import ChangeKind, ChangeVerdict
from objections.errors import AlreadyProposed, AlreadySettled, NeedsSecondPerson
from objections.models import ChangeReview, ProposedChange
from objections.ticket.notes import must_say


def waiting(kind: ChangeKind, subject: str) -> ProposedChange | None:
    """The change of a subject that waits for a second person."""
    found: ProposedChange | None = (
        ProposedChange.objects.waiting()
        .filter(kind=kind, subject=subject)
        .select_related("proposed_by", "entry")
        .first()
    )
    return found


def last_returned(kind: ChangeKind, subject: str) -> ProposedChange | None:
    """The change that came back, unless it was proposed again since."""
    latest: ProposedChange | None = (
        ProposedChange.objects.filter(kind=kind, subject=subject)
        .select_related("proposed_by", "entry", "review__entry", "review__reviewer")
        .order_by("-pk")
        .first()
    )
    review = getattr(latest, "review", None)
    return latest if review and review.verdict == ChangeVerdict.RETURNED else None


def propose(
    kind: ChangeKind, subject: str, *, actor: User, facts: dict[str, Any] | None = None
) -> ProposedChange:
    """Keep a change for a second person. Needs an open entry. Raises AlreadyProposed while another one waits."""
    if waiting(kind, subject):
        raise AlreadyProposed(
            "A change of it waits for a second person already: it is approved or sent back first."
        )
    change = ProposedChange(kind=kind, subject=subject, facts=facts, proposed_by=actor)
    change.save()
    return change


def check_reason(reason: str) -> None:
    must_say("reason", reason, "Say what you checked.")


def record_word(change: ProposedChange, *, verdict: ChangeVerdict, actor: User) -> None:
    """Record the second person's word. Needs an open entry. Who proposed it may only take it back."""
    if verdict == ChangeVerdict.APPROVED and change.proposed_by_id == actor.pk:
        raise NeedsSecondPerson("The proposer may not approve it: ask a colleague.")
    if waiting(ChangeKind(change.kind), change.subject) != change:
        raise AlreadySettled("This was decided already, by a colleague or by the passing of time.")
    ChangeReview(change=change, verdict=verdict, reviewer=actor).save()
