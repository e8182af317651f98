"""The parts of endpoints: strict input, one representation, cursor pages."""

from codecs import BOM_UTF8
from collections.abc import Mapping
from typing import Any

from django.contrib.auth.models import User
from rest_framework import exceptions, parsers, renderers, serializers
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.pagination import Cursor, CursorPagination
from rest_framework.request import Request
from rest_framework.views import APIView

from common.api.access import Access, NamedAccess
from common.api.problems import MAX_ERRORS
from common.models import ServiceToken
from common.text import moments, strict_json

# --- Reading what was sent ----------------------------------------------------------------------


def read_json(text: bytes, what: str = "The body") -> Any:
    """Parse JSON as `strict_json` reads it. Raises ParseError for anything else, whatever it is."""
    try:
        return strict_json.read(text)
    except strict_json.NotJson as error:
        where = f" ({error.place})" if error.place else ""
        raise exceptions.ParseError(
            f"{what} cannot be read as JSON{where}: {error}", code=error.code
        ) from None


class StrictJSONParser(parsers.BaseParser):
    media_type = "application/json"

    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> Any:
        return read_json(stream.read())


class NdjsonParser(parsers.BaseParser):
    """Gives the lines as bytes; each is read on its own, so that a broken one stays alone."""

    media_type = "application/x-ndjson"

    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> Any:
        text = stream.read().removeprefix(BOM_UTF8)
        lines = text.split(b"\n") if text.strip() else []
        return lines[:-1] if lines and not lines[-1].strip() else lines


OCTETS = "application/octet-stream"


class OctetLinesParser(NdjsonParser):
    """The same lines from clients that were generated: they know no name for them."""

    media_type = OCTETS


class NdjsonRenderer(renderers.BaseRenderer):
    media_type = "application/x-ndjson"
    format = "ndjson"
    charset = None

    def render(
        self, data: Any, accepted_media_type: Any = None, renderer_context: Any = None
    ) -> bytes:
        encoder = renderers.JSONRenderer()
        return b"".join(encoder.render(line) + b"\n" for line in data)


MAX_UNKNOWN = MAX_ERRORS // 2
"""Unknown fields that one answer names: the faults of the known ones have their place beside them."""


class Input(serializers.Serializer[Any]):
    """A body or a query. A field it does not know is an error that names it."""

    def to_internal_value(self, data: Any) -> Any:
        unknown = self._unknown(data) if isinstance(data, Mapping) else {}
        try:
            value = super().to_internal_value(data)
        except serializers.ValidationError as error:
            if not unknown or not isinstance(error.detail, dict):
                raise
            raise serializers.ValidationError({**unknown, **error.detail}) from None
        if unknown:
            raise serializers.ValidationError(unknown)
        return value

    def _unknown(self, data: Mapping[Any, Any]) -> dict[str, Any]:
        """The faults of the fields that it does not know. All faults of a body are told at once."""
        names = sorted(str(name) for name in data if name not in self.fields)
        fault = exceptions.ErrorDetail("There is no such field.", code="unknown_field")
        return {name[:100]: [fault] for name in names[:MAX_UNKNOWN]}


class Text(serializers.CharField):
    """A JSON string as it was sent; a number is not quietly made one, space not quietly cut off."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(trim_whitespace=False, **kwargs)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class Word(serializers.ChoiceField):
    """One of the known words. The error does not repeat what was sent."""

    def fail(self, key: str, **kwargs: Any) -> Any:
        if key == "invalid_choice":
            known = ", ".join(map(str, self.choices))
            raise serializers.ValidationError(f"One of {known}.", code="unknown_word")
        super().fail(key, **kwargs)

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, str):
            self.fail("invalid_choice")
        return super().to_internal_value(data)


class Flag(serializers.BooleanField):
    """true or false, and nothing that looks like it."""

    def to_internal_value(self, data: Any) -> Any:
        if data not in (True, False) or not isinstance(data, bool):
            self.fail("invalid", input="this")
        return data


class Several(serializers.ListField):
    """A list of at most `max_length` items, counted before any of them is validated.

    DRF measures last: a million bad items would cost a minute, and an error each.
    """

    def __init__(self, *, max_length: int, **kwargs: Any) -> None:
        super().__init__(max_length=max_length, **kwargs)
        self.max_items = max_length

    def to_internal_value(self, data: Any) -> list[Any]:
        if not isinstance(data, list):
            self.fail("not_a_list", input_type=type(data).__name__)
        if len(data) > self.max_items:
            self.fail("max_length", max_length=self.max_items)
        return super().to_internal_value(data)


class Moment(serializers.DateTimeField):
    """A time with its offset from UTC: any `date-time` of RFC 3339."""

    def to_internal_value(self, value: Any) -> Any:
        try:
            moment = moments.read_moment(value if isinstance(value, str) else "")
        except moments.NotATime as error:
            raise serializers.ValidationError(str(error), code="invalid") from None
        return super().to_internal_value(moment)


class Day(serializers.DateField):
    """A `full-date` of RFC 3339."""

    def to_internal_value(self, value: Any) -> Any:
        try:
            return moments.read_day(value if isinstance(value, str) else "")
        except moments.NotATime as error:
            raise serializers.ValidationError(str(error), code="invalid") from None


def read(shape: type[Input], sent: Any, **context: Any) -> dict[str, Any]:
    """The request's data, checked against an input's shape, which may ask the context. Raises ValidationError."""
    if hasattr(sent, "lists"):
        repeated = [name for name, values in sent.lists() if len(values) > 1]
        if repeated:
            raise serializers.ValidationError(
                {
                    name[:100]: ["This parameter was given more than once."]
                    for name in repeated[:20]
                },
                code="repeated",
            )
        sent = sent.dict()
    body = shape(data=sent, context=context)
    body.is_valid(raise_exception=True)
    return dict(body.validated_data)


# --- Endpoints ----------------------------------------------------------------------------------


class OneRepresentation(DefaultContentNegotiation):
    """Every endpoint has one representation and gives it, whatever `Accept` says (RFC 9110, 12.5.1)."""

    def select_renderer(
        self, request: Request, renderers: Any, format_suffix: str | None = None
    ) -> tuple[Any, str]:
        return renderers[0], renderers[0].media_type


class Endpoint(APIView):
    """One thing, or two, that a caller can do. `access` names what each method needs."""

    access: Mapping[str, Access] = {}
    permission_classes = [NamedAccess]
    parser_classes = [StrictJSONParser]
    content_negotiation_class = OneRepresentation
    metadata_class = None

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        """Every answer to a token says when the token ends."""
        response = super().finalize_response(request, response, *args, **kwargs)
        token = getattr(request, "auth", None)
        if isinstance(token, ServiceToken) and token.expiry is not None:
            response["Token-Expires"] = token.expiry.strftime("%Y-%m-%dT%H:%M:%SZ")
        return response

    @property
    def allowed_methods(self) -> list[str]:
        return sorted(self.access)


def caller(request: Request) -> User:
    """The user who asks; `NamedAccess` has refused all others."""
    assert isinstance(request.user, User)
    return request.user


class Pages(CursorPagination):
    """Pages of 50 (500 at most), newest first; callers cannot choose another order."""

    page_size = 50
    max_page_size = 500
    page_size_query_param = "page_size"
    ordering = "-id"

    def decode_cursor(self, request: Request) -> Cursor | None:
        cursor = super().decode_cursor(request)
        position = str(cursor.position or 0) if cursor else "0"
        if not (position.isascii() and position.isdecimal() and len(position) < 19):
            raise exceptions.NotFound(self.invalid_cursor_message)
        return cursor


class PageQuery(Input):
    """The query parameters of every list."""

    cursor = Text(required=False, max_length=200, help_text="From `next` or `previous`.")
    page_size = serializers.IntegerField(
        required=False, min_value=1, max_value=Pages.max_page_size, help_text="50 unless told."
    )
