"""Compatibility assessments: data of one purpose used again for another (GDPR Art. 5(1)(b), 6(4)).

A run that builds on a run of another purpose does not start until its team has said why the two are compatible and a
privacy officer outside of the team has approved that.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum

from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied

from consent.choices import Purpose, ReviewVerdict
from ledger import entries
from ledger.errors import InvalidInput
from training_runs import teams
from training_runs.choices import RunState
from training_runs.errors import (
    AssessmentDecided,
    AssessmentMissing,
    AssessmentNotNeeded,
    AssessmentWaiting,
    ForbiddenMove,
    OwnAssessment,
)
from training_runs.models import MAX_POINT, Assessment, AssessmentReview, Run

WRITE, REVIEW = "training_runs.add_assessment", "training_runs.add_assessmentreview"
POINTS = ("link", "context", "nature", "consequences", "safeguards")
"""The points of Art. 6(4), (a) to (e)."""


class Standing(StrEnum):
    """The state of a run's assessment."""

    NOT_NEEDED = "not_needed"
    MISSING = "missing"
    WAITING = "waiting"
    APPROVED = "approved"
    REJECTED = "rejected"


def other_purposes(runs: Iterable[Run]) -> dict[int, list[str]]:
    """By run the purposes, other than its own, of all runs it builds on; one query for each generation."""
    runs = list(runs)
    known: dict[int, tuple[str, int | None]] = {}
    asked = {run.parent_id for run in runs if run.parent_id}
    while asked:
        rows = Run.objects.filter(pk__in=asked).order_by().values_list("pk", "purpose", "parent_id")
        known.update({pk: (purpose, parent) for pk, purpose, parent in rows})
        asked = {parent for _, parent in known.values() if parent and parent not in known}
    found = {}
    for run in runs:
        purposes, parent = set(), run.parent_id
        while parent:
            purpose, parent = known[parent]
            purposes.add(purpose)
        found[run.pk] = sorted(purposes - {run.purpose})
    return found


def standings(runs: Iterable[Run]) -> dict[int, Standing]:
    """The state of the assessment of each run: that of the last one written."""
    needed = other_purposes(runs)
    rows = Assessment.objects.filter(run__in=[pk for pk, others in needed.items() if others])
    said: dict[int, list[str | None]] = {}
    for pk, verdict in rows.order_by("pk").values_list("run", "review__verdict"):
        said.setdefault(pk, []).append(verdict)
    return {pk: _standing(others, said.get(pk, [])) for pk, others in needed.items()}


def _standing(others: list[str], verdicts: list[str | None]) -> Standing:
    if not others:
        return Standing.NOT_NEEDED
    if not verdicts:
        return Standing.MISSING
    return Standing.WAITING if verdicts[-1] is None else Standing(verdicts[-1])


def check(run: Run) -> None:
    """Raises AssessmentMissing or AssessmentWaiting where the run may not start for its purpose."""
    standing = standings([run])[run.pk]
    if standing in (Standing.NOT_NEEDED, Standing.APPROVED):
        return
    others = other_purposes([run])[run.pk]
    because = f"{run.reference} builds on data used for {_named(others)}, and its own purpose is {_named([run.purpose])}."
    if standing == Standing.WAITING:
        raise AssessmentWaiting(
            f"{because} Its compatibility assessment waits for a privacy officer's approval.",
            reasons=[{"code": AssessmentWaiting.code, "other_purposes": others}],
        )
    was = "The last one was rejected. " if standing == Standing.REJECTED else ""
    raise AssessmentMissing(
        f"{because} {was}Write the compatibility assessment (GDPR Art. 6(4)), on the run's page or by"
        f" POST /api/v1/runs/{run.reference}/assessments; a privacy officer then approves it.",
        reasons=[{"code": AssessmentMissing.code, "other_purposes": others}],
    )


def _named(purposes: Iterable[str]) -> str:
    return " and ".join(Purpose(purpose).label for purpose in purposes)


def write(*, run: Run, actor: User, **points: str) -> tuple[Assessment, bool]:
    """Write the assessment of a run; the same words again, unless they were rejected, are the same one, and False.

    Raises PermissionDenied for a person outside of the run's team, InvalidInput, ForbiddenMove for a run that has been
    started or cancelled, AssessmentNotNeeded, AssessmentWaiting, AssessmentDecided once one is approved.
    """
    if not (actor.has_perm(WRITE) and teams.has(run, actor)):
        raise PermissionDenied
    words = _checked(points)
    with entries.entry("assessment.written", actor=actor, subject=run.reference) as opened:
        run = Run.objects.select_for_update().get(pk=run.pk)
        for known in run.assessments.exclude(review__verdict=ReviewVerdict.REJECTED):
            if all(getattr(known, name) == text for name, text in words.items()):
                opened.abandon()
                return known, False
        if run.state != RunState.REGISTERED:
            raise ForbiddenMove(
                f"{run.reference} is {run.get_state_display()}: it is assessed before it starts."
            )
        others = other_purposes([run])[run.pk]
        if not others:
            raise AssessmentNotNeeded(f"{run.reference} has the purpose of every run it builds on.")
        standing = standings([run])[run.pk]
        if standing == Standing.APPROVED:
            raise AssessmentDecided(f"The assessment of {run.reference} is approved already.")
        if standing == Standing.WAITING:
            raise AssessmentWaiting(
                f"An assessment of {run.reference} waits already, with other words; a privacy officer decides on it"
                " first."
            )
        row = Assessment(
            run=run,
            other_purposes=others,
            written_by=actor,
            written_at=opened.recorded_at,
            **words,
        )
        row.save()
    return row, True


def _checked(points: Mapping[str, str]) -> dict[str, str]:
    words = {name: points.get(name, "").strip() for name in POINTS}
    for name, text in words.items():
        if not 1 <= len(text) <= MAX_POINT:
            raise InvalidInput(f"1 to {MAX_POINT:,} characters.", field=name)
    return words


def review(
    *, assessment: Assessment, verdict: ReviewVerdict, reason: str, actor: User
) -> AssessmentReview:
    """A privacy officer's word on an assessment; it is final.

    Raises PermissionDenied, OwnAssessment for its author and the run's team, AssessmentDecided, InvalidInput.
    """
    if not actor.has_perm(REVIEW):
        raise PermissionDenied
    if not reason.strip():
        raise InvalidInput("Say why.", field="reason")
    with entries.entry(
        f"assessment.{verdict.value}",
        actor=actor,
        reason=reason,
        subject=assessment.run.reference,
    ):
        if refusal := why_not(assessment, actor):
            raise refusal
        row = AssessmentReview(assessment=assessment, verdict=verdict, reviewer=actor)
        row.save()
    return row


def why_not(assessment: Assessment, person: User) -> AssessmentDecided | OwnAssessment | None:
    """The refusal that a person would get who gives their word on it; None where they can."""
    known = (
        AssessmentReview.objects.filter(assessment=assessment).select_related("reviewer").first()
    )
    if known is not None:
        return AssessmentDecided(
            f"It was {known.verdict} by {known.reviewer.get_username()}; that is final."
        )
    if assessment.written_by_id == person.pk or teams.has(assessment.run, person):
        return OwnAssessment("A privacy officer outside of the run's team decides.")
    return None
