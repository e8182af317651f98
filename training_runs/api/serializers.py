"""The shapes of the API: what may be sent, and what is answered."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import (
    OpenApiExample,
    extend_schema_field,
    extend_schema_serializer,
)
from rest_framework import serializers

from common.api.endpoints import Input, PageQuery, Several, Text, Word
from consent.choices import DataCategory, Purpose, ReviewVerdict, RuleKind
from ledger.errors import InvalidInput
from training_runs import teams
from training_runs.api import waiting
from training_runs.choices import BEFORE_THE_FREEZE, Agreement, FindingKind, IncidentState, RunState
from training_runs.eligibility.exclusions import BY_CODE, Eligibility
from training_runs.incidents import access as incidents
from training_runs.manifests.manifest_file import COHORT
from training_runs.models import MAX_POINT, Assessment, Finding, Incident, Manifest, Run, Team
from training_runs.runs import assessments, explaining
from training_runs.runs.unmatched import Unmatched

_REFERENCE = re.compile(r"TR-[0-9]{4}-[0-9]{6,}")

# --- Sent ---------------------------------------------------------------------------------------


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "A run on posts",
            request_only=True,
            value={
                "tracker_run_id": "0192e4c5-3c4e-7a1b-9d2f-1c6f1a2b3c4d",
                "purpose": "generative-ai",
                "data_categories": ["posts"],
                "title": "Writing assistant, second round",
            },
        )
    ]
)
class RunInput(Input):
    tracker_run_id = Text(max_length=100, help_text="The experiment tracker's id of the run.")
    purpose = Word(choices=Purpose.choices)
    data_categories = Several(child=Word(choices=DataCategory.choices), max_length=50)
    title = Text(required=False, allow_blank=True, max_length=200)
    parent = Text(  # type: ignore[assignment]  # DRF's metaclass takes fields off the class
        required=False, allow_null=True, max_length=20,
        help_text="The run whose manifest is used again: resuming, fine-tuning, handing over.",
    )  # fmt: skip

    team = Text(
        required=False,
        max_length=60,
        help_text="The team or service it belongs to; without it the only one you are in.",
    )

    def validate_team(self, name: str) -> Team:
        try:
            return teams.named(self.context["user"], name)
        except InvalidInput as refusal:
            raise serializers.ValidationError(str(refusal), code=refusal.code) from None

    def validate_parent(self, reference: str | None) -> Run | None:
        if reference is None:
            return None
        run = Run.objects.filter(reference=reference).first()
        if run is None:
            raise serializers.ValidationError("There is no such run.", code="unknown_run")
        return run


class OfRunsQuery(PageQuery):
    """The filters of runs, and of what belongs to runs. A name that the portal does not know is an error, not an empty page."""

    team = Text(required=False, max_length=60)
    responsible = Text(
        required=False,
        max_length=150,
        help_text="Of the teams that this person answers for, by user name.",
    )
    tracker_run_id = Text(required=False, max_length=100)
    parent = Text(required=False, max_length=20, help_text="Of the children of this run.")  # type: ignore[assignment]  # likewise

    def validate_team(self, name: str) -> str:
        return known(name, Team.objects.filter(name=name), "team")

    def validate_responsible(self, username: str) -> str:
        teams = Team.objects.filter(responsible__username=username)
        return known(username, teams, "person who answers for a team", "responsible")

    def validate_parent(self, reference: str) -> str:
        return known_run(reference)


OF_RUNS_FIELDS = {
    "team": "team__name",
    "responsible": "team__responsible__username",
    "tracker_run_id": "tracker_run_id",
    "parent": "parent__reference",
}
"""Fields of a run by parameter."""


class RunQuery(OfRunsQuery):
    state = Word(choices=RunState.choices, required=False)
    purpose = Word(choices=Purpose.choices, required=False)
    digest = Text(required=False, max_length=64, help_text="SHA-256 of the manifest.")

    def validate_digest(self, digest: str) -> str:
        return a_digest(digest)


RUN_FIELDS = {
    **OF_RUNS_FIELDS,
    "state": "state",
    "purpose": "purpose",
    "digest": "manifest__digest",
}
"""Fields by parameter of the list of runs."""


def asked_of(
    asked: Mapping[str, Any], fields: Mapping[str, str], below: str = ""
) -> dict[str, Any]:
    """The filters that were given, as lookups; `below` leads to the row that has the fields."""
    return {below + fields[name]: asked[name] for name in fields if name in asked}


def known(value: str, rows: QuerySet[Any], what: str, word: str = "") -> str:
    """The value, if there is such a row. Raises ValidationError: an empty page would look like an answer."""
    if not rows.exists():
        raise serializers.ValidationError(
            f"There is no such {what}.", code=f"unknown_{word or what}"
        )
    return value


def known_run(reference: str) -> str:
    """Raises ValidationError."""
    if not _REFERENCE.fullmatch(reference):
        raise serializers.ValidationError(
            "A run's reference, for example TR-2026-000012.", code="not_a_reference"
        )
    return known(reference, Run.objects.filter(reference=reference), "run")


def a_digest(digest: str) -> str:
    """Raises ValidationError for what is no SHA-256. One that nothing has is an answer: an empty page."""
    if len(digest) != 64 or set(digest) - set("0123456789abcdef"):
        raise serializers.ValidationError(
            "A SHA-256 in 64 lower-case hexadecimal digits.", code="not_a_digest"
        )
    return digest


class WaitQuery(Input):
    wait = serializers.IntegerField(
        required=False,
        default=0,
        min_value=0,
        max_value=waiting.MAX_SECONDS,
        help_text="Seconds to wait for a change: of what `If-None-Match` names, else of what is being made.",
    )


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "Not needed",
            request_only=True,
            value={"reason": "The experiment was replaced by a larger one."},
        )
    ]
)
class CancellationInput(Input):
    reason = Text(max_length=1000)


class StartInput(Input):
    accept_unmatched = serializers.BooleanField(
        required=False,
        default=False,
        help_text="Start although objections reach no account for longer than the policy allows. The ledger keeps it.",
    )


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "Posts for recommendations",
            request_only=True,
            value={
                "link": "Both purposes make the same feed more useful to the members whose data it is.",
                "context": "Members wrote the posts for the network, which recommends posts as it always has.",
                "nature": "Posts that their authors made public; special categories may be among them.",
                "consequences": "Other posts are recommended; nothing is decided about a member.",
                "safeguards": "Redacted as for the first purpose; members who object are left out.",
            },
        )
    ]
)
class AssessmentInput(Input):
    """The five points of GDPR Art. 6(4). About the processing, not about people: the ledger keeps the words for good."""

    link = Text(max_length=MAX_POINT, help_text="(a) Any link between the purposes.")
    context = Text(  # type: ignore[assignment]  # DRF's metaclass takes fields off the class
        max_length=MAX_POINT, help_text="(b) The context in which the data was collected."
    )
    nature = Text(max_length=MAX_POINT, help_text="(c) The nature of the data.")
    consequences = Text(max_length=MAX_POINT, help_text="(d) Possible consequences for members.")
    safeguards = Text(max_length=MAX_POINT, help_text="(e) The safeguards.")


class WithdrawnQuery(Input):
    cursor = Text(required=False, max_length=100, help_text="From `next`.")
    page_size = serializers.IntegerField(required=False, default=50, min_value=1, max_value=500)


# --- Answered -----------------------------------------------------------------------------------


class EntryOutput(serializers.Serializer[Any]):
    sequence = serializers.IntegerField()
    kind = serializers.CharField()
    recorded_at = serializers.DateTimeField()
    leaf = serializers.CharField(help_text="SHA-256 of the entry's leaf (RFC 6962).")


class ReasonOutput(serializers.Serializer[Any]):
    code = serializers.CharField()
    sentence = serializers.CharField()
    ground = serializers.CharField()


class ExclusionOutput(ReasonOutput):
    members = serializers.IntegerField(help_text="A member can be out for several reasons.")


def reasons(codes: Iterable[str]) -> list[dict[str, str]]:
    """Codes of exclusions, with the sentence and the legal ground of each."""
    return [
        {"code": code, "sentence": BY_CODE[code].sentence, "ground": BY_CODE[code].ground}
        for code in codes
    ]


class StandingOutput(serializers.Serializer[explaining.Standing]):
    purpose = serializers.ChoiceField(choices=Purpose.choices)
    choice = serializers.ChoiceField(choices=["allow", "deny", "default"])
    rule = serializers.ChoiceField(
        choices=[*RuleKind.values, explaining.NO_RULE],
        help_text=f"In the member's country; `{explaining.NO_RULE}` where no rule names it.",
    )
    is_in = serializers.SerializerMethodField(help_text="Right now.")
    reasons = serializers.SerializerMethodField()
    legal_basis = serializers.CharField(
        allow_null=True, help_text="What the use rests on; null when the member is out."
    )
    sentence = serializers.CharField()

    def get_is_in(self, standing: explaining.Standing) -> bool:
        return not standing.reasons

    @extend_schema_field(ReasonOutput(many=True))
    def get_reasons(self, standing: explaining.Standing) -> list[dict[str, str]]:
        return reasons(standing.reasons)


class StandingsOutput(serializers.Serializer[Any]):
    member_number = serializers.IntegerField()
    standings = StandingOutput(many=True)


class AttemptOutput(serializers.Serializer[Any]):
    """Why a requested run is still waiting."""

    count = serializers.IntegerField()
    error_code = serializers.CharField()
    last_at = serializers.DateTimeField()


class FrozenOutput(serializers.Serializer[Manifest]):
    digest = serializers.CharField()
    included = serializers.IntegerField()
    population = serializers.IntegerField()
    frozen_at = serializers.DateTimeField()
    verification = serializers.SerializerMethodField()

    @extend_schema_field(serializers.ChoiceField(choices=["agrees", "differs", "pending"]))
    def get_verification(self, manifest: Manifest) -> str:
        found = {row.agreement for row in manifest.verifications.all()}
        # One disagreement blocks for good.
        for agreement in (Agreement.DIFFERS, Agreement.AGREES):
            if agreement in found:
                return agreement.value
        return "pending"


class FindingOutput(serializers.Serializer[Finding]):
    kind = serializers.ChoiceField(choices=FindingKind.choices)
    detail = serializers.JSONField(help_text="Digests, counts and references.")
    found_at = serializers.DateTimeField()


class UseOutput(serializers.Serializer[Any]):
    """The use that is made of a run's data."""

    delivery = serializers.CharField(allow_null=True, help_text="The newest delivery.")
    delivery_state = serializers.CharField(allow_null=True)
    leased_until = serializers.DateTimeField(allow_null=True)
    heartbeat_at = serializers.DateTimeField(allow_null=True)
    first_read_at = serializers.DateTimeField(allow_null=True)
    receipts = serializers.IntegerField()
    completed_on = serializers.CharField(
        allow_null=True, help_text="The receipt of a completed run, or `waiver`."
    )


class UnmatchedOutput(serializers.Serializer[Unmatched]):
    """Open objections to the run's purpose that reach no account yet."""

    count = serializers.IntegerField()
    oldest_received_at = serializers.DateTimeField(allow_null=True)
    max_days = serializers.IntegerField(
        help_text="The policy: where the oldest is older, a start needs `accept_unmatched`."
    )
    needs_acceptance = serializers.BooleanField()


class RunOutput(serializers.Serializer[Run]):
    reference = serializers.CharField()
    tracker_run_id = serializers.CharField()
    title = serializers.CharField()
    purpose = serializers.ChoiceField(choices=Purpose.choices)
    data_categories = serializers.ListField(
        child=serializers.ChoiceField(choices=DataCategory.choices)
    )
    parent = serializers.CharField(  # type: ignore[assignment]  # DRF's metaclass takes fields off the class
        source="parent.reference", allow_null=True, default=None
    )
    team = serializers.CharField(source="team.name")
    responsible = serializers.CharField(
        source="team.responsible.username", help_text="The person who answers for the team."
    )
    state = serializers.ChoiceField(choices=RunState.choices)
    registered_at = serializers.DateTimeField()
    requested_at = serializers.DateTimeField(allow_null=True)
    as_of = serializers.DateTimeField(allow_null=True)
    assessment = serializers.SerializerMethodField(
        help_text="Of the run's purpose against those of the runs it builds on; it starts when this is"
        " `approved` or `not_needed`."
    )
    findings = FindingOutput(many=True)
    use = serializers.SerializerMethodField()
    waiting = serializers.SerializerMethodField()
    manifest = serializers.SerializerMethodField()
    incidents = serializers.SerializerMethodField(
        help_text="How many incidents are recorded for the run: entries that say of members of the manifest that they"
        " were out when it was frozen. null for people who may not know it."
    )

    unmatched_objections = serializers.SerializerMethodField(
        help_text="Whose data the freeze cannot leave out; null once the run is frozen or cancelled."
    )

    @extend_schema_field(UnmatchedOutput(allow_null=True))
    def get_unmatched_objections(self, run: Run) -> Any:
        found = self.context["unmatched"].get(run.purpose)
        is_before = run.state in BEFORE_THE_FREEZE
        return UnmatchedOutput(found).data if found is not None and is_before else None

    @extend_schema_field(
        serializers.ChoiceField(choices=[one.value for one in assessments.Standing])
    )
    def get_assessment(self, run: Run) -> str:
        standing: assessments.Standing = self.context["assessments"][run.pk]
        return standing.value

    @extend_schema_field(serializers.IntegerField(allow_null=True))
    def get_incidents(self, run: Run) -> int | None:
        if hasattr(run, "incident_count"):
            return run.incident_count
        if not incidents.may_read(self.context["user"], run):
            return None
        return incidents.of(run).count()

    @extend_schema_field(UseOutput)
    def get_use(self, run: Run) -> Any:
        nothing = dict.fromkeys(UseOutput().fields) | {"receipts": 0}
        return UseOutput(nothing | self.context["uses"].get(run.pk, {})).data

    # A run without one has no such attribute; a reader should see null.
    @extend_schema_field(AttemptOutput(allow_null=True))
    def get_waiting(self, run: Run) -> Any:
        attempt = getattr(run, "attempt", None)
        return AttemptOutput(attempt).data if attempt else None

    @extend_schema_field(FrozenOutput(allow_null=True))
    def get_manifest(self, run: Run) -> Any:
        manifest = getattr(run, "manifest", None)
        return FrozenOutput(manifest).data if manifest else None


class IncidentOutput(serializers.Serializer[Incident]):
    """An incident, as far as the run's team may know it: not whose facts came late."""

    reference = serializers.CharField()
    run = serializers.CharField(source="run.reference")
    state = serializers.ChoiceField(choices=IncidentState.choices)
    reasons = serializers.DictField(
        child=serializers.IntegerField(), help_text="By reason, how many members it kept out."
    )
    members = serializers.IntegerField()
    delivered = serializers.IntegerField(help_text="Of them in a delivery, when it was found.")
    used = serializers.IntegerField(
        help_text="Of them in a delivery with a receipt, when it was found."
    )
    cause = serializers.IntegerField(help_text="The entry that recorded the facts.")
    found_at = serializers.DateTimeField()
    assess_by = serializers.DateTimeField(
        allow_null=True, help_text="null where no data of theirs was delivered."
    )
    acknowledged_by = serializers.CharField(source="acknowledged_by.username", default=None)
    acknowledged_at = serializers.DateTimeField(allow_null=True)


class AssessmentReviewOutput(serializers.Serializer[Any]):
    verdict = serializers.ChoiceField(choices=ReviewVerdict.choices)
    reviewer = serializers.CharField(source="reviewer.username")
    reason = serializers.CharField(source="entry.reason")
    entry = serializers.IntegerField(source="entry_id")


class AssessmentOutput(serializers.Serializer[Assessment]):
    run = serializers.CharField(source="run.reference")
    other_purposes = serializers.ListField(
        child=serializers.ChoiceField(choices=Purpose.choices),
        help_text="Purposes of the runs it builds on that are not its own.",
    )
    link = serializers.CharField()
    context = serializers.CharField()  # type: ignore[assignment]  # DRF's metaclass takes fields off the class
    nature = serializers.CharField()
    consequences = serializers.CharField()
    safeguards = serializers.CharField()
    written_by = serializers.CharField(source="written_by.username")
    written_at = serializers.DateTimeField()
    entry = serializers.IntegerField(source="entry_id")
    review = serializers.SerializerMethodField(help_text="null while it waits.")

    @extend_schema_field(AssessmentReviewOutput(allow_null=True))
    def get_review(self, row: Assessment) -> Any:
        review = getattr(row, "review", None)
        return AssessmentReviewOutput(review).data if review else None


class PreviewOutput(serializers.Serializer[Eligibility]):
    population = serializers.IntegerField()
    included = serializers.SerializerMethodField()
    excluded = serializers.SerializerMethodField()

    def get_included(self, answer: Eligibility) -> int:
        return len(answer.included)

    @extend_schema_field(ExclusionOutput(many=True))
    def get_excluded(self, answer: Eligibility) -> list[dict[str, Any]]:
        return [
            {**reason, "members": len(answer.excluded[reason["code"]])}
            for reason in reasons(answer.excluded)
        ]


class CohortOutput(serializers.Serializer[Any]):
    date = serializers.DateField()
    members = serializers.IntegerField()


class ManifestOutput(FrozenOutput):
    run = serializers.CharField(source="run.reference")
    size = serializers.IntegerField(help_text="Bytes of the archive.")
    cut = serializers.IntegerField(help_text="The ledger size it counts.")
    ledger_root = serializers.CharField()
    seconds = serializers.CharField(help_text="How long the freeze took.")
    verified_at = serializers.SerializerMethodField()
    excluded = serializers.SerializerMethodField()
    use_from = serializers.SerializerMethodField(
        help_text="Included members whose content may be used from a day on only, by that day."
    )
    header = serializers.JSONField(help_text="The archive's header.")

    @extend_schema_field(CohortOutput(many=True))
    def get_use_from(self, manifest: Manifest) -> list[dict[str, Any]]:
        return [
            {"date": part["name"].removeprefix(COHORT), "members": part["members"]}
            for part in manifest.header["parts"]
            if part["name"].startswith(COHORT)
        ]

    @extend_schema_field(serializers.DateTimeField(allow_null=True))
    def get_verified_at(self, manifest: Manifest) -> Any:
        rows = list(manifest.verifications.all())
        return serializers.DateTimeField().to_representation(rows[0].verified_at) if rows else None

    @extend_schema_field(ExclusionOutput(many=True))
    def get_excluded(self, manifest: Manifest) -> list[dict[str, Any]]:
        """As frozen: the words are the header's, whatever the table says today."""
        return [
            {
                "code": part["name"],
                **manifest.header["reasons"][part["name"]],
                "members": part["members"],
            }
            for part in manifest.header["parts"]
            if part["name"] in manifest.header["reasons"]
        ]


class WithdrawnMemberOutput(serializers.Serializer[Any]):
    member_number = serializers.IntegerField()
    account_ref = serializers.CharField(allow_null=True, help_text="Null for an erased account.")


class WithdrawnOutput(serializers.Serializer[Any]):
    included = serializers.IntegerField(help_text="In the manifest.")
    withdrawn = serializers.IntegerField(
        help_text="Of these, out at the cut; the erased among them."
    )
    cut = serializers.IntegerField(help_text="The ledger size that the answer counts.")
    digest = serializers.CharField(
        help_text="SHA-256 of all of them, as Roaring: a training acknowledges it."
    )
    next = serializers.URLField(allow_null=True)
    results = WithdrawnMemberOutput(many=True)


class InOrOutOutput(serializers.Serializer[Any]):
    is_in = serializers.BooleanField()
    reasons = ReasonOutput(many=True)


class ExplanationOutput(serializers.Serializer[explaining.Explanation]):
    run = serializers.CharField(source="run.reference")
    member_number = serializers.IntegerField(source="member.pk")
    frozen = serializers.SerializerMethodField(
        help_text="As frozen; null without a manifest. Who joined later is out: `unknown_at_cut`."
    )
    now = serializers.SerializerMethodField(help_text="As it would be in a run started now.")
    use_from = serializers.DateField(
        allow_null=True, help_text="As frozen: the oldest content of the member that may be used."
    )
    sentences = serializers.ListField(child=serializers.CharField())

    @extend_schema_field(InOrOutOutput(allow_null=True))
    def get_frozen(self, explanation: explaining.Explanation) -> Any:
        return None if explanation.frozen is None else _in_or_out(explanation.frozen)

    @extend_schema_field(InOrOutOutput)
    def get_now(self, explanation: explaining.Explanation) -> Any:
        return _in_or_out(explanation.now)


def _in_or_out(codes: list[str]) -> dict[str, Any]:
    return {"is_in": not codes, "reasons": reasons(codes)}
