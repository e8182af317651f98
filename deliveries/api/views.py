"""The API of deliveries and of the training on them.

Every engineer sees deliveries; people of the run's team act on them. Lists of accounts go to the run's team alone, the
archives (numbers only) to auditors too.
"""

from io import BufferedReader
from typing import Any

from django.db.models import QuerySet
from django.http import HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import reverse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from common.api.access import Access
from common.api.endpoints import Endpoint, Pages, caller, read
from common.api.problems import problem
from common.api.schema import EndpointSchema, page_of
from common.files import serving
from common.processes import hints
from deliveries import gate
from deliveries.api.serializers import (
    AcknowledgementInput,
    AcknowledgementOutput,
    AllDeliveriesQuery,
    DeliveryInput,
    DeliveryOutput,
    DeliveryQuery,
    GateOutput,
    GateQuery,
    HeartbeatInput,
    HeartbeatOutput,
    ReasonInput,
    RedactionListOutput,
    TrainingInput,
    TrainingOutput,
)
from deliveries.choices import DeliveryForm, DeliveryState
from deliveries.errors import DeliveryNotReady, LeaseOver, NoValidDelivery
from deliveries.made import ending, requesting, stores
from deliveries.made.archives import load
from deliveries.models import Delivery
from deliveries.tasks import make_delivery
from deliveries.use import acknowledging, starting
from ledger import clock
from ledger.errors import NotFound
from ledger.reads.recording import record_read
from objections.redaction import lending
from training_runs import teams
from training_runs.api import waiting
from training_runs.api.serializers import OF_RUNS_FIELDS, RunOutput, WaitQuery, asked_of
from training_runs.api.views import FILE_HEADERS, NOT_SENT, answer, own_run, run_by
from training_runs.errors import ManifestDamaged
from training_runs.manifests import archives
from training_runs.runs.verifying import usable_manifest

RETRY_AFTER = 2
"""Seconds after which it is worth asking for a delivery again."""
PARQUET = "application/vnd.apache.parquet"


def deliveries() -> QuerySet[Delivery]:
    """Deliveries with all that an answer shows."""
    return Delivery.objects.with_entry().select_related(
        "run", "manifest", "recipient", "renews", "attempt", "verification"
    )


def delivery_by(reference: str) -> Delivery:
    delivery = deliveries().filter(reference=reference).first()
    if delivery is None:
        raise NotFound("There is no such delivery.")
    return delivery


def own_delivery(request: Request, reference: str, *, unless: str = "") -> Delivery:
    """The delivery, if its run or its recipient is a team of the caller's, or the caller has the permission `unless`."""
    delivery = delivery_by(reference)
    user = caller(request)
    given = Delivery.objects.given_to_teams_of(user).filter(pk=delivery.pk)
    is_own = teams.has(delivery.run, user) or given.exists()
    if not is_own and not (unless and request.user.has_perm(unless)):
        raise PermissionDenied(f"{reference} belongs to another team.", code="not_your_run")
    return delivery


def delivery_answer(delivery: Delivery, status: int = 200) -> Response:
    """The delivery as it is now; while it is being made, when to ask again."""
    delivery = delivery_by(delivery.reference)
    headers = {}
    if status > 200:
        headers["Location"] = reverse("api:delivery", args=[delivery.reference])
    if delivery.state == DeliveryState.REQUESTED:
        headers["Retry-After"] = str(RETRY_AFTER)
    return Response(DeliveryOutput(delivery).data, status=status, headers=headers)


def _queued(delivery: Delivery, is_new: bool) -> Response:
    if delivery.state == DeliveryState.REQUESTED:
        # The row is the queue: a message that is lost only costs the time until the next sweep.
        hints.after_commit(make_delivery, delivery.pk)
    return delivery_answer(delivery, 202 if is_new else 200)


QUEUED = {
    202: DeliveryOutput,
    200: OpenApiResponse(DeliveryOutput, "Requested before; its lease lasts."),
}


DELIVERY_PAGE = page_of(DeliveryOutput)


class RunDeliveriesView(Endpoint):
    access = {
        "GET": Access("deliveries.view_delivery", "runs:read"),
        "POST": Access("deliveries.add_delivery", "deliveries:write"),
    }
    schema = EndpointSchema()

    @extend_schema(
        operation_id="list_deliveries",
        parameters=[DeliveryQuery],
        responses=DELIVERY_PAGE,
    )
    def get(self, request: Request, reference: str) -> Response:
        """Deliveries of a run, the newest first."""
        asked = read(DeliveryQuery, request.query_params)
        found = deliveries().filter(run=run_by(reference))
        if "state" in asked:
            found = found.filter(state=asked["state"])
        pages = Pages()
        rows = pages.paginate_queryset(found, request, view=self) or []
        return pages.get_paginated_response([DeliveryOutput(row).data for row in rows])

    @extend_schema(operation_id="request_delivery", request=DeliveryInput, responses=QUEUED)
    def post(self, request: Request, reference: str) -> Response:
        """Request a delivery: the manifest without the members who are out by now, for a limited time (202).

        While it is being made, or its lease lasts, the same request gives the same delivery (200). A worker makes it:
        look at `Location` again after `Retry-After` seconds. Only a manifest that verified is delivered.
        """
        sent = read(DeliveryInput, request.data)
        run = own_run(request, reference)
        return _queued(*requesting.request(run=run, actor=caller(request), **sent))


class DeliveriesView(Endpoint):
    access = {"GET": Access("deliveries.view_delivery", "runs:read")}
    schema = EndpointSchema()

    @extend_schema(
        operation_id="find_deliveries",
        parameters=[AllDeliveriesQuery],
        responses=DELIVERY_PAGE,
    )
    def get(self, request: Request) -> Response:
        """Deliveries of every run, the newest first; those that every given parameter fits."""
        asked = read(AllDeliveriesQuery, request.query_params)
        found = deliveries().filter(
            **asked_of(asked, _DELIVERY_FIELDS), **asked_of(asked, OF_RUNS_FIELDS, "run__")
        )
        pages = Pages()
        rows = pages.paginate_queryset(found, request, view=self) or []
        return pages.get_paginated_response([DeliveryOutput(row).data for row in rows])


_DELIVERY_FIELDS = {
    "state": "state",
    "form": "form",
    "run": "run__reference",
    "recipient": "recipient__name",
    "digest": "digest",
}


class DeliveryView(Endpoint):
    access = {"GET": Access("deliveries.view_delivery", "runs:read")}
    schema = EndpointSchema()

    @extend_schema(
        operation_id="read_delivery",
        parameters=[
            WaitQuery,
            OpenApiParameter("If-None-Match", str, OpenApiParameter.HEADER, description="An `ETag`: 304 while nothing has changed."),
            OpenApiParameter("ETag", str, OpenApiParameter.HEADER, response=[200, 304], description="Changes with the answer."),
            OpenApiParameter("Retry-After", int, OpenApiParameter.HEADER, response=[200, 304], description="Seconds: while the delivery is being made, or when too many requests wait."),
        ],
        responses={200: DeliveryOutput, 304: OpenApiResponse(description="Nothing has changed.")},
    )  # fmt: skip
    def get(self, request: Request, reference: str) -> HttpResponseBase:
        """A delivery: its state, its lease, and its files with their digests.

        With `wait` the answer comes when something has changed, or, without `If-None-Match`, when it is made; at the
        latest after so many seconds. A web process lets only some requests wait; another one is answered at once, with
        `Retry-After`.
        """
        asked = read(WaitQuery, request.query_params)

        def look() -> Any:
            return DeliveryOutput(delivery_by(reference)).data

        found = waiting.for_news(look, request, asked["wait"], _is_being_made)
        return waiting.response(request, found)


def _is_being_made(delivery: Any) -> bool:
    return bool(delivery["state"] == DeliveryState.REQUESTED)


class DeliveryRenewalsView(Endpoint):
    access = {"POST": Access("deliveries.add_delivery", "deliveries:write")}
    schema = EndpointSchema()

    @extend_schema(operation_id="renew_delivery", request=None, responses=QUEUED)
    def post(self, request: Request, reference: str) -> Response:
        """Request the delivery that follows this one, with a new subtraction and a new lease; again gives the same one."""
        delivery = own_delivery(request, reference)
        return _queued(*requesting.renew(delivery=delivery, actor=caller(request)))


class DeliveryCancelView(Endpoint):
    access = {"POST": Access("deliveries.change_delivery", "deliveries:write")}
    schema = EndpointSchema()

    @extend_schema(operation_id="cancel_delivery", request=ReasonInput, responses=DeliveryOutput)
    def post(self, request: Request, reference: str) -> Response:
        """End a delivery before its lease does; its files are deleted. This cannot be undone."""
        sent = read(ReasonInput, request.data)
        delivery = own_delivery(request, reference)
        return delivery_answer(ending.cancel(delivery=delivery, actor=caller(request), **sent))


def check_usable(delivery: Delivery) -> None:
    """Raises DeliveryNotReady, LeaseOver unless the delivery may be used now."""
    if delivery.state == DeliveryState.REQUESTED:
        raise DeliveryNotReady(f"{delivery.reference} is being made; try again soon.")
    is_over = delivery.leased_until is None or delivery.leased_until <= clock.now()
    if delivery.state != DeliveryState.DELIVERED or is_over:
        said = "its lease is over" if is_over else delivery.get_state_display()
        raise LeaseOver(
            f"{delivery.reference} may not be used any more: {said}. {delivery.end_reason}"
        )


def _opened(delivery: Delivery, digest: str) -> BufferedReader:
    """Raises LeaseOver, ManifestDamaged, OSError."""
    try:
        return stores.while_it_lasts(stores.opened(delivery.reference, digest))
    except ManifestDamaged:
        # It may have ended, and its file gone, since it was looked at: that is no damage.
        delivery.refresh_from_db()
        check_usable(delivery)
        raise


def proof_of(delivery: Delivery) -> str:
    """The address of the proof that the ledger has the delivery."""
    found = Delivery.objects.with_entry().get(pk=delivery.pk)
    return reverse("api:run-entry-proof", args=[delivery.run.reference, found.made_entry])


def _counted(delivery: Delivery) -> dict[str, str]:
    assert delivery.leased_until is not None
    return {
        "Members-Included": str(delivery.manifest.included),
        "Members-Subtracted": str(delivery.subtracted),
        "Members-Counted-At": str(delivery.cut),
        "Lease-Until": delivery.leased_until.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "Members-With-Use-From": str(sum(len(one) for one in load(delivery).cohorts.values())),
        "Link": f'<{proof_of(delivery)}>; rel="describedby"; type="text/plain"',
    }


COUNTED = [
    OpenApiParameter(name, str, OpenApiParameter.HEADER, response=[200, 206], description=words)
    for name, words in (
        ("Members-Included", "Members in the manifest."),
        ("Members-Subtracted", "Members of these who are not delivered: out by the cut."),
        ("Members-Counted-At", "The ledger size of the cut."),
        ("Lease-Until", "The end of the lease (RFC 3339, UTC)."),
        ("Members-With-Use-From", "Members whose content may be used from a day on only: the column `use_from`."),
        ("Link", "Where the proof of the ledger entry that made it is (`describedby`)."),
    )
]  # fmt: skip


class DeliveryFileView(Endpoint):
    access = {"GET": Access("deliveries.download_delivery", "deliveries:write")}
    schema = EndpointSchema()

    @extend_schema(
        operation_id="download_delivery_file",
        parameters=[*COUNTED, *FILE_HEADERS],
        responses={
            (200, PARQUET): OpenApiTypes.BINARY,
            (206, PARQUET): OpenApiTypes.BINARY,
            **NOT_SENT,
        },
    )
    def get(self, request: Request, reference: str, name: str) -> Any:
        """A file of accounts: Parquet with member_number (uint32), account_ref (string) and use_from (date or null).

        In order of the number, with length, ETag and Repr-Digest; `Range` resumes. Content of a member older than
        `use_from` may not be used. Refused (409, `lease_over`) when the lease has ended.
        """
        delivery = own_delivery(request, reference)
        check_usable(delivery)
        file = next((one for one in delivery.files if one["name"] == name), None)
        if file is None:
            names = ", ".join(one["name"] for one in delivery.files[:5]) or "none: it is a set"
            raise NotFound(f"The files of {reference} are {names}.")
        opened = _opened(delivery, file["sha256"])
        try:
            said = f"{name}, {file['rows']} rows, sha-256={file['sha256']}"
            record_read(caller(request), "delivery.file", reference, purpose=said[:200])
        except BaseException:
            opened.close()
            raise
        stored = serving.Stored(
            opened, file["bytes"], file["sha256"], f"{reference}-{name}", PARQUET
        )
        return serving.response(request, stored, _counted(delivery))


class DeliveryArchiveView(Endpoint):
    access = {"GET": Access("deliveries.view_delivery", "manifests:read")}
    schema = EndpointSchema()

    @extend_schema(
        operation_id="download_delivery_archive",
        parameters=FILE_HEADERS,
        responses={
            (200, "application/octet-stream"): OpenApiTypes.BINARY,
            (206, "application/octet-stream"): OpenApiTypes.BINARY,
            **NOT_SENT,
        },
    )
    def get(self, request: Request, reference: str) -> Any:
        """The archive (docs/reference/delivery-format.md): the numbers of the delivered and the subtracted. No account_ref."""
        delivery = own_delivery(request, reference, unless="ledger.view_entry")
        if not delivery.digest:
            raise DeliveryNotReady(f"{reference} is {delivery.get_state_display()}.")
        if not request.user.has_perm("ledger.view_entry"):
            check_usable(delivery)
        record_read(caller(request), "delivery.archive", reference)
        stored = serving.Stored(
            archives.opened(delivery.digest),
            delivery.size,
            delivery.digest,
            f"{reference}.delivery",
            "application/octet-stream",
        )
        return serving.response(request, stored)


class RedactionListView(Endpoint):
    access = {"POST": Access("objections.borrow_redaction_list", "suppression:read")}
    schema = EndpointSchema()

    @extend_schema(
        operation_id="borrow_redaction_list", request=None, responses=RedactionListOutput
    )
    def post(self, request: Request, reference: str) -> Response:
        """Borrow the redaction list for the preparation of a delivery, until its lease ends. Each loan is on record.

        It names people who objected: keep it in memory, and never write it down. `list_version` and the numbers of the
        entries that were found belong into the receipt. `needs_second`: the value counts only near another one of the
        same entry.
        """
        delivery = own_delivery(request, reference)
        check_usable(delivery)
        loan = lending.lend(
            delivery=delivery.reference,
            purpose=delivery.run.purpose,
            user=caller(request),
            until=delivery.leased_until,
        )
        said = {
            "list_version": loan.record.list_version,
            "until": loan.record.until,
            "entries": loan.record.count,
            "lines": loan.lines,
        }
        return Response(RedactionListOutput(said).data, headers={"Cache-Control": "no-store"})


class _ListView(Endpoint):
    """Addresses of lists of accounts: they lead to the run's delivery that may be used now."""

    access = {"GET": Access("deliveries.download_delivery", "deliveries:write")}
    schema = EndpointSchema()

    def _delivery(self, request: Request, reference: str) -> Delivery:
        run = own_run(request, reference)
        usable_manifest(run)
        lists = Delivery.objects.filter(run=run, form=DeliveryForm.LIST).own()
        valid = lists.valid_at(clock.now())
        found = valid.order_by("-pk").first()
        if found is None:
            raise NoValidDelivery(
                f"{reference} has no list that may be used now: POST /api/v1/runs/{reference}/deliveries."
            )
        return found


LEADS = {307: OpenApiResponse(description="`Location`: the delivery's file.")}


class MembersParquetView(_ListView):
    @extend_schema(operation_id="find_members_parquet", responses=LEADS)
    def get(self, request: Request, reference: str) -> HttpResponseBase:
        """Leads to the file of the newest delivery that may be used now; of several files to the delivery."""
        delivery = self._delivery(request, reference)
        if len(delivery.files) > 1:
            return _leads(reverse("api:delivery", args=[delivery.reference]))
        name = delivery.files[0]["name"]
        return _leads(reverse("api:delivery-file", args=[delivery.reference, name]))


class MembersCsvView(_ListView):
    @extend_schema(operation_id="find_members_csv", responses=LEADS)
    def get(self, request: Request, reference: str) -> HttpResponseBase:
        """Leads to the newest delivery that may be used now. Its list is Parquet: CSV changes accounts on the way."""
        return _leads(reverse("api:delivery", args=[self._delivery(request, reference).reference]))


def _leads(address: str) -> HttpResponse:
    response = HttpResponseRedirect(address)
    response.status_code = 307
    response["Cache-Control"] = "no-store"
    return response


# --- Training -----------------------------------------------------------------------------------


class TrainingView(Endpoint):
    access = {"POST": Access("training_runs.start_run", "runs:write")}
    schema = EndpointSchema()

    @extend_schema(operation_id="begin_training", request=TrainingInput, responses=TrainingOutput)
    def post(self, request: Request, reference: str) -> Response:
        """Say that training begins on a delivery whose lease lasts. After a failure it begins from nothing."""
        sent = read(TrainingInput, request.data)
        start = starting.begin(run=own_run(request, reference), actor=caller(request), **sent)
        said = {
            "run": reference,
            "delivery": start.delivery.reference,
            "began_at": start.began_at,
            "leased_until": start.delivery.leased_until,
        }
        return Response(TrainingOutput(said).data)


class HeartbeatView(Endpoint):
    access = {"POST": Access("training_runs.start_run", "runs:write")}
    schema = EndpointSchema()

    @extend_schema(operation_id="beat", request=HeartbeatInput, responses=HeartbeatOutput)
    def post(self, request: Request, reference: str) -> Response:
        """A sign of life of a training. After the lease it is refused (409, `lease_over`) and opens a finding."""
        sent = read(HeartbeatInput, request.data)
        run = own_run(request, reference)
        return Response(HeartbeatOutput(starting.beat(run=run, actor=caller(request), **sent)).data)


class FailView(Endpoint):
    access = {"POST": Access("training_runs.start_run", "runs:write")}
    schema = EndpointSchema()

    @extend_schema(operation_id="fail_run", request=ReasonInput, responses=RunOutput)
    def post(self, request: Request, reference: str) -> Response:
        """Say that training failed. The run keeps its manifest and can be trained again, from nothing."""
        sent = read(ReasonInput, request.data)
        run = own_run(request, reference)
        return answer(request, starting.fail(run=run, actor=caller(request), **sent))


class AcknowledgementsView(Endpoint):
    access = {"POST": Access("training_runs.start_run", "runs:write")}
    schema = EndpointSchema()

    @extend_schema(
        operation_id="acknowledge_withdrawn",
        request=AcknowledgementInput,
        responses=AcknowledgementOutput,
    )
    def post(self, request: Request, reference: str) -> Response:
        """Say that the training knows who has withdrawn, by the `digest` of the answer that said so.

        What counts is the time of that answer: a training asks again and again. Refused (409, `answer_unknown`) for a
        digest that no answer of the last day has.
        """
        sent = read(AcknowledgementInput, request.data)
        run = own_run(request, reference)
        row = acknowledging.acknowledge(run=run, actor=caller(request), **sent)
        return Response(AcknowledgementOutput(row).data)


class GateView(Endpoint):
    access = {"GET": Access("training_runs.view_run", "runs:read")}
    schema = EndpointSchema()

    @extend_schema(
        operation_id="ask_gate",
        parameters=[
            GateQuery,
            OpenApiParameter("If-None-Match", str, OpenApiParameter.HEADER, description="An `ETag`: 304 when nothing has changed."),
            OpenApiParameter("ETag", str, OpenApiParameter.HEADER, response=[200, 409], description="Changes with the answer."),
        ],
        responses={200: GateOutput, 304: OpenApiResponse(description="You have the answer already.")},
    )  # fmt: skip
    def get(self, request: Request, reference: str) -> HttpResponseBase:
        """May this run be trained on now? 200 with the delivery, or 409 with the reason as `code`. Nothing is computed.

        A 409 always comes whole: `If-None-Match` counts only where the answer would be a success (RFC 9110, 13.2.1). Its
        `ETag` says whether it is the same one.
        """
        asked = read(GateQuery, request.query_params)
        found = gate.ask(reference, **asked)
        headers = {"ETag": f'"{found.etag}"', "Cache-Control": "no-store"}
        if not found.is_open:
            return problem(409, found.detail, name=found.code, headers=headers)
        if serving.is_known(request, found.etag):
            return serving.not_modified(found.etag)
        assert found.delivery is not None
        said = {
            "run": reference,
            "state": found.run.state,
            "delivery": found.delivery.reference,
            "leased_until": found.delivery.leased_until,
        }
        return Response(GateOutput(said).data, headers=headers)
