from ledger.errors import Refusal, RuleViolation


class ForbiddenMove(RuleViolation):
    """The run's state does not allow this."""

    code = "forbidden_move"


class DigestMismatch(RuleViolation):
    """The run was not trained on its manifest; a finding is recorded."""

    code = "digest_mismatch"


class StartRefused(RuleViolation):
    """The run may not start; `reasons` lists every gap."""

    code = "start_refused"


class UnmatchedObjections(RuleViolation):
    """Objections have reached no account for longer than the policy allows; who starts the run has to accept it."""

    code = "unmatched_objections"


class AssessmentMissing(RuleViolation):
    """The run has another purpose than a run it builds on, and no approved assessment says why that is compatible."""

    code = "assessment_missing"


class AssessmentWaiting(RuleViolation):
    """An assessment of the run waits for a privacy officer."""

    code = "assessment_waiting"


class AssessmentNotNeeded(RuleViolation):
    """Every run that this one builds on has its purpose."""

    code = "assessment_not_needed"


class AssessmentDecided(RuleViolation):
    code = "assessment_decided"


class AlreadyAssessed(RuleViolation):
    """The incident is assessed, or an assessment of it waits for a review."""

    code = "already_assessed"


class NotAssessed(RuleViolation):
    """Two privacy officers have not assessed the incident yet."""

    code = "not_assessed"


class OwnAssessment(RuleViolation):
    """The person wrote it, or is in the run's team."""

    code = "own_assessment"


class TooManyWaiting(RuleViolation):
    """So many runs of one owner wait for their manifests that no other is started."""

    code = "too_many_waiting_runs"


class TrackerIdReused(RuleViolation):
    code = "tracker_id_reused"
    status = 422


class ParentNotUsable(RuleViolation):
    code = "parent_not_usable"


class ManifestNotReady(RuleViolation):
    code = "manifest_not_ready"


class ManifestBlocked(RuleViolation):
    """The manifest did not verify: it may not be used."""

    code = "manifest_blocked"


class FreezeRefused(Refusal):
    """A guard against failing open stopped the freeze."""

    code = "freeze_refused"


class RunCancelled(RuleViolation):
    """A cancelled run's manifest is not used any more."""

    code = "run_cancelled"


class CannotDerive(Refusal):
    """This release does not know a reason that an old manifest names."""

    code = "cannot_derive"


class ManifestDamaged(Refusal):
    """The stored archive is not what was frozen."""

    code = "manifest_damaged"
