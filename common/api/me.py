"""The caller's own account: who it is, what its token may do, and which keys to check the portal's signatures with."""

from typing import Any

from django.conf import settings
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from common.api.access import SIGNED_IN
from common.api.endpoints import Endpoint, Input, caller, read
from common.api.schema import EndpointSchema
from common.identity import tokens
from common.models import ServiceToken
from ledger.checkpoints import signing


class TokenOutput(serializers.Serializer[ServiceToken]):
    name = serializers.CharField()
    scopes = serializers.ListField(child=serializers.CharField())
    expires_at = serializers.DateTimeField(source="expiry")
    renewable_from = serializers.SerializerMethodField()

    def get_renewable_from(self, token: ServiceToken) -> str:
        return (token.expiry - tokens.RENEWABLE).isoformat().replace("+00:00", "Z")


class MeOutput(serializers.Serializer[Any]):
    user = serializers.CharField()
    roles = serializers.ListField(child=serializers.CharField())
    token = TokenOutput(allow_null=True, help_text="null for a session.")
    server_time = serializers.DateTimeField()
    api_version = serializers.CharField()
    ledger = serializers.CharField(help_text="The name under which checkpoints are signed.")
    verifier_keys = serializers.ListField(
        child=serializers.CharField(),
        help_text="Keys of checkpoints, for `verify.py --key`. Compare them with those that people gave you.",
    )


class RenewalInput(Input):
    days = serializers.IntegerField(
        required=False,
        help_text="The new one ends after. At most, and without it, as long as the old one was issued for.",
    )


class RenewedOutput(TokenOutput):
    token = serializers.CharField(help_text="Shown once, kept nowhere.")


class MeView(Endpoint):
    access = {"GET": SIGNED_IN}
    schema = EndpointSchema()

    @extend_schema(operation_id="read_me", responses=MeOutput)
    def get(self, request: Request) -> Response:
        """Your account, the scopes and the end of your token, the server's time, and the keys that sign."""
        user = caller(request)
        said = {
            "user": user.get_username(),
            "roles": list(user.groups.order_by("name").values_list("name", flat=True)),
            "token": request.auth if isinstance(request.auth, ServiceToken) else None,
            "server_time": timezone.now(),
            "api_version": settings.API_VERSION,
            "ledger": settings.LEDGER_NAME,
            "verifier_keys": [verifier.text for verifier in signing.verifiers()],
        }
        return Response(MeOutput(said).data, headers={"Cache-Control": "no-store"})


class RenewalsView(Endpoint):
    access = {"POST": SIGNED_IN}
    schema = EndpointSchema()

    @extend_schema(operation_id="renew_token", request=RenewalInput, responses={201: RenewedOutput})
    def post(self, request: Request) -> Response:
        """Renew the token that you use, in its last 30 days: the same name and scopes, a new end. Shown once."""
        if not isinstance(request.auth, ServiceToken):
            raise PermissionDenied("Only a token can be renewed.", code="tokens_only")
        sent = read(RenewalInput, request.data)
        renewed, plain = tokens.renew_token(token=request.auth, **sent)
        said = {**TokenOutput(renewed).data, "token": plain}
        return Response(said, status=201, headers={"Cache-Control": "no-store"})
