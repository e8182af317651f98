"""The statement of a receipt: an in-toto Statement v1 with a predicate of our own (docs/reference/receipt-format.md).

Never a member number, an account or a redacted value: counts, digests, names of files and columns.
"""

import re
from collections import Counter
from typing import Any

from rest_framework import serializers

from common.api.endpoints import Day, Input, Moment, Several, Text, Word
from common.text import strict_json
from consent.choices import DataCategory, Purpose
from deliveries.models import Receipt
from deliveries.receipts import envelopes
from ledger.errors import InvalidInput
from ledger.models import Checkpoint

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://training-portal.example/receipt/v1"
"""A name, not an address: it stays the same in every installation, and its end is the version."""

REASONS = (
    "null_member", "unknown_member", "excluded", "category", "before_use_from", "duplicate", "other",
)  # fmt: skip
"""Why a row was dropped."""
MODALITIES = ("text", "image", "audio", "video", "other")
KINDS = (
    "email", "phone", "iban", "card", "ip", "mac", "url", "handle", "national_id", "birth_date", "secret", "name",
    "address", "other",
)  # fmt: skip
"""Kinds of what a redaction hits."""
BANDS = ("0", "1-9", *(f"{10**n}-{10 ** (n + 1) - 1}" for n in range(1, 10)))
MAX_COUNT = 2**53 - 1


def band(count: int) -> str:
    """The band that a count of members is told in.

    >>> band(0), band(7), band(4711)
    ('0', '1-9', '1000-9999')
    """
    return "0" if count == 0 else BANDS[len(str(count))]


class Plain(Text):
    """A short name without what could be a person's: letters, digits and few signs, no at sign, no blank."""

    _FORM = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/=+:-]*")

    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data)
        if not self._FORM.fullmatch(text):
            raise serializers.ValidationError(
                "Letters, digits and . _ / = + : - only, so that it names no person.",
                code="not_plain",
            )
        return text


class Digest(Text):
    """SHA-256 in 64 small hexadecimal digits."""

    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data)
        if not re.fullmatch(r"[0-9a-f]{64}", text):
            raise serializers.ValidationError(
                "A SHA-256 in 64 lower-case hexadecimal digits.", code="not_a_digest"
            )
        return text


class Count(serializers.IntegerField):
    """A whole number from 0 on; true is none."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"min_value": 0, "max_value": MAX_COUNT, **kwargs})

    def to_internal_value(self, data: Any) -> int:
        if type(data) is not int:
            self.fail("invalid")
        return int(super().to_internal_value(data))


class SignedCheckpoint(Text):
    """The note of a checkpoint that the portal signed, as it was given out: no other text can be said in its place."""

    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data)
        _, size, *_ = [*text.split("\n"), "", ""]
        # Sizes have fewer digits than the column; int() takes more than ASCII.
        is_size = re.fullmatch(r"[1-9][0-9]{0,17}", size)
        if not is_size or not Checkpoint.objects.filter(pk=int(size), note=text).exists():
            raise serializers.ValidationError(
                "The note of a checkpoint of this portal, as it was given out.",
                code="not_a_checkpoint",
            )
        return text


class Counts(serializers.DictField):
    """Counts by words of a closed list."""

    child = Count()

    def __init__(self, words: tuple[str, ...], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.words = words

    def to_internal_value(self, data: Any) -> dict[str, int]:
        if isinstance(data, dict) and (unknown := sorted(set(data) - set(self.words))):
            raise serializers.ValidationError(
                f"{len(unknown)} names are not among {', '.join(self.words)}.", code="unknown_word"
            )
        return super().to_internal_value(data)


class HitsByEntry(serializers.DictField):
    """Hits by the number of an entry of the redaction list."""

    child = Count()

    def to_internal_value(self, data: Any) -> dict[str, int]:
        if isinstance(data, dict) and not all(
            re.fullmatch(r"[1-9][0-9]{0,8}", str(name)) for name in data
        ):
            raise serializers.ValidationError(
                "Numbers of entries, without zeros in front.", code="not_a_number"
            )
        return super().to_internal_value(data)


class Schema(serializers.DictField):
    """Types of columns by their names."""

    child = Plain(max_length=100)

    def to_internal_value(self, data: Any) -> dict[str, str]:
        if isinstance(data, dict):
            for name in data:
                Plain(max_length=200).run_validation(name)
        return super().to_internal_value(data)


class OutputFile(Input):
    name = Plain(max_length=500)
    sha256 = Digest(max_length=64)
    bytes = Count()
    rows = Count()
    schema = Schema(required=False)


class InputFile(OutputFile):
    pass


class SubtractionPart(Input):
    count = Count()
    digest = Digest(max_length=64)
    cut = Count()


class DeliveryPart(Input):
    reference = Text(max_length=20)
    archive = Digest(max_length=64, help_text="SHA-256 of the delivery's archive.")
    files = Several(
        child=Digest(max_length=64),
        max_length=5_000,
        help_text="SHA-256 of each file that was used.",
    )
    subtraction = SubtractionPart()
    leased_until = Moment()


class ColumnPart(Input):
    name = Plain(max_length=200)
    type = Word(choices=[("string", "string"), ("number", "number")])


class RowsPart(Input):
    kept = Count()
    dropped = Counts(REASONS)

    def get_fields(self) -> dict[str, Any]:
        # `in` is a word of Python.
        return {"in": Count(), **super().get_fields()}


class ResidualPart(Input):
    sampled = Count()
    found = Count()


class RedactionPart(Input):
    engine = Plain(max_length=100)
    version = Plain(max_length=50)
    profile = Digest(max_length=64, required=False)
    list_version = Digest(max_length=64, required=False, help_text="Of the redaction list.")
    hits_by_kind = Counts(KINDS)
    hits_by_entry = HitsByEntry(required=False)
    residual = ResidualPart(required=False)


class ContentPart(Input):
    earliest = Day()
    latest = Day()


class ToolPart(Input):
    name = Plain(max_length=100)
    version = Plain(max_length=50)


class Predicate(Input):
    """The fields of a receipt, version 1."""

    run = Text(max_length=20)
    purpose = Word(choices=Purpose.choices)
    data_categories = Several(child=Word(choices=DataCategory.choices), max_length=50)
    manifest = Digest(max_length=64)
    delivery = DeliveryPart()
    checkpoint = SignedCheckpoint(
        required=False,
        max_length=5_000,
        help_text="The note of a checkpoint that the portal signed.",
    )
    inputs = Several(child=InputFile(), max_length=10_000)
    outputs = Several(child=OutputFile(), max_length=10_000)
    member_column = ColumnPart()
    rows = RowsPart()
    distinct_members = Word(choices=[(one, one) for one in BANDS])
    unknown_per_mille = Count(max_value=1000, help_text="Distinct members that no list knows.")
    unknown_accepted = Plain(
        required=False,
        max_length=200,
        help_text="Why more members are unknown than the delivery explains, in words with hyphens.",
    )
    redaction = RedactionPart(required=False, allow_null=True)
    tokens = Counts(MODALITIES)
    bytes = Counts(MODALITIES)
    content = ContentPart(required=False, allow_null=True)
    tool = ToolPart()
    started_at = Moment()
    ended_at = Moment()

    def validate(self, facts: dict[str, Any]) -> dict[str, Any]:
        """The sums that every receipt must have. Each fault is named, all of them at once."""
        faults: dict[str, list[str]] = {}
        rows = facts["rows"]
        if rows["in"] != rows["kept"] + sum(rows["dropped"].values()):
            faults["rows"] = ["Rows in are the kept ones and the dropped ones together."]
        if not facts["inputs"]:
            faults["inputs"] = ["The files that were read: at least one."]
        elif sum(one["rows"] for one in facts["inputs"]) != rows["in"]:
            faults["inputs"] = ["The inputs' rows together are the rows in."]
        if sum(one["rows"] for one in facts["outputs"]) != rows["kept"]:
            faults["outputs"] = ["The outputs' rows together are the rows kept."]
        digests = Counter(one["sha256"] for one in facts["outputs"])
        if digests and digests.most_common(1)[0][1] > 1:
            faults["outputs"] = ["A file is there twice."]
        if facts["ended_at"] < facts["started_at"]:
            faults["ended_at"] = ["It ended before it started."]
        redaction = facts.get("redaction") or {}
        by_entry = redaction.get("hits_by_entry") or {}
        # A value may be of two entries, so their hits together can be more than what was replaced.
        if by_entry and max(by_entry.values()) > sum(redaction["hits_by_kind"].values()):
            faults["redaction"] = ["No entry has more hits than all kinds together."]
        content = facts.get("content")
        if content and content["latest"] < content["earliest"]:
            faults["content"] = ["The latest content is before the earliest."]
        if faults:
            raise serializers.ValidationError(faults, code="sums_differ")
        return facts


def read(statement: Any) -> dict[str, Any]:
    """The checked predicate of a statement. Raises InvalidInput, ValidationError."""
    if (
        not isinstance(statement, dict)
        or statement.keys() != {"_type", "subject", "predicateType", "predicate"}
        or statement["_type"] != STATEMENT
    ):
        raise InvalidInput(
            f"An in-toto statement: _type {STATEMENT}, subject, predicateType, predicate.",
            field="payload",
        )
    if statement["predicateType"] != PREDICATE:
        raise InvalidInput(f"The predicate's type is {PREDICATE}.", field="predicateType")
    body = Predicate(data=statement["predicate"])
    body.is_valid(raise_exception=True)
    facts = dict(body.validated_data)
    named = [{"name": one["name"], "digest": {"sha256": one["sha256"]}} for one in facts["outputs"]]
    if statement["subject"] != named:
        raise InvalidInput(
            "The subjects are the outputs, in their order, each with its name and its SHA-256.",
            field="subject",
        )
    return facts


def predicate_of(receipt: Receipt) -> dict[str, Any]:
    """The predicate of a kept receipt, as it was sent: JSON values, times as text."""
    envelope = envelopes.read(strict_json.read(receipt.envelope))
    predicate: dict[str, Any] = envelopes.statement_in(envelope)["predicate"]
    return predicate
