"""Inputs and outputs of the auditors' API."""

from rest_framework import serializers

from common.api.endpoints import Input
from ledger.models import Checkpoint

_MAX_INTEGER = 2**53 - 1


class CheckpointQuery(Input):
    size = serializers.IntegerField(
        required=False, min_value=1, max_value=_MAX_INTEGER, help_text="By default, the newest."
    )


class ConsistencyQuery(Input):
    old = serializers.IntegerField(min_value=1, max_value=_MAX_INTEGER)
    new = serializers.IntegerField(
        required=False, min_value=1, max_value=_MAX_INTEGER, help_text="By default, the newest."
    )


class LedgerQuery(Input):
    after = serializers.IntegerField(required=False, default=0, min_value=0, max_value=_MAX_INTEGER)
    upto = serializers.IntegerField(
        required=False,
        min_value=1,
        max_value=_MAX_INTEGER,
        help_text="At most, and by default, the size of the newest checkpoint.",
    )


class ReadsQuery(Input):
    after = serializers.IntegerField(required=False, default=0, min_value=0, max_value=_MAX_INTEGER)
    upto = serializers.IntegerField(
        required=False,
        min_value=1,
        max_value=_MAX_INTEGER,
        help_text="At most, and by default, the newest record.",
    )


class CheckpointOutput(serializers.ModelSerializer[Checkpoint]):
    class Meta:
        model = Checkpoint
        fields = ["size", "root", "note", "signed_at"]


class KeysOutput(serializers.Serializer[None]):
    name = serializers.CharField(help_text="The ledger's name; every key carries it.")
    verifier_keys = serializers.ListField(
        child=serializers.CharField(),
        help_text="Every key that ever signed. Compare them with the keys you received through a separate channel.",
    )


class MemberProofInput(Input):
    member_number = serializers.IntegerField(min_value=1, max_value=2**31 - 1)
