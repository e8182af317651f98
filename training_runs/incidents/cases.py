"""An incident as a case: acknowledged by the run's team, assessed by two privacy officers, closed."""

import datetime as dt
from collections.abc import Collection

from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied

from common.errors import StaleEdit
from consent.choices import ReviewVerdict
from ledger import entries
from ledger.errors import InvalidInput
from training_runs import teams
from training_runs.choices import IncidentState, Measure
from training_runs.errors import (
    AlreadyAssessed,
    ForbiddenMove,
    NotAssessed,
    OwnAssessment,
)
from training_runs.models import Incident, IncidentAssessment, IncidentReview

OWN = "training_runs.view_own_incident"
ALL = "training_runs.view_incident"
ASSESS = "training_runs.add_incidentassessment"
REVIEW = "training_runs.add_incidentreview"
CLOSE = "training_runs.change_incident"
TIME_TO_ASSESS = dt.timedelta(hours=72)
"""The authority is told within 72 hours of becoming aware of a breach (GDPR Art. 33(1))."""
MAX_REASONS = 2_000


def acknowledge(*, incident: Incident, actor: User) -> Incident:
    """The run's team knows of it. Once more changes nothing. Raises PermissionDenied for a person outside of the team."""
    if not (actor.has_perm(OWN) and teams.has(incident.run, actor)):
        raise PermissionDenied
    with entries.entry(
        "incident.acknowledged",
        actor=actor,
        subject=incident.run.reference,
        reason=incident.reference,
    ) as opened:
        row = _locked(incident)
        if row.acknowledged_at is not None:
            opened.abandon()
            return row
        row.acknowledged_by, row.acknowledged_at = actor, opened.recorded_at
        if row.state == IncidentState.FOUND:
            row.state = IncidentState.ACKNOWLEDGED
        row.save()
    return row


def assess(
    *,
    incident: Incident,
    measures: Collection[str],
    tell_authority: bool,
    tell_members: bool,
    reasons: str,
    actor: User,
) -> IncidentAssessment:
    """Write an assessment; a colleague reviews it.

    Raises AlreadyAssessed where one waits or was approved, InvalidInput.
    """
    unknown = sorted(set(measures) - set(Measure.values))
    if unknown or not measures:
        raise InvalidInput(f"One or more of {', '.join(Measure.values)}.", field="measures")
    if Measure.NOTHING in measures and len(set(measures)) > 1:
        raise InvalidInput("Nothing was needed, or something was done: not both.", field="measures")
    if Measure.NOTHING in measures and incident.delivered:
        raise InvalidInput(
            f"Data of {incident.delivered:,} members was delivered: say what was done.",
            field="measures",
        )
    if not 1 <= len(reasons.strip()) <= MAX_REASONS:
        raise InvalidInput(f"1 to {MAX_REASONS} characters.", field="reasons")
    with entries.entry(
        "incident.assessed", actor=actor, subject=incident.run.reference, reason=incident.reference
    ) as opened:
        row = _locked(incident)
        if row.state in (IncidentState.ASSESSED, IncidentState.CLOSED):
            raise AlreadyAssessed(f"{row.reference} is {row.get_state_display()} already.")
        if row.assessments.filter(review__isnull=True).exists():
            raise AlreadyAssessed(
                f"An assessment of {row.reference} waits for a colleague's review already."
            )
        assessment = IncidentAssessment(
            incident=row,
            measures=sorted(set(measures)),
            tell_authority=tell_authority,
            tell_members=tell_members,
            reasons=reasons.strip(),
            assessed_by=actor,
            assessed_at=opened.recorded_at,
        )
        assessment.save()
    return assessment


def review(
    *, assessment: IncidentAssessment, verdict: str, reason: str, actor: User
) -> IncidentReview:
    """The second officer's word; an approved assessment stands.

    Raises OwnAssessment for the officer who wrote it, AlreadyAssessed once there is a word.
    """
    if not reason.strip():
        raise InvalidInput("Say why.", field="reason")
    if verdict not in ReviewVerdict.values:
        raise InvalidInput(f"One of {', '.join(ReviewVerdict.values)}.", field="verdict")
    with entries.entry(
        "incident.reviewed",
        actor=actor,
        subject=assessment.incident.run.reference,
        reason=reason,
    ):
        row = _locked(assessment.incident)
        if assessment.assessed_by_id == actor.pk:
            raise OwnAssessment("You wrote the assessment, so a colleague reviews it.")
        if IncidentReview.objects.filter(assessment=assessment).exists():
            raise AlreadyAssessed(f"The {assessment} has its review already.")
        said = IncidentReview(assessment=assessment, verdict=verdict, reviewer=actor)
        said.save()
        if verdict == ReviewVerdict.APPROVED:
            row.state = IncidentState.ASSESSED
            row.save()
    return said


def close(*, incident: Incident, reason: str, version: int, actor: User) -> Incident:
    """End a case: it was assessed, and what the assessment asks for is done. Cannot be undone.

    Raises NotAssessed, StaleEdit for a case that has moved, ForbiddenMove once it is closed.
    """
    if not reason.strip():
        raise InvalidInput("Say what was done, and when whom was told.", field="reason")
    with entries.entry(
        "incident.closed", actor=actor, subject=incident.run.reference, reason=reason
    ):
        row = _locked(incident)
        if row.state == IncidentState.CLOSED:
            raise ForbiddenMove(f"{row.reference} is closed.")
        if row.version != version:
            raise StaleEdit(f"{row.reference} was changed meanwhile: look at it again.")
        if row.state != IncidentState.ASSESSED:
            raise NotAssessed(
                f"{row.reference} is not assessed yet: two privacy officers assess it before it is closed."
            )
        row.state = IncidentState.CLOSED
        row.save()
    return row


def _locked(incident: Incident) -> Incident:
    return (
        Incident.objects.select_for_update(of=("self",)).select_related("run").get(pk=incident.pk)
    )
