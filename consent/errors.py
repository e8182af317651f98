from ledger.errors import Refusal, RuleViolation


class RuledByObjection(RuleViolation):
    """A decision was sent for a purpose that no setting rules."""

    code = "ruled_by_objection"


class SourceIdReused(RuleViolation):
    """The same channel and source id came with another body."""

    code = "source_id_reused"
    status = 422


class AccountErased(RuleViolation):
    code = "account_erased"


class NeedsSecondPerson(RuleViolation):
    """The proposer of a rule or notice may not approve it (GDPR Art. 5(2): four eyes on a loosening)."""

    code = "needs_second_person"


class AlreadyReviewed(RuleViolation):
    code = "already_reviewed"


class VersionReused(RuleViolation):
    """There is a notice of this version with other facts."""

    code = "version_reused"
    status = 422


class AlreadySuperseded(RuleViolation):
    code = "already_superseded"


class MemberPagesOff(Refusal):
    """MEMBER_PAGES is false: this company only uses the API."""

    code = "member_pages_off"
    status = 404


class WrittenForAnother(RuleViolation):
    """The form was shown to another member, who used the same browser."""

    code = "written_for_another"


class ChoiceChanged(RuleViolation):
    """The member chose again since the form was shown; only a *deny* counts from an old form."""

    code = "choice_changed"


class NoticeTooEarly(RuleViolation):
    """The period between a notice's publication and its force is shorter than a dated row requires."""

    code = "notice_too_early"


class AlreadyWithdrawn(RuleViolation):
    """The notice is withdrawn from an earlier day on."""

    code = "already_withdrawn"


class AccountsInACircle(RuleViolation):
    """An account would go into one that went into it before."""

    code = "accounts_in_a_circle"
