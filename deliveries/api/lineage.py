"""The door for OpenLineage, and the list of data sets for bucket policies."""

from typing import Any, cast

from django.db.models import QuerySet
from django.http import HttpResponse
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import parsers, serializers
from rest_framework.request import Request
from rest_framework.response import Response

from common.api.access import Access
from common.api.endpoints import Endpoint, PageQuery, Pages, Text, Word, caller, read
from common.api.schema import EndpointSchema, page_of
from deliveries.choices import DeliveryState
from deliveries.lineage import accepting, events
from deliveries.models import DataSet, Delivery
from ledger import clock


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


class DataSetQuery(PageQuery):
    lease = Word(choices=[("valid", "valid"), ("ended", "ended")], required=False)
    prefix = Text(required=False, max_length=500, help_text="Names that begin with it.")


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
        parameters=[DataSetQuery],
        responses=page_of(LeasedDataSetOutput),
    )
    def get(self, request: Request) -> Response:
        """Data sets that receipts claim, with the lease of their delivery: for the policies of a bucket."""
        asked = read(DataSetQuery, request.query_params)
        found = _leased(asked.get("lease", ""))
        if "prefix" in asked:
            found = found.filter(name__startswith=asked["prefix"])
        pages = Pages()
        rows = pages.paginate_queryset(found, request, view=self) or []
        return pages.get_paginated_response([LeasedDataSetOutput(row).data for row in rows])


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
