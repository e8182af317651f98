"""The shapes of the API: what may be sent, and what is answered."""

import datetime as dt
from typing import Any

from drf_spectacular.utils import (
    OpenApiExample,
    extend_schema_field,
    extend_schema_serializer,
)
from rest_framework import serializers

from common.api.endpoints import Day, Flag, Input, Moment, PageQuery, Several, Text, Word
from consent import account_changes, countries, decisions
from consent.choices import (
    Channel,
    Choice,
    DataCategory,
    NoticeChannel,
    Purpose,
    ReviewVerdict,
    RuleKind,
)
from consent.models import MAJORITY, MAX_AGE, AgeRule, Notice, RegionRule
from consent.public.member_links import MemberLink
from consent.references import MAX_LENGTH, key_of
from consent.rulebook import notices
from ledger.errors import InvalidInput

# What staff record on a member's behalf is recorded in the admin, with a reason.
SENT_CHANNELS = [
    choice for choice in Channel.choices if choice[0] not in (Channel.STAFF, Channel.INHERITED)
]


class Reference(Text):
    """A reference in any spelling: only its key is measured."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.validators.append(self._measure)

    def _measure(self, account_ref: str) -> None:
        key = key_of(account_ref)
        if not key and not self.allow_blank:
            self.fail("blank")
        if len(key) > MAX_LENGTH:
            raise serializers.ValidationError(
                f"At most {MAX_LENGTH} characters.", code="max_length"
            )


class AccountInput(Input):
    account_ref = Reference(help_text="The product's key of the account, in any spelling.")


class AnyMoment(Moment):
    """A time that cannot be expressed in UTC is the earliest or latest one that can: an opt-out is not refused for it."""

    def to_internal_value(self, value: Any) -> Any:
        try:
            return super().to_internal_value(value)
        except serializers.ValidationError as error:
            if error.get_codes() != ["overflow"]:
                raise
        bound = dt.datetime.min if value.startswith("0001") else dt.datetime.max
        return bound.replace(tzinfo=dt.UTC)


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "A member switches off",
            request_only=True,
            value={
                "account_ref": "4711",
                "purpose": "generative-ai",
                "choice": "deny",
                "channel": "product",
                "source_id": "7f0b7d1e-5a52-4a0c-8f0b-2f3f7a2f9d11",
                "decided_at": "2026-03-02T09:30:00Z",
            },
        )
    ]
)
class DecisionInput(Input):
    account_ref = Reference(
        help_text="The product's key of the account, at most 100 characters. Blanks at the ends, blanks in a row,"
        " invisible characters and Unicode forms do not count; case does."
    )
    purpose = Word(choices=Purpose.choices)
    choice = Word(choices=Choice.choices)
    channel = Word(choices=SENT_CHANNELS)
    source_id = Text(
        max_length=100,
        help_text="Yours, without the account_ref in it; a replay is recognised by it.",
    )
    decided_at = AnyMoment(
        help_text="By your clock. It counts at the earlier of this and the time we received it; any time is accepted."
    )
    notice_version = Text(
        required=False, allow_blank=True, max_length=40, help_text="Letters, digits and -._ only."
    )
    privacy_signal = Flag(required=False, allow_null=True, help_text="Sec-GPC as you received it.")


class ChangeInput(Input):
    source_id = Text(
        max_length=100,
        help_text="Yours, without an account in it; a replay is recognised by it.",
    )


class MergedInput(ChangeInput):
    account_ref = Reference(help_text="The account that goes.")
    into = Reference(help_text="The account that stays.")
    merged_at = AnyMoment(help_text="By your clock.")


class SplitInput(ChangeInput):
    account_ref = Reference(help_text="The account that was split.")
    new = serializers.ListField(
        child=Reference(), min_length=1, max_length=100, help_text="The accounts split off from it."
    )
    split_at = AnyMoment(help_text="By your clock.")


class ChangedOutput(serializers.Serializer[account_changes.Changed]):
    """A replay gets the first entry and time."""

    source_id = serializers.CharField()
    entry = serializers.IntegerField(help_text="The ledger entry that holds it.")
    recorded_at = serializers.DateTimeField()


class DecisionOutput(serializers.Serializer[decisions.Recorded]):
    """A replay gets the first entry and time; `in_force` is as of the answer."""

    source_id = serializers.CharField()
    entry = serializers.IntegerField(help_text="The ledger entry that holds it.")
    recorded_at = serializers.DateTimeField()
    in_force = serializers.BooleanField(
        help_text="Whether the member's choice is now the one that this decision made. False: a later decision"
        " counts, or it was kept as evidence only."
    )
    account_known = serializers.BooleanField(
        help_text="Whether a file of the product had named the account by then. False: the decision holds once one"
        " does; the reference may be mistyped."
    )


class SettingLinkOutput(serializers.Serializer[MemberLink]):
    """A link that opens the setting page as the member: give it to the member only."""

    url = serializers.URLField(help_text="Absolute; opens the member's setting page.")
    expires_at = serializers.DateTimeField(help_text="It cannot be opened after that.")


class CountriesField(Several):
    """ISO codes and group names (EU, EEA, EU-FOLLOWERS, UK, ALL), expanded to codes."""

    child = Text(max_length=20)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(allow_empty=False, max_length=300, **kwargs)

    def to_internal_value(self, data: Any) -> list[str]:
        codes = super().to_internal_value(data)
        try:
            return countries.expand(codes)
        except ValueError as error:
            raise serializers.ValidationError(str(error)[:300], code="unknown_country") from None


class TextsField(serializers.DictField):
    """Texts by language. What they may be is for `consent.rulebook.notices` to say."""

    child = Text(max_length=notices.MAX_TEXT)

    def to_internal_value(self, data: Any) -> dict[str, str]:
        if isinstance(data, dict) and len(data) > notices.MAX_LANGUAGES:
            raise serializers.ValidationError(f"At most {notices.MAX_LANGUAGES} languages.")
        texts: dict[str, str] = super().to_internal_value(data)
        try:
            return notices.cleaned_texts(texts)
        except InvalidInput as refusal:
            raise serializers.ValidationError(str(refusal), code=refusal.code) from None


class NoticeDeliveryInput(Input):
    channel = Word(choices=NoticeChannel.choices)
    countries = CountriesField(required=False, help_text="ISO codes and groups, or name a cohort.")
    cohort = Text(required=False, allow_blank=True, max_length=100, help_text="Names no person.")
    delivered_from = Day()
    delivered_until = Day(help_text="The last day, not in the future.")
    recipients = serializers.IntegerField(min_value=0, max_value=2**53 - 1)
    source = Text(  # type: ignore[assignment]  # DRF's metaclass takes fields off the class
        max_length=300, help_text="The evidence: a send log, a report."
    )
    reason = Text(required=False, allow_blank=True, max_length=1000)


class NoticeDeliveryOutput(serializers.Serializer[Any]):
    notice = serializers.CharField(source="notice.version")
    channel = serializers.ChoiceField(choices=NoticeChannel.choices)
    countries = serializers.ListField(child=serializers.CharField())
    cohort = serializers.CharField()
    delivered_from = serializers.DateField()
    delivered_until = serializers.DateField()
    recipients = serializers.IntegerField()
    source = serializers.CharField()  # type: ignore[assignment]  # DRF's metaclass takes fields off the class
    entry = serializers.IntegerField(source="entry_id")


class NoticeWithdrawalInput(Input):
    withdrawn_from = Day(help_text="The first day on which the notice covers nothing.")
    source = Text(  # type: ignore[assignment]  # DRF's metaclass takes fields off the class
        max_length=300, help_text="The decision or finding behind it."
    )
    reason = Text(required=False, allow_blank=True, max_length=1000)


class NoticeWithdrawalOutput(serializers.Serializer[Any]):
    notice = serializers.CharField(source="notice.version")
    withdrawn_from = serializers.DateField()
    source = serializers.CharField()  # type: ignore[assignment]  # DRF's metaclass takes fields off the class
    entry = serializers.IntegerField(source="entry_id")


class RegionRuleInput(Input):
    purpose = Word(choices=Purpose.choices)
    countries = CountriesField(help_text="ISO codes, and EU, EEA, EU-FOLLOWERS, UK, ALL.")
    rule = Word(choices=RuleKind.choices)
    effective_from = Day()
    data_from = Day(
        required=False, allow_null=True, help_text="The oldest content that may be used."
    )
    source = Text(  # type: ignore[assignment]  # DRF's metaclass takes fields off the class
        max_length=300, help_text="The law, statement or decision behind it."
    )
    reason = Text(required=False, allow_blank=True, max_length=1000)


class AgeRuleInput(Input):
    countries = CountriesField(help_text="ISO codes, and EU, EEA, EU-FOLLOWERS, UK, ALL.")
    age = serializers.IntegerField(min_value=MAJORITY, max_value=MAX_AGE)
    effective_from = Day()
    source = Text(  # type: ignore[assignment]  # DRF's metaclass takes fields off the class
        max_length=300, help_text="The law, statement or decision behind it."
    )
    reason = Text(required=False, allow_blank=True, max_length=1000)


class NoticeInput(Input):
    version = Text(max_length=40)
    purposes = Several(child=Word(choices=Purpose.choices), max_length=20)
    data_categories = Several(child=Word(choices=DataCategory.choices), max_length=20)
    countries = CountriesField(help_text="ISO codes, and EU, EEA, EU-FOLLOWERS, UK, ALL.")
    published_on = Day()
    in_force_from = Day(help_text="The end of its notice period.")
    texts = TextsField(help_text="Language tag (BCP 47) to text.")
    address = serializers.URLField(
        required=False,
        allow_blank=True,
        max_length=300,
        help_text="Where the product publishes it.",
    )
    source = Text(  # type: ignore[assignment]  # DRF's metaclass takes fields off the class
        max_length=300, help_text="Where the text was taken from."
    )
    supersedes = Text(required=False, allow_null=True, max_length=40, help_text="A version.")
    reason = Text(required=False, allow_blank=True, max_length=1000)

    def validate_supersedes(self, version: str | None) -> Notice | None:
        if version is None:
            return None
        notice = Notice.objects.filter(version=version).first()
        if notice is None:
            raise serializers.ValidationError("There is no such notice.", code="unknown_notice")
        return notice

    def validate_purposes(self, words: list[str]) -> list[str]:
        return sorted(set(words))

    def validate_data_categories(self, words: list[str]) -> list[str]:
        return sorted(set(words))


class ReviewInput(Input):
    verdict = Word(choices=ReviewVerdict.choices)
    reason = Text(max_length=1000)

    def validate_verdict(self, word: str) -> ReviewVerdict:
        return ReviewVerdict(word)


class ReviewOutput(serializers.Serializer[Any]):
    verdict = serializers.ChoiceField(choices=ReviewVerdict.choices)
    reviewer = serializers.CharField(source="reviewer.username")
    entry = serializers.IntegerField(source="entry_id")


class _ProposalOutput(serializers.Serializer[Any]):
    source = serializers.CharField()  # type: ignore[assignment]  # DRF's metaclass takes fields off the class
    needs_approval = serializers.BooleanField()
    proposed_by = serializers.CharField(source="proposed_by.username")
    entry = serializers.IntegerField(source="entry_id")
    review = serializers.SerializerMethodField()

    # DRF would leave the field out where there is no review; a reader should see null.
    @extend_schema_field(ReviewOutput(allow_null=True))
    def get_review(self, row: RegionRule | Notice | AgeRule) -> Any:
        review = getattr(row, "review", None)
        return ReviewOutput(review).data if review else None


class CountryEffectOutput(serializers.Serializer[Any]):
    country = serializers.CharField()
    let_in = serializers.IntegerField()
    kept_out = serializers.IntegerField()
    objected = serializers.IntegerField(
        help_text="Members it would let in, and whose opt-out or objection keeps them out."
    )
    out_otherwise = serializers.IntegerField(
        help_text="Members it would let in, and whose age or account keeps them out."
    )


class EffectOutput(serializers.Serializer[Any]):
    """Members a proposal lets in or keeps out, as the freeze counts them."""

    purpose = serializers.ChoiceField(choices=Purpose.choices)
    on = serializers.DateField(help_text="The day it takes effect, or today.")
    data_categories = serializers.ListField(
        source="categories", child=serializers.ChoiceField(choices=DataCategory.choices)
    )
    sentence = serializers.CharField()
    let_in = serializers.IntegerField()
    kept_out = serializers.IntegerField()
    objected = serializers.IntegerField()
    by_country = CountryEffectOutput(many=True)


class EffectsOutput(serializers.Serializer[Any]):
    found = EffectOutput(many=True)
    refusal = serializers.CharField(help_text="Why the members cannot be counted now, or empty.")


class RegionRuleOutput(_ProposalOutput):
    id = serializers.IntegerField()
    purpose = serializers.ChoiceField(choices=Purpose.choices)
    countries = serializers.ListField(child=serializers.CharField())
    rule = serializers.ChoiceField(choices=RuleKind.choices)
    effective_from = serializers.DateField()
    data_from = serializers.DateField(allow_null=True)


class NoticeOutput(_ProposalOutput):
    version = serializers.CharField()
    purposes = serializers.ListField(child=serializers.ChoiceField(choices=Purpose.choices))
    data_categories = serializers.ListField(
        child=serializers.ChoiceField(choices=DataCategory.choices)
    )
    countries = serializers.ListField(child=serializers.CharField())
    published_on = serializers.DateField()
    in_force_from = serializers.DateField()
    languages = serializers.ListField(child=serializers.CharField())
    texts_sha256 = serializers.CharField(
        help_text="SHA-256 of the texts as canonical JSON (RFC 8785), hexadecimal."
    )
    address = serializers.CharField()
    withdrawn_from = serializers.SerializerMethodField()
    supersedes = serializers.CharField(source="supersedes.version", allow_null=True, default=None)

    @extend_schema_field(serializers.DateField(allow_null=True))
    def get_withdrawn_from(self, row: Notice) -> str | None:
        days = [one.withdrawn_from for one in row.withdrawals.all()]
        return str(min(days)) if days else None


class NoticeTextsOutput(NoticeOutput):
    texts = serializers.DictField(child=serializers.CharField())


class AgeRuleOutput(_ProposalOutput):
    id = serializers.IntegerField()
    countries = serializers.ListField(child=serializers.CharField())
    age = serializers.IntegerField()
    effective_from = serializers.DateField()


class ProposedAgeRuleOutput(AgeRuleOutput):
    effects = EffectsOutput()


class ProposedRegionRuleOutput(RegionRuleOutput):
    effects = EffectsOutput()


class ProposedNoticeOutput(NoticeOutput):
    effects = EffectsOutput()


class RuleQuery(PageQuery):
    purpose = Word(choices=Purpose.choices, required=False)


def decision(fields: dict[str, Any], *, signal: bool | None = None) -> decisions.DecisionInput:
    """The checked fields as the service takes them, and the privacy signal of the request's header.

    Raises InvalidInput or RuledByObjection.
    """
    return decisions.DecisionInput(**fields, header_signal=signal)
