"""Registering training runs, starting and cancelling them."""

from collections.abc import Collection

from django.conf import settings
from django.contrib.auth.models import User

from common import registry
from consent.choices import DataCategory, Purpose
from consent.rulebook import days
from ledger import clock, entries
from ledger.errors import InvalidInput
from ledger.references import next_reference
from training_runs.choices import RunState
from training_runs.eligibility import canaries
from training_runs.eligibility.exclusions import Eligibility, ask, decide
from training_runs.errors import (
    StartRefused,
    TooManyWaiting,
    TrackerIdReused,
    UnmatchedObjections,
)
from training_runs.models import Run, Team
from training_runs.runs import assessments, unmatched
from training_runs.runs.freezing import parent_included
from training_runs.runs.moves import check_version, move


def register(
    *,
    tracker_run_id: str,
    purpose: str,
    data_categories: Collection[str],
    actor: User,
    team: Team,
    title: str = "",
    parent: Run | None = None,
) -> tuple[Run, bool]:
    """Register a run; the same tracker id again gives the same run and False.

    Raises TrackerIdReused when it comes with other facts or from another team.
    """
    if purpose not in Purpose.values:
        raise InvalidInput(f"One of {', '.join(Purpose.values)}.", field="purpose")
    unknown = sorted(set(data_categories) - set(DataCategory.values))
    if unknown:
        raise InvalidInput(
            f"Not a data category: {', '.join(unknown)}. Known are {', '.join(DataCategory.values)}.",
            field="data_categories",
        )
    facts = {
        "purpose": purpose,
        "data_categories": sorted(set(data_categories)),
        "title": title,
        "parent_id": parent.pk if parent else None,
        "team_id": team.pk,
    }
    canaries.plant()
    with entries.entry("run.registered", actor=actor) as opened:
        known = Run.objects.filter(tracker_run_id=tracker_run_id).first()
        if known is not None:
            opened.abandon()
        else:
            run = Run(
                reference=next_reference("TR", opened.recorded_at.year),
                tracker_run_id=tracker_run_id,
                registered_at=opened.recorded_at,
                **facts,
            )
            run.save()
            opened.subject = run.reference
            return run, True
    # The title may have been edited since.
    if any(getattr(known, name) != value for name, value in facts.items() if name != "title"):
        raise TrackerIdReused(
            f"The tracker's run id is registered as {known.reference} with other facts."
        )
    return known, False


def rename(*, run: Run, title: str, version: int, actor: User) -> Run:
    """Change a run's title. Raises StaleEdit when the run is not at `version` any more."""
    with entries.entry("run.renamed", actor=actor, subject=run.reference):
        run = Run.objects.select_for_update().get(pk=run.pk)
        check_version(run, version)
        run.title = title
        run.save()
    return run


def preview(run: Run) -> Eligibility:
    """How many would be in and out if the run were frozen now; nothing is written."""
    with entries.snapshot():
        question = ask(run.purpose, days.at(clock.now()), run.data_categories)
        return decide(question, parent_included(run))


def start(*, run: Run, actor: User, accept_unmatched: bool = False) -> Run:
    """Request the freeze; starting a run that is started changes nothing.

    Raises StartRefused with every gap, ForbiddenMove from a final state, ParentNotUsable, TooManyWaiting,
    AssessmentMissing or AssessmentWaiting for a purpose that a run it builds on does not have, and UnmatchedObjections
    unless they are accepted: the entry's reason says so.
    """
    if run.state == RunState.REGISTERED:
        assessments.check(run)
        _refuse_gaps(run)
    with entries.entry("run.requested", actor=actor, subject=run.reference) as opened:
        run = Run.objects.select_for_update().get(pk=run.pk)
        if run.state in (RunState.REQUESTED, RunState.FROZEN):
            opened.abandon()
            return run
        assessments.check(run)
        # Counted under the ledger's lock: of two starts the second one sees the first.
        if Run.objects.requested().filter(team=run.team_id).count() >= settings.MAX_WAITING_RUNS:
            raise TooManyWaiting(
                f"{settings.MAX_WAITING_RUNS} runs of {run.team} wait for their manifests already:"
                " start this one when one of them is frozen."
            )
        if run.state == RunState.REGISTERED:
            # Likewise: an objection that was received before the start is counted by it.
            opened.reason = _accepted(
                unmatched.of_purpose(run.purpose), is_accepted=accept_unmatched
            )
        run.requested_at = opened.recorded_at
        run.as_of = opened.recorded_at
        move(run, RunState.REQUESTED)
    return run


def _accepted(found: unmatched.Unmatched, *, is_accepted: bool) -> str:
    """The reason of a start in spite of old objections that reach no account; empty without any."""
    if not found.needs_acceptance:
        return ""
    if not is_accepted:
        raise UnmatchedObjections(
            f"Objections have reached no account for longer than the {found.max_days} days that the policy allows."
            " Ask the privacy officers to find the accounts, or accept that the run may use the data of these people.",
            reasons=[found.as_reason()],
        )
    return f"Accepted by who started it: {found}"


def _refuse_gaps(run: Run) -> None:
    """Refuse a start, naming all obstacles at once."""
    answer = preview(run)
    ruling = answer.question.ruling
    said, reasons = "", list[dict[str, object]]()
    if not run.data_categories:
        said = "The run declares no data categories."
        reasons.append({"code": "no_data_categories"})
    if not ruling.allowed & ruling.covered:
        said = said or f"No notice in force lets {run.purpose} use this data in any country."
        if not ruling.allowed:
            reasons.append({"code": "no_country_allowed", "purpose": run.purpose})
        if not ruling.notice_versions:
            reasons.append({"code": "no_notice_in_force", "purpose": run.purpose})
        reasons += [
            {"code": "no_notice", "country": country, "data_categories": gap}
            for country, gap in sorted(ruling.gaps.items())
        ]
    elif not answer.included:
        said = said or "No member is eligible."
        reasons.append({"code": "no_member_eligible", **answer.counts()})
    if reasons:
        raise StartRefused(said, reasons=reasons)


def cancel(*, run: Run, actor: User, reason: str) -> Run:
    """End a run that will not be trained. Cannot be undone."""
    if not reason.strip():
        raise InvalidInput("Say why.", field="reason")
    with entries.entry(
        "run.cancelled", actor=actor, subject=run.reference, reason=reason
    ) as opened:
        run = Run.objects.select_for_update().get(pk=run.pk)
        if run.state == RunState.CANCELLED:
            opened.abandon()
            return run
        move(run, RunState.CANCELLED)
        for end_use in registry.hooks("training_runs.run_ended"):
            end_use(run, f"{run.reference} is cancelled.")
    return run
