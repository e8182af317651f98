"""The API of models, their documents, and of handing data sets to recipients."""

from typing import Any

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from common.api.access import Access
from common.api.endpoints import Day, Endpoint, Input, PageQuery, Pages, Text, caller, read
from common.api.schema import EndpointSchema, page_of
from common.files import serving
from deliveries import recipients, trained_models
from deliveries.documents import ai_act, california, croissant, data_card, figures
from deliveries.models import DataSet, Handover, TrainedModel
from ledger.errors import NotFound
from training_runs.api.views import own_run

DOCUMENTS = {
    "ai-act": ai_act.document,
    "california": california.document,
    "croissant": croissant.document,
}


class ModelInput(Input):
    name = Text(max_length=60, help_text="Small letters, digits and dashes. It does not change.")
    title = Text(max_length=200)
    version = Text(required=False, allow_blank=True, max_length=60)
    released_on = Day(required=False, allow_null=True)
    facts = serializers.DictField(
        child=Text(allow_blank=True, max_length=2000),
        required=False,
        help_text=f"What only people know: {', '.join(trained_models.FACTS)}.",
    )


class ModelRunInput(Input):
    run = Text(max_length=20)


class HandoverInput(Input):
    recipient = Text(max_length=60)
    given_on = Day()


class ModelOutput(serializers.Serializer[TrainedModel]):
    name = serializers.CharField()
    title = serializers.CharField()
    team = serializers.CharField(source="team.name")
    version = serializers.CharField()
    released_on = serializers.DateField(allow_null=True)
    facts = serializers.DictField(child=serializers.CharField())
    runs = serializers.SerializerMethodField()

    def get_runs(self, model: TrainedModel) -> list[str]:
        return [one.run.reference for one in model.model_runs.all()]


class HandoverOutput(serializers.Serializer[Handover]):
    data_set = serializers.CharField(source="data_set.sha256")
    recipient = serializers.CharField(source="recipient.name")
    given_on = serializers.DateField()


def _models() -> Any:
    found = TrainedModel.objects.select_related("team")
    return found.prefetch_related("model_runs__run")


def _model(name: str) -> TrainedModel:
    found: TrainedModel | None = _models().filter(name=name).first()
    if found is None:
        raise NotFound("There is no such model.")
    return found


class ModelsView(Endpoint):
    access = {
        "GET": Access("deliveries.view_trainedmodel", "runs:read"),
        "POST": Access("deliveries.change_trainedmodel", "runs:write"),
    }
    schema = EndpointSchema()

    @extend_schema(
        operation_id="list_models", parameters=[PageQuery], responses=page_of(ModelOutput)
    )
    def get(self, request: Request) -> Response:
        """Models, the newest first."""
        read(PageQuery, request.query_params)
        pages = Pages()
        rows: list[TrainedModel] = pages.paginate_queryset(_models(), request, view=self) or []
        return pages.get_paginated_response([ModelOutput(row).data for row in rows])

    @extend_schema(operation_id="record_model", request=ModelInput, responses=ModelOutput)
    def post(self, request: Request) -> Response:
        """Record a model, or change the one of that name."""
        saved = trained_models.record(actor=caller(request), **read(ModelInput, request.data))
        return Response(ModelOutput(_model(saved.name)).data)


class ModelView(Endpoint):
    access = {"GET": Access("deliveries.view_trainedmodel", "runs:read")}
    schema = EndpointSchema()

    @extend_schema(operation_id="read_model", responses=ModelOutput)
    def get(self, request: Request, name: str) -> Response:
        """A model and its runs."""
        return Response(ModelOutput(_model(name)).data)


class ModelRunsView(Endpoint):
    access = {"POST": Access("deliveries.change_trainedmodel", "runs:write")}
    schema = EndpointSchema()

    @extend_schema(operation_id="add_run_to_model", request=ModelRunInput, responses=ModelOutput)
    def post(self, request: Request, name: str) -> Response:
        """Say that a run trained the model. A run belongs to one model."""
        run = own_run(request, read(ModelRunInput, request.data)["run"])
        trained_models.add_run(model=_model(name), run=run, actor=caller(request))
        return Response(ModelOutput(_model(name)).data)


class ModelDocumentView(Endpoint):
    access = {"GET": Access("deliveries.view_trainedmodel", "runs:read")}
    schema = EndpointSchema()

    @extend_schema(
        operation_id="read_model_document",
        responses={
            (200, "application/json"): OpenApiTypes.OBJECT,
            (200, "text/markdown"): OpenApiTypes.STR,
        },
    )
    def get(self, request: Request, name: str, kind: str) -> Any:
        """A document drafted from receipts: `ai-act`, `california`, `croissant` (JSON) or `data-card` (Markdown).

        What no receipt says stays open. Counts under ten are not told exactly.
        """
        found = figures.of(_model(name))
        if kind == "data-card":
            headers = serving.kept_by_browser(f"{name}-README.md", "text/markdown; charset=utf-8")
            return HttpResponse(data_card.document(found), headers=headers)
        if kind not in DOCUMENTS:
            raise NotFound(f"One of {', '.join([*DOCUMENTS, 'data-card'])}.")
        return Response(DOCUMENTS[kind](found))


class HandoversView(Endpoint):
    access = {
        "GET": Access("deliveries.view_dataset", "runs:read"),
        "POST": Access("deliveries.add_handover", "runs:write"),
    }
    schema = EndpointSchema()

    def _data_set(self, sha256: str) -> DataSet:
        claims = DataSet.objects.newest().select_related("receipt__run")
        found = claims.filter(sha256=sha256).first()
        if found is None:
            raise NotFound("No receipt claims a data set of that digest.")
        return found

    @extend_schema(
        operation_id="list_handovers", parameters=[PageQuery], responses=page_of(HandoverOutput)
    )
    def get(self, request: Request, sha256: str) -> Response:
        """The recipients of a data set."""
        read(PageQuery, request.query_params)
        pages = Pages()
        found = Handover.objects.filter(data_set__sha256=self._data_set(sha256).sha256)
        rows: list[Handover] = (
            pages.paginate_queryset(
                found.select_related("data_set", "recipient"), request, view=self
            )
            or []
        )
        return pages.get_paginated_response([HandoverOutput(row).data for row in rows])

    @extend_schema(
        operation_id="hand_over",
        request=HandoverInput,
        responses={201: HandoverOutput, 200: OpenApiResponse(HandoverOutput, "Recorded before.")},
    )
    def post(self, request: Request, sha256: str) -> Response:
        """Record that a data set was given to a recipient: who received data is told of objections and erasures."""
        sent = read(HandoverInput, request.data)
        row, is_new = recipients.hand_over(
            data_set=self._data_set(sha256),
            recipient=recipients.by_name(sent["recipient"]),
            given_on=sent["given_on"],
            actor=caller(request),
        )
        return Response(HandoverOutput(row).data, status=201 if is_new else 200)
