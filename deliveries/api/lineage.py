"""The door for OpenLineage, and the list of data sets for bucket policies."""

from typing import Any, cast

from django.db.models import QuerySet
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import parsers, serializers
from rest_framework.request import Request

from common.api.access import Access
from common.api.endpoints import Endpoint, Pages, caller, read
from common.api.schema import EndpointSchema, page_of
from common.files import serving
from deliveries.api.serializers import DataSetQuery
from deliveries.choices import DeliveryState
from deliveries.lineage import accepting, events
from deliveries.models import DataSet, Delivery
from ledger import clock
from training_runs.api import waiting
from training_runs.api.serializers import OF_RUNS_FIELDS, asked_of


class AnyBytesParser(parsers.BaseParser):
    """Gives the body as it was sent."""

    media_type = "application/json"

    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> Any:
        return stream.read()


class EventInput(serializers.Serializer[Any]):
    """An event of OpenLineage 2-0-2. Facets and fields that are not known are kept."""

    eventType = serializers.CharField(required=False)  # noqa: N815  OpenLineage's names
    eventTime = serializers.DateTimeField()  # noqa: N815
    run = serializers.DictField(required=False)
    job = serializers.DictField(required=False)
    inputs = serializers.ListField(child=serializers.DictField(), required=False)
    outputs = serializers.ListField(child=serializers.DictField(), required=False)


class LineageView(Endpoint):
    access = {"POST": Access("deliveries.add_lineageevent", "lineage:write")}
    parser_classes = [AnyBytesParser]
    schema = EndpointSchema()

    @extend_schema(
        operation_id="send_lineage",
        request=EventInput,
        responses={201: OpenApiResponse(description="Kept as evidence, or known already.")},
    )
    def post(self, request: Request) -> HttpResponse:
        """An OpenLineage event, as the standard clients send it, also with gzip. It is evidence and starts nothing.

        Every well-formed event is taken (201), whatever it tells. A job that reads raw data without a run, and a data set
        that is read after its lease, open a finding.
        """
        data = events.unpacked(
            cast(bytes, request.data), request.headers.get("Content-Encoding", "")
        )
        accepting.keep(events.read(data), actor=caller(request))
        return HttpResponse(status=201)


class LeasedDataSetOutput(serializers.Serializer[DataSet]):
    name = serializers.CharField()
    sha256 = serializers.CharField()
    bytes = serializers.IntegerField(source="size")
    rows = serializers.IntegerField()
    run = serializers.CharField(source="receipt.run.reference")
    receipt = serializers.CharField(source="receipt.reference")
    delivery = serializers.CharField(source="receipt.delivery.reference")
    leased_until = serializers.DateTimeField(source="receipt.delivery.leased_until")
    may_be_used = serializers.SerializerMethodField()

    def get_may_be_used(self, row: DataSet) -> bool:
        return is_usable(row.receipt.delivery)


def is_usable(delivery: Delivery) -> bool:
    """Whether what was made of a delivery may be used now."""
    until = delivery.leased_until
    return delivery.state == DeliveryState.DELIVERED and until is not None and until > clock.now()


class DataSetsView(Endpoint):
    access = {"GET": Access("deliveries.view_dataset", "runs:read")}
    schema = EndpointSchema()

    @extend_schema(
        operation_id="list_data_sets",
        parameters=[
            DataSetQuery,
            OpenApiParameter("If-None-Match", str, OpenApiParameter.HEADER, description="An `ETag`: 304 while the page is the same."),
            OpenApiParameter("ETag", str, OpenApiParameter.HEADER, response=[200, 304], description="Changes with the page, also when a lease ends."),
        ],
        responses={
            200: page_of(LeasedDataSetOutput),
            304: OpenApiResponse(description="The page has not changed."),
        },
    )  # fmt: skip
    def get(self, request: Request) -> HttpResponseBase:
        """Data sets that receipts claim, with the lease of their delivery: for the policies of a bucket."""
        asked = read(DataSetQuery, request.query_params)
        found = _leased(asked.get("lease", "")).filter(
            **asked_of(asked, _FIELDS), **asked_of(asked, OF_RUNS_FIELDS, "receipt__run__")
        )
        pages = Pages()
        rows = pages.paginate_queryset(found, request, view=self) or []
        page = pages.get_paginated_response([LeasedDataSetOutput(row).data for row in rows])
        etag = waiting.etag_of(page.data)
        if serving.is_known(request, etag):
            return serving.not_modified(etag)
        page["ETag"] = f'"{etag}"'
        return page


_FIELDS = {
    "prefix": "name__startswith",
    "run": "receipt__run__reference",
    "delivery": "receipt__delivery__reference",
    "receipt": "receipt__reference",
    "digest": "sha256",
}


def _leased(lease: str) -> QuerySet[DataSet]:
    found = DataSet.objects.newest().select_related("receipt__run", "receipt__delivery")
    # A completed run's deliveries have ended: what was made of them is not used again without a run of its own.
    valid = {
        "receipt__delivery__state": DeliveryState.DELIVERED,
        "receipt__delivery__leased_until__gt": clock.now(),
    }
    if lease == "valid":
        return found.filter(**valid)
    return found.exclude(**valid) if lease == "ended" else found
