"""The API of the account map: every account with its member number, for a lake that joins our numbers once."""

from typing import Any

from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from common.api.access import Access
from common.api.endpoints import Endpoint, caller
from common.api.schema import EndpointSchema
from common.files import serving
from common.processes import hints
from deliveries.api.views import PARQUET
from deliveries.made import account_map
from deliveries.models import AccountMapRange
from deliveries.tasks import make_account_map
from ledger.reads.recording import record_read
from training_runs.api import waiting
from training_runs.api.views import FILE_HEADERS, NOT_SENT

ACCESS = Access("deliveries.download_accountmap", "account-map:read")


class AccountMapFileOutput(serializers.Serializer[Any]):
    name = serializers.CharField()
    first = serializers.IntegerField(help_text="The first number that the file may hold.")
    last = serializers.IntegerField(help_text="The last number that the file may hold.")
    is_current = serializers.BooleanField(
        help_text="Whether the file has every change of its accounts; else a worker makes it again."
    )
    sha256 = serializers.CharField(allow_null=True, help_text="null: it is being made.")
    bytes = serializers.IntegerField(allow_null=True)
    rows = serializers.IntegerField(allow_null=True, help_text="Accounts in it.")
    cut = serializers.IntegerField(
        allow_null=True, help_text="The ledger size that it counts: later accounts may be missing."
    )


class AccountMapOutput(serializers.Serializer[Any]):
    kept_until = serializers.DateTimeField(
        help_text="Then it is deleted, unless it is asked for again before."
    )
    files = AccountMapFileOutput(many=True)


def _shown() -> Any:
    """The map as it stands. Raises NoAccountMap."""
    until = account_map.kept_until()
    files = [_file(one) for one in account_map.ranges()]
    return AccountMapOutput({"kept_until": until, "files": files}).data


def _file(one: AccountMapRange) -> dict[str, Any]:
    numbers = account_map.numbers_of(one.place)
    made = one.file
    return {
        "name": account_map.name_of(one.place),
        "first": numbers.start,
        "last": numbers.stop - 1,
        "is_current": one.is_current,
        "sha256": made.sha256 if made else None,
        "bytes": made.size if made else None,
        "rows": made.rows if made else None,
        "cut": one.cut if made else None,
    }


class AccountMapView(Endpoint):
    access = {"GET": ACCESS, "POST": ACCESS}
    schema = EndpointSchema()

    @extend_schema(
        operation_id="list_account_map",
        parameters=[
            OpenApiParameter("If-None-Match", str, OpenApiParameter.HEADER, description="An `ETag`: 304 while no file has changed."),
            OpenApiParameter("ETag", str, OpenApiParameter.HEADER, response=[200, 304], description="Changes with the answer."),
        ],
        responses={200: AccountMapOutput, 304: OpenApiResponse(description="No file has changed.")},
    )  # fmt: skip
    def get(self, request: Request) -> HttpResponseBase:
        """The files of the account map with their digests: fetch again those whose `sha256` is another one.

        Refused (409, `no_account_map`) until it is asked for by `POST`.
        """
        said = _shown()
        etag = waiting.etag_of(said)
        if serving.is_known(request, etag):
            return serving.not_modified(etag)
        return Response(said, headers={"ETag": f'"{etag}"'})

    @extend_schema(
        operation_id="request_account_map",
        request=None,
        responses={
            202: AccountMapOutput,
            200: OpenApiResponse(AccountMapOutput, "Asked for before; it is kept on."),
        },
    )
    def post(self, request: Request) -> Response:
        """Ask for the account map, or that it is kept on (202). A worker makes its files and follows what changes.

        It has every account that was not erased, whatever its member has said: what may be used says a delivery.
        """
        _, is_new = account_map.request(actor=caller(request))
        hints.after_commit(make_account_map)
        return Response(_shown(), status=202 if is_new else 200)


class AccountMapFileView(Endpoint):
    access = {"GET": ACCESS}
    schema = EndpointSchema()

    @extend_schema(
        operation_id="download_account_map_file",
        parameters=FILE_HEADERS,
        responses={
            (200, PARQUET): OpenApiTypes.BINARY,
            (206, PARQUET): OpenApiTypes.BINARY,
            **NOT_SENT,
        },
    )
    def get(self, request: Request, name: str) -> Any:
        """A file of the account map: Parquet with member_number (uint32) and account_ref (string), in order of the number.

        With length, ETag and Repr-Digest; `Range` resumes. Refused (409, `account_map_not_ready`, with `Retry-After`)
        while it is being made, also again without an account that was erased.
        """
        made, opened = account_map.opened(account_map.place_in(name))
        try:
            said = f"{name}, {made.rows} rows, sha-256={made.sha256}"
            record_read(caller(request), "account_map.file", account_map.HOME, purpose=said)
        except BaseException:
            opened.close()
            raise
        return serving.response(
            request, serving.Stored(opened, made.size, made.sha256, name, PARQUET)
        )
