"""The shapes of the API of deliveries, trainings and receipts: what may be sent, and what is answered."""

from typing import Any

from drf_spectacular.utils import (
    OpenApiExample,
    extend_schema_field,
    extend_schema_serializer,
)
from rest_framework import serializers

from common.api.endpoints import Flag, Input, PageQuery, Text, Word
from common.text import strict_json
from deliveries.choices import DeliveryForm, DeliveryState, WaiverState
from deliveries.models import Delivery, Receipt, Recipient, RunnerKey, Waiver
from training_runs.api.serializers import OfRunsQuery, a_digest, known, known_run

# --- Sent ---------------------------------------------------------------------------------------


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "A list",
            request_only=True,
            value={"form": "list"},
        )
    ]
)
class DeliveryInput(Input):
    form = Word(
        choices=DeliveryForm.choices,
        required=False,
        default=DeliveryForm.LIST.value,
        help_text="`list`: accounts as Parquet. `set`: member numbers as Roaring, for a lake that has joined them.",
    )
    recipient = Text(
        required=False, max_length=60, help_text="To whom; without it the run's own team."
    )

    def validate_recipient(self, name: str) -> Recipient:
        recipient = Recipient.objects.filter(name=name).first()
        if recipient is None:
            raise serializers.ValidationError(
                "There is no such recipient.", code="unknown_recipient"
            )
        return recipient


class DeliveryQuery(PageQuery):
    state = Word(choices=DeliveryState.choices, required=False)


class AllDeliveriesQuery(OfRunsQuery):
    state = Word(choices=DeliveryState.choices, required=False)
    form = Word(choices=DeliveryForm.choices, required=False)
    run = Text(required=False, max_length=20)
    recipient = Text(required=False, max_length=60)
    digest = Text(required=False, max_length=64, help_text="SHA-256 of the archive.")

    def validate_run(self, reference: str) -> str:
        return known_run(reference)

    def validate_recipient(self, name: str) -> str:
        return known(name, Recipient.objects.filter(name=name), "recipient")

    def validate_digest(self, digest: str) -> str:
        return a_digest(digest)


class AllReceiptsQuery(OfRunsQuery):
    run = Text(required=False, max_length=20)
    delivery = Text(required=False, max_length=20)
    digest = Text(required=False, max_length=64, help_text="SHA-256 of the statement.")
    output = Text(required=False, max_length=64, help_text="SHA-256 of a file that it claims.")

    def validate_run(self, reference: str) -> str:
        return known_run(reference)

    def validate_delivery(self, reference: str) -> str:
        return known(reference, Delivery.objects.filter(reference=reference), "delivery")

    def validate_digest(self, digest: str) -> str:
        return a_digest(digest)

    def validate_output(self, digest: str) -> str:
        return a_digest(digest)


class DataSetQuery(OfRunsQuery):
    lease = Word(choices=[("valid", "valid"), ("ended", "ended")], required=False)
    prefix = Text(required=False, max_length=500, help_text="Names that begin with it.")
    run = Text(required=False, max_length=20)
    delivery = Text(required=False, max_length=20)
    receipt = Text(required=False, max_length=20)
    digest = Text(required=False, max_length=64, help_text="SHA-256 of the file.")

    def validate_run(self, reference: str) -> str:
        return known_run(reference)

    def validate_delivery(self, reference: str) -> str:
        return known(reference, Delivery.objects.filter(reference=reference), "delivery")

    def validate_receipt(self, reference: str) -> str:
        return known(reference, Receipt.objects.filter(reference=reference), "receipt")

    def validate_digest(self, digest: str) -> str:
        return a_digest(digest)


class ReasonInput(Input):
    reason = Text(max_length=1000)


class TrainingInput(Input):
    delivery = Text(
        required=False,
        max_length=20,
        help_text="The delivery it uses; without it the newest valid one.",
    )


class HeartbeatInput(Input):
    is_reading = Flag(required=False, default=False, help_text="Whether it has read data.")


class AcknowledgementInput(Input):
    digest = Text(max_length=64, help_text="`digest` of the answer of who has withdrawn.")


class GateQuery(Input):
    delivery = Text(required=False, max_length=20)
    manifest = Text(required=False, max_length=64)


class CompletionInput(Input):
    receipt = Text(
        required=False,
        max_length=20,
        help_text="Without it the newest of the training, or the waiver.",
    )


class WaiverInput(Input):
    reasons = Text(max_length=1000, help_text="Why there is no receipt. No names, no addresses.")


class KeyInput(Input):
    name = Text(max_length=100, help_text="What signs with it.")
    public_key = Text(max_length=44, help_text="Ed25519, 32 bytes in base64.")
    challenge = Text(max_length=200, help_text="As `POST /me/keys/challenges` gave it.")
    signature = Text(max_length=88, help_text="Over the challenge's bytes, 64 bytes in base64.")


class EnvelopeSignature(serializers.Serializer[Any]):
    keyid = serializers.CharField(help_text="SHA-256 of the public key's 32 bytes, hexadecimal.")
    sig = serializers.CharField(help_text="Base64.")


class EnvelopeInput(serializers.Serializer[Any]):
    """DSSE v1 around an in-toto statement: docs/reference/receipt-format.md."""

    payload = serializers.CharField(help_text="The statement's bytes in base64.")
    payloadType = serializers.CharField(help_text="application/vnd.in-toto+json")  # noqa: N815  DSSE's name
    signatures = EnvelopeSignature(many=True)


# --- Answered -----------------------------------------------------------------------------------


class DeliveryFileOutput(serializers.Serializer[Any]):
    name = serializers.CharField()
    sha256 = serializers.CharField()
    bytes = serializers.IntegerField()
    rows = serializers.IntegerField()
    first = serializers.IntegerField(help_text="The lowest member number in it.")
    last = serializers.IntegerField(help_text="The highest member number in it.")


class DeliveryAttemptOutput(serializers.Serializer[Any]):
    """Why a requested delivery is still waiting."""

    count = serializers.IntegerField()
    error_code = serializers.CharField()
    last_at = serializers.DateTimeField()


class DeliveryOutput(serializers.Serializer[Delivery]):
    reference = serializers.CharField()
    run = serializers.CharField(source="run.reference")
    state = serializers.ChoiceField(choices=DeliveryState.choices)
    form = serializers.ChoiceField(choices=DeliveryForm.choices)
    recipient = serializers.CharField(
        source="recipient.name",
        allow_null=True,
        default=None,
        help_text="null: the run's own team.",
    )
    renews = serializers.CharField(source="renews.reference", allow_null=True, default=None)
    requested_at = serializers.DateTimeField()
    manifest = serializers.CharField(source="manifest.digest", help_text="SHA-256 of the manifest.")
    cut = serializers.IntegerField(allow_null=True, help_text="The ledger size it counts.")
    ledger_root = serializers.CharField()
    as_of = serializers.DateTimeField(allow_null=True)
    digest = serializers.CharField(help_text="SHA-256 of its archive.")
    rows = serializers.IntegerField(help_text="Members delivered.")
    subtracted = serializers.IntegerField(
        help_text="Members of the manifest who are out by the cut."
    )
    subtraction_digest = serializers.CharField(
        help_text="SHA-256 of the set of the subtracted, as Roaring."
    )
    files = DeliveryFileOutput(many=True)
    delivered_at = serializers.DateTimeField(allow_null=True)
    leased_until = serializers.DateTimeField(allow_null=True)
    ended_at = serializers.DateTimeField(allow_null=True)
    end_reason = serializers.CharField()
    entry = serializers.IntegerField(
        source="made_entry",
        allow_null=True,
        default=None,
        help_text="The ledger entry that made it: `/runs/{run}/entries/{entry}/proof`.",
    )
    verification = serializers.SerializerMethodField(
        help_text="`pending`: not yet derived a second time. One that differs is refused."
    )
    waiting = serializers.SerializerMethodField()

    @extend_schema_field(serializers.ChoiceField(choices=["agrees", "differs", "pending"]))
    def get_verification(self, delivery: Delivery) -> str:
        found = getattr(delivery, "verification", None)
        return found.agreement if found else "pending"

    @extend_schema_field(DeliveryAttemptOutput(allow_null=True))
    def get_waiting(self, delivery: Delivery) -> Any:
        attempt = getattr(delivery, "attempt", None)
        return DeliveryAttemptOutput(attempt).data if attempt else None


class TrainingOutput(serializers.Serializer[Any]):
    run = serializers.CharField()
    delivery = serializers.CharField()
    began_at = serializers.DateTimeField()
    leased_until = serializers.DateTimeField()


class HeartbeatOutput(serializers.Serializer[Any]):
    heartbeat_at = serializers.DateTimeField()
    first_read_at = serializers.DateTimeField(allow_null=True)


class AcknowledgementOutput(serializers.Serializer[Any]):
    cut = serializers.IntegerField(help_text="The ledger size it counts.")
    withdrawn = serializers.IntegerField(help_text="Members of the manifest who were out.")
    answered_at = serializers.DateTimeField()
    digest = serializers.CharField()
    acknowledged_at = serializers.DateTimeField()


class GateOutput(serializers.Serializer[Any]):
    run = serializers.CharField()
    state = serializers.CharField()
    delivery = serializers.CharField()
    leased_until = serializers.DateTimeField()


class RedactionLineOutput(serializers.Serializer[Any]):
    number = serializers.IntegerField(help_text="Of the entry: what a receipt counts hits by.")
    kind = serializers.CharField()
    value = serializers.CharField()
    needs_second = serializers.BooleanField()


class RedactionListOutput(serializers.Serializer[Any]):
    list_version = serializers.CharField()
    until = serializers.DateTimeField()
    entries = serializers.IntegerField()
    lines = RedactionLineOutput(many=True)


class RunnerKeyOutput(serializers.Serializer[RunnerKey]):
    fingerprint = serializers.CharField(
        help_text="SHA-256 of its 32 bytes: the `keyid` of envelopes."
    )
    name = serializers.CharField()
    public_key = serializers.CharField()
    registered_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)


class RunnerKeysOutput(serializers.Serializer[Any]):
    results = RunnerKeyOutput(many=True)


class ChallengeOutput(serializers.Serializer[Any]):
    challenge = serializers.CharField(help_text="Sign these bytes within ten minutes.")


class DataSetOutput(serializers.Serializer[Any]):
    name = serializers.CharField()
    sha256 = serializers.CharField()
    bytes = serializers.IntegerField(source="size")
    rows = serializers.IntegerField()


class ReceiptOutput(serializers.Serializer[Receipt]):
    reference = serializers.CharField()
    run = serializers.CharField(source="run.reference")
    delivery = serializers.CharField(source="delivery.reference")
    key = serializers.CharField(source="key.fingerprint")
    digest = serializers.CharField(help_text="SHA-256 of the statement.")
    rows_in = serializers.IntegerField()
    rows_kept = serializers.IntegerField()
    received_at = serializers.DateTimeField()
    entry = serializers.IntegerField(
        source="entry_id", help_text="The ledger entry that seals it; its proof is beside it."
    )
    data_sets = DataSetOutput(many=True)


class FullReceiptOutput(ReceiptOutput):
    envelope = serializers.SerializerMethodField(help_text="As it was sent.")

    @extend_schema_field(EnvelopeInput)
    def get_envelope(self, receipt: Receipt) -> Any:
        return strict_json.read(receipt.envelope)


class WaiverOutput(serializers.Serializer[Waiver]):
    run = serializers.CharField(source="run.reference")
    state = serializers.ChoiceField(choices=WaiverState.choices)
    reasons = serializers.CharField()
    asked_at = serializers.DateTimeField()
    decided_at = serializers.DateTimeField(allow_null=True)
    decision = serializers.CharField()
