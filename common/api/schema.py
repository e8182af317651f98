"""The API's description: what drf-spectacular cannot know by itself."""

from typing import Any

from django.conf import settings
from drf_spectacular.extensions import OpenApiAuthenticationExtension, OpenApiSerializerExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiResponse, inline_serializer
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework import serializers
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from common import registry
from common.api.access import SIGNED_IN
from common.api.endpoints import OCTETS
from common.api.problems import PROBLEM

JSON = "application/json"


class ProblemError(serializers.Serializer[Any]):
    field = serializers.CharField()
    code = serializers.CharField()
    detail = serializers.CharField()


class Problem(serializers.Serializer[Any]):
    """RFC 9457."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    code = serializers.CharField(help_text="Stable; the text may change.")
    detail = serializers.CharField()
    errors = ProblemError(many=True, required=False)  # type: ignore[assignment]  # DRF's metaclass takes fields off the class
    reasons = serializers.ListField(child=serializers.DictField(), required=False)


def page_of(output: type[serializers.Serializer[Any]]) -> serializers.Serializer[Any]:
    """A cursor page of an output."""
    return inline_serializer(
        output.__name__.replace("Output", "") + "Page",
        {
            "next": serializers.URLField(allow_null=True),
            "previous": serializers.URLField(allow_null=True),
            "results": output(many=True),
        },
    )


HEADERS: dict[str, Any] = {
    "Token-Expires": {
        "description": "When the token ends (RFC 3339, UTC, whole seconds). In every answer to a token.",
        "schema": {"type": "string", "format": "date-time"},
    },
    "Retry-After": {
        "description": "Seconds after which to ask again.",
        "schema": {"type": "integer", "minimum": 0},
    },
    "Location": {
        "description": "Where to look.",
        "schema": {"type": "string", "format": "uri-reference"},
    },
    "Content-Range": {
        "description": "Which bytes of how many these are: `bytes 100-199/1000`.",
        "schema": {"type": "string"},
    },
}
"""Headers that mean the same wherever they are; an operation describes its own beside them."""
_BY_STATUS = {
    "201": ["Location"],
    "202": ["Location", "Retry-After"],
    "206": ["Content-Range"],
    "307": ["Location"],
    "429": ["Retry-After"],
    "503": ["Retry-After"],
}
_GENERATED = (JSON, PROBLEM, OCTETS, "text/")


def _completed(status: str, body: dict[str, Any]) -> dict[str, Any]:
    """The description of an answer with the headers of its status, and with bytes where a generator knows no better.

    Generators of clients know JSON, text and bytes; of another media type they would leave the answer out.
    """
    names = [*_BY_STATUS.get(status, []), *(["Token-Expires"] if status < "4" else [])]
    shared = {name: {"$ref": f"#/components/headers/{name}"} for name in names}
    content = body.get("content", {})
    if content and not any(kind.startswith(_GENERATED) for kind in content):
        content = {**content, OCTETS: {"schema": {"type": "string", "format": "binary"}}}
    said = {**body, **({"content": content} if content else {})}
    headers = {**shared, **body.get("headers", {})}
    return {**said, **({"headers": headers} if headers else {})}


def with_headers(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Puts what answers refer to into the description (`POSTPROCESSING_HOOKS`)."""
    result["components"]["headers"] = HEADERS
    return result


class EndpointSchema(AutoSchema):
    """Adds the problems every endpoint may answer with, the headers of answers, and who may use it."""

    def _get_response_bodies(self, direction: Any = "response") -> Any:
        bodies = super()._get_response_bodies(direction)
        for code in (
            "400",
            "401",
            "403",
            "404",
            "405",
            "409",
            "413",
            "415",
            "422",
            "429",
            "500",
            "503",
        ):
            bodies.setdefault(
                code,
                self._get_response_for_code(
                    OpenApiResponse(Problem), code, [PROBLEM], direction=direction
                ),
            )
        return {status: _completed(status, body) for status, body in bodies.items()}

    def get_description(self) -> str:  # type: ignore[override]  # spectacular's own signature
        access = getattr(self.view, "access", {}).get(self.method)
        words = super().get_description() or ""
        if access is None:
            return words
        if access == SIGNED_IN:
            return f"{words}\n\nAny person, any token.".strip()
        who = f"scope `{access.scope}`" if access.scope else "for people only"
        return f"{words}\n\nPermission `{access.permission}`, {who}.".strip()


class InputShape(OpenApiSerializerExtension):
    """Inputs refuse fields they do not know; the description says so."""

    target_class = "common.api.endpoints.Input"
    match_subclasses = True

    def map_serializer(self, auto_schema: Any, direction: Any) -> Any:
        shape = auto_schema._map_serializer(self.target, direction, bypass_extensions=True)
        return {**shape, "additionalProperties": False}


class TokenScheme(OpenApiAuthenticationExtension):
    target_class = "common.identity.tokens.ServiceTokenAuthentication"
    name = "serviceToken"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        scopes = "\n".join(
            f"- `{scope}`: {sentence}" for scope, sentence in registry.scopes.items()
        )
        return {"type": "http", "scheme": "bearer", "description": f"A service token.\n\n{scopes}"}


class SignedIn(BasePermission):
    """Lets in who is signed in, or has a token; in development everybody."""

    def has_permission(self, request: Request, view: Any) -> bool:
        return settings.DEVELOPMENT or request.user.is_authenticated


class SchemaView(SpectacularAPIView):
    """The description holds no data, but it is a map: strangers get none."""

    permission_classes = [SignedIn]


class DocsView(SpectacularSwaggerSplitView):
    """Swagger UI from our own files: no inline script or style, nothing from outside."""

    permission_classes = [SignedIn]
    template_name = "api/docs.html"
    url_name = "api:schema"
