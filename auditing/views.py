"""The auditors' API: checkpoints, proofs and the ledger itself, to be checked without us (docs/proof-format.md)."""

from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.http import HttpResponse, StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from auditing import exporting
from auditing.serializers import (
    CheckpointOutput,
    CheckpointQuery,
    ConsistencyQuery,
    KeysOutput,
    LedgerQuery,
    MemberProofInput,
    ReadsQuery,
)
from portal import checkpoints
from portal.access import record_read
from portal.api import Access
from portal.choices import DeliveryChannel
from portal.endpoints import Endpoint, PageQuery, Pages, caller, read
from portal.errors import InvalidInput, ProofNotPossible
from portal.models import Checkpoint
from portal.schema import EndpointSchema, page_of
from training_runs import proofs, services
from training_runs.views import run_by

AUDIT = Access("portal.view_checkpoint", "audit:read")
TEXT = {(200, "text/plain"): OpenApiTypes.STR}
NDJSON = {(200, "application/x-ndjson"): OpenApiTypes.STR}


def text(note: str) -> HttpResponse:
    """A note or a proof, as it is."""
    return HttpResponse(
        note.encode(),
        content_type="text/plain; charset=utf-8",
        headers={"Cache-Control": "no-store"},
    )


def ndjson(lines: Iterator[bytes]) -> StreamingHttpResponse:
    return StreamingHttpResponse(
        lines, content_type="application/x-ndjson", headers={"Cache-Control": "no-store"}
    )


class CheckpointView(Endpoint):
    access = {"GET": AUDIT}
    schema = EndpointSchema()

    @extend_schema(operation_id="read_checkpoint", parameters=[CheckpointQuery], responses=TEXT)
    def get(self, request: Request) -> Any:
        """A checkpoint, the newest unless told otherwise: a signed note. Keep it: that is what proves anything."""
        size = read(CheckpointQuery, request.query_params).get("size")
        checkpoint = checkpoints.of_size(size) if size else checkpoints.latest()
        record_read(caller(request), "checkpoint.read", f"checkpoint:{checkpoint.size}")
        checkpoints.delivered(checkpoint, DeliveryChannel.API, caller(request).get_username())
        return text(checkpoint.note)


class CheckpointPages(Pages):
    ordering = "-size"


class CheckpointsView(Endpoint):
    access = {"GET": AUDIT}
    schema = EndpointSchema()

    @extend_schema(
        operation_id="list_checkpoints",
        parameters=[PageQuery],
        responses=page_of(CheckpointOutput),
    )
    def get(self, request: Request) -> Response:
        """Every checkpoint, the newest first."""
        read(PageQuery, request.query_params)
        record_read(caller(request), "checkpoint.read", "list")
        pages = CheckpointPages()
        rows = pages.paginate_queryset(Checkpoint.objects.all(), request, view=self) or []
        return pages.get_paginated_response([CheckpointOutput(row).data for row in rows])


class ConsistencyView(Endpoint):
    access = {"GET": AUDIT}
    schema = EndpointSchema()

    @extend_schema(operation_id="prove_consistency", parameters=[ConsistencyQuery], responses=TEXT)
    def get(self, request: Request) -> Any:
        """Proof that a checkpoint continues an older one, with the newer one in it."""
        asked = read(ConsistencyQuery, request.query_params)
        old = asked["old"]
        new = checkpoints.of_size(asked["new"]) if "new" in asked else checkpoints.latest()
        record_read(caller(request), "checkpoint.read", f"checkpoint:{new.size}")
        checkpoints.delivered(new, DeliveryChannel.API, caller(request).get_username())
        return text(checkpoints.prove_consistency(old, new))


class KeysView(Endpoint):
    access = {"GET": AUDIT}
    schema = EndpointSchema()

    @extend_schema(operation_id="list_checkpoint_keys", responses=KeysOutput)
    def get(self, request: Request) -> Response:
        """The keys that sign. Trust those that you were given by people, over another way."""
        found = [verifier.text for verifier in checkpoints.verifiers()]
        return Response({"name": settings.LEDGER_NAME, "verifier_keys": found})


class LedgerView(Endpoint):
    access = {"GET": AUDIT}
    schema = EndpointSchema()

    @extend_schema(operation_id="export_ledger", parameters=[LedgerQuery], responses=NDJSON)
    def get(self, request: Request) -> Any:
        """The canonical bytes of the entries, a line each: `ledger.ndjson` of an export, or a part of it.

        Numbers and codes, no identities. A stream that breaks off is gone on with by `after`.
        """
        asked = read(LedgerQuery, request.query_params)
        newest = checkpoints.latest().size
        upto = asked.get("upto", newest)
        if upto > newest:
            raise ProofNotPossible(f"The newest checkpoint covers the entries to {newest}.")
        if asked["after"] > upto:
            raise InvalidInput(f"At most {upto}.", field="after")
        record_read(caller(request), "export.ledger", f"entries:{asked['after'] + 1}-{upto}")
        return ndjson(exporting.ledger_lines(asked["after"], upto))


class ReadsView(Endpoint):
    access = {"GET": Access("portal.view_accessrecord", "audit:read")}
    schema = EndpointSchema()

    @extend_schema(operation_id="export_reads", parameters=[ReadsQuery], responses=NDJSON)
    def get(self, request: Request) -> Any:
        """The canonical bytes of the records of reads, a line each: `reads.ndjson` of an export."""
        asked = read(ReadsQuery, request.query_params)
        record_read(caller(request), "export.reads", "reads")
        return ndjson(exporting.read_lines(asked["after"]))


class EntryProofView(Endpoint):
    access = {"GET": AUDIT}
    schema = EndpointSchema()

    @extend_schema(operation_id="prove_entry", parameters=[CheckpointQuery], responses=TEXT)
    def get(self, request: Request, sequence: int) -> Any:
        """Proof that an entry is in the ledger, a C2SP tlog-proof, under the newest checkpoint unless told."""
        size = read(CheckpointQuery, request.query_params).get("size")
        checkpoint = checkpoints.of_size(size) if size else checkpoints.latest()
        proof = checkpoints.prove_entry(sequence, checkpoint)
        record_read(caller(request), "entry.proved", f"entry:{sequence}")
        return text(proof)


class ManifestCheckpointView(Endpoint):
    access = {"GET": Access("training_runs.view_manifest", "manifests:read")}
    schema = EndpointSchema()

    @extend_schema(operation_id="read_manifest_checkpoint", responses=TEXT)
    def get(self, request: Request, reference: str) -> Any:
        """The signed root of the tree over everybody in the manifest; the archive has the same tree."""
        manifest = services.manifest_of(run_by(reference))
        record_read(caller(request), "manifest.read", reference)
        return text(proofs.signed(manifest).note)


class MemberProofView(Endpoint):
    access = {"POST": Access("consent.view_member", "audit:read")}
    schema = EndpointSchema()

    @extend_schema(operation_id="prove_member", request=MemberProofInput, responses=TEXT)
    def post(self, request: Request, reference: str) -> Any:
        """Proof that a member is in the run's manifest, or is not and why: a C2SP tlog-proof of at most 1.5 KB.

        Refused (409) as the archive is.
        """
        number = read(MemberProofInput, request.data)["member_number"]
        run = run_by(reference)
        record_read(caller(request), "member.proved", f"member:{number}", purpose=reference)
        return text(proofs.prove_member(services.usable_manifest(run), number))
