"""The shapes of the API: what may be sent, and what is answered."""

from typing import Any

from django.core.validators import RegexValidator
from drf_spectacular.utils import OpenApiExample, extend_schema_serializer
from rest_framework import serializers

from common.api.endpoints import Flag, Input, Moment, Several, Text, Word
from consent.api.serializers import Reference
from consent.choices import Purpose
from consent.decisions import repeats
from consent.references import key_of
from objections.choices import DUPLICATE, ENDINGS, Effect, Kind, TicketState
from objections.public.progress import Progress, PurposeProgress

# --- Sent ---------------------------------------------------------------------------------------


class Typed(Text):
    """Text that a person typed: cleaned by the desk, which refuses no objection over an invisible character."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=False, allow_blank=True, **kwargs)
        # DRF's own refuse NUL.
        self.validators = []


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "A member who is logged in",
            request_only=True,
            value={
                "purposes": ["safety"],
                "is_authenticated": True,
                "account_ref": "4711",
                "email": "member@example.org",
                "country": "IE",
                "statement": "I object because of my particular situation.",
                "source_id": "case-2026-000431",
            },
        )
    ]
)
class ObjectionInput(Input):
    purposes = Several(child=Word(choices=Purpose.choices), allow_empty=False, max_length=20)
    kind = Word(choices=Kind.choices, default=Kind.OBJECTION.value)
    is_authenticated = Flag(
        help_text="You vouch that the member of `account_ref` was logged in while filing it."
    )
    account_ref = Reference(
        required=False,
        allow_blank=True,
        help_text="Your key of the account. If the person was not logged in: the account that was named; "
        "the answer does not disclose whether we know it.",
    )
    name = Typed(help_text="At most 200 characters.")
    email = Typed(help_text="Where our letters go. Without it, `postal_address`.")
    postal_address = Typed(help_text="At most 500 characters.")
    country = Text(
        required=False, allow_blank=True, max_length=20, help_text="ISO 3166-1. It sets the clock."
    )
    region = Text(
        required=False, allow_blank=True, max_length=20, help_text="ISO 3166-2: CA of US has a law."
    )
    statement = Typed(help_text="At most 20,000 characters.")
    received_at = Moment(required=False, help_text="When it reached you, if not just now.")
    source_id = Text(
        max_length=64,
        validators=[
            RegexValidator(r"^[A-Za-z0-9._:-]+\Z", "Letters, digits and ._:- only.", "invalid")
        ],
        help_text="Yours, letters, digits and ._:- only. It is kept for good: name the event, never the person. "
        "A replay is recognised by it.",
    )

    def validate(self, sent: dict[str, Any]) -> dict[str, Any]:
        account_ref = sent.get("account_ref", "")
        if sent["is_authenticated"] and not key_of(account_ref):
            raise serializers.ValidationError(
                {"account_ref": ["Say whose login you vouch for."]}, code="required"
            )
        if repeats(account_ref, sent["source_id"]):
            raise serializers.ValidationError(
                {"source_id": ["It repeats the account_ref, and is kept for good."]}, code="invalid"
            )
        return sent


# --- Answered -----------------------------------------------------------------------------------


class FiledOutput(serializers.Serializer[Any]):
    """The first answer, of a ticket's first version; a replay gets the same."""

    reference = serializers.CharField()
    source_id = serializers.CharField()
    entry = serializers.IntegerField(
        source="entry_id", help_text="The ledger entry that holds it: from here on it restricts."
    )
    recorded_at = serializers.DateTimeField()
    received_at = serializers.DateTimeField()
    due_on = serializers.DateField(help_text="By when the person has an answer, as of now.")


class ObjectionPurposeOutput(serializers.Serializer[PurposeProgress]):
    purpose = serializers.ChoiceField(choices=Purpose.choices)
    effect = serializers.ChoiceField(choices=Effect.choices)
    words = serializers.CharField(help_text="For the person.")


class ObjectionOutput(serializers.Serializer[Progress]):
    """How far it is, as the person may know. A decision shows once our letter about it is sent."""

    reference = serializers.CharField()
    kind = serializers.ChoiceField(choices=Kind.choices)
    is_verified = serializers.BooleanField(
        help_text="Filed by the member, logged in, or identity was answered."
    )
    received_at = serializers.DateTimeField()
    state = serializers.ChoiceField(
        choices=[*TicketState.choices, (DUPLICATE, ENDINGS[DUPLICATE])],
        help_text="Where the request stands. `duplicate`: closed without an examination, which is no refusal.",
    )
    state_in_words = serializers.CharField()
    due_on = serializers.DateField(
        allow_null=True, help_text="Null while the clock waits for the person's answer."
    )
    answered_at = serializers.DateTimeField(allow_null=True)
    purposes = ObjectionPurposeOutput(many=True)
    sentences = serializers.ListField(
        child=serializers.CharField(), help_text="For the person, in this order."
    )
