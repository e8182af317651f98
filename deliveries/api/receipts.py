"""The API of runners' keys, receipts, waivers and of completing a run."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from common.api.access import Access
from common.api.endpoints import Endpoint, PageQuery, Pages, caller, read
from common.api.schema import EndpointSchema, page_of
from deliveries.api.serializers import (
    AllReceiptsQuery,
    ChallengeOutput,
    CompletionInput,
    EnvelopeInput,
    FullReceiptOutput,
    KeyInput,
    ReceiptOutput,
    RunnerKeyOutput,
    RunnerKeysOutput,
    WaiverInput,
    WaiverOutput,
)
from deliveries.models import DataSet, Receipt, RunnerKey
from deliveries.receipts import accepting, completing, keys, waivers
from ledger.errors import NotFound
from ledger.reads.recording import record_read
from training_runs.api.serializers import OF_RUNS_FIELDS, RunOutput, asked_of
from training_runs.api.views import answer, own_run, run_by

# --- Keys ---------------------------------------------------------------------------------------


class ChallengesView(Endpoint):
    access = {"POST": Access("deliveries.add_runnerkey", "receipts:write")}
    schema = EndpointSchema()

    @extend_schema(operation_id="ask_key_challenge", request=None, responses=ChallengeOutput)
    def post(self, request: Request) -> Response:
        """A text to sign with the private key, to prove that you have it."""
        return Response(ChallengeOutput({"challenge": keys.challenge_for(caller(request))}).data)


class KeysView(Endpoint):
    access = {
        "GET": Access("deliveries.add_runnerkey", "receipts:write"),
        "POST": Access("deliveries.add_runnerkey", "receipts:write"),
    }
    schema = EndpointSchema()

    @extend_schema(operation_id="list_keys", responses=RunnerKeysOutput)
    def get(self, request: Request) -> Response:
        """Your keys, also those that have ended."""
        own = RunnerKey.objects.filter(user=caller(request))
        return Response(RunnerKeysOutput({"results": own}).data)

    @extend_schema(
        operation_id="register_key",
        request=KeyInput,
        responses={
            201: RunnerKeyOutput,
            200: OpenApiResponse(RunnerKeyOutput, "Registered before."),
        },
    )
    def post(self, request: Request) -> Response:
        """Register an Ed25519 public key for your account: receipts are signed with it."""
        key, is_new = keys.register(user=caller(request), **read(KeyInput, request.data))
        return Response(RunnerKeyOutput(key).data, status=201 if is_new else 200)


class KeyView(Endpoint):
    access = {"DELETE": Access("deliveries.add_runnerkey", "receipts:write")}
    schema = EndpointSchema()

    @extend_schema(operation_id="end_key", responses={200: RunnerKeyOutput})
    def delete(self, request: Request, fingerprint: str) -> Response:
        """End one of your keys. What it signed before still verifies."""
        return Response(
            RunnerKeyOutput(keys.end(user=caller(request), fingerprint=fingerprint)).data
        )


# --- Receipts -----------------------------------------------------------------------------------


def receipts() -> QuerySet[Receipt]:
    found = Receipt.objects.select_related("run", "delivery", "key")
    return found.prefetch_related("data_sets")


RECEIPT_PAGE = page_of(ReceiptOutput)


class RunReceiptsView(Endpoint):
    access = {
        "GET": Access("deliveries.view_receipt", "runs:read"),
        "POST": Access("deliveries.add_receipt", "receipts:write"),
    }
    schema = EndpointSchema()

    @extend_schema(operation_id="list_receipts", parameters=[PageQuery], responses=RECEIPT_PAGE)
    def get(self, request: Request, reference: str) -> Response:
        """Receipts of a run, the newest first."""
        read(PageQuery, request.query_params)
        pages = Pages()
        found = receipts().filter(run=run_by(reference))
        rows = pages.paginate_queryset(found, request, view=self) or []
        return pages.get_paginated_response([ReceiptOutput(row).data for row in rows])

    @extend_schema(
        operation_id="send_receipt",
        request=EnvelopeInput,
        responses={201: ReceiptOutput, 200: OpenApiResponse(ReceiptOutput, "Sent before.")},
    )
    def post(self, request: Request, reference: str) -> Response:
        """Keep what was done with a delivery, as a signed statement (docs/reference/receipt-format.md).

        A digest that is not the delivered one is refused (409, `digest_mismatch`) and opens a finding; the run stays as
        it is. The same statement again gives the same receipt.
        """
        run = own_run(request, reference)
        receipt, is_new = accepting.accept(run=run, sent=request.data, actor=caller(request))
        return Response(_shown(receipt), status=201 if is_new else 200)


class ReceiptsView(Endpoint):
    access = {"GET": Access("deliveries.view_receipt", "runs:read")}
    schema = EndpointSchema()

    @extend_schema(
        operation_id="find_receipts",
        parameters=[AllReceiptsQuery],
        responses=RECEIPT_PAGE,
    )
    def get(self, request: Request) -> Response:
        """Receipts of every run, the newest first; those that every given parameter fits."""
        asked = read(AllReceiptsQuery, request.query_params)
        found = receipts().filter(
            **asked_of(asked, _RECEIPT_FIELDS), **asked_of(asked, OF_RUNS_FIELDS, "run__")
        )
        if "output" in asked:
            claiming = DataSet.objects.filter(sha256=asked["output"])
            found = found.filter(pk__in=claiming.values("receipt"))
        pages = Pages()
        rows = pages.paginate_queryset(found, request, view=self) or []
        return pages.get_paginated_response([ReceiptOutput(row).data for row in rows])


_RECEIPT_FIELDS = {"run": "run__reference", "delivery": "delivery__reference", "digest": "digest"}


def _shown(receipt: Receipt) -> Any:
    return ReceiptOutput(receipts().get(pk=receipt.pk)).data


class ReceiptView(Endpoint):
    access = {"GET": Access("deliveries.view_receipt", "runs:read")}
    schema = EndpointSchema()

    @extend_schema(operation_id="read_receipt", responses=FullReceiptOutput)
    def get(self, request: Request, reference: str) -> Response:
        """A receipt with its envelope. It is the runner's word: signed, sealed, and compared with what was delivered."""
        receipt = receipts().filter(reference=reference).first()
        if receipt is None:
            raise NotFound("There is no such receipt.")
        record_read(caller(request), "receipt.read", reference)
        return Response(FullReceiptOutput(receipt).data)


# --- Completing ---------------------------------------------------------------------------------


class CompleteView(Endpoint):
    access = {"POST": Access("training_runs.start_run", "runs:write")}
    schema = EndpointSchema()

    @extend_schema(operation_id="complete_run", request=CompletionInput, responses=RunOutput)
    def post(self, request: Request, reference: str) -> Response:
        """Complete a run in training on its receipt, or on an approved waiver; this cannot be undone.

        Its deliveries end. Withdrawals that the training did not acknowledge open a finding.
        """
        sent = read(CompletionInput, request.data)
        run = own_run(request, reference)
        return answer(request, completing.complete(run=run, actor=caller(request), **sent))


class WaiversView(Endpoint):
    access = {"POST": Access("deliveries.add_waiver", "runs:write")}
    schema = EndpointSchema()

    @extend_schema(
        operation_id="ask_waiver",
        request=WaiverInput,
        responses={201: WaiverOutput, 200: OpenApiResponse(WaiverOutput, "Asked before.")},
    )
    def post(self, request: Request, reference: str) -> Response:
        """Ask to complete without a receipt. A privacy officer decides; auditors see it."""
        sent = read(WaiverInput, request.data)
        waiver, is_new = waivers.ask(run=own_run(request, reference), actor=caller(request), **sent)
        return Response(WaiverOutput(waiver).data, status=201 if is_new else 200)
