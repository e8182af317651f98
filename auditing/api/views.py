"""The auditors' API: checkpoints, proofs and the ledger itself, to be checked without us (docs/reference/proof-format.md)."""

from typing import Any

from django.conf import settings
from django.http import HttpResponse
from django.urls import reverse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from auditing.api.serializers import (
    CheckpointOutput,
    CheckpointQuery,
    ConsistencyQuery,
    KeysOutput,
    LedgerQuery,
    MemberProofInput,
    ReadsQuery,
)
from common.api.access import Access
from common.api.endpoints import Endpoint, PageQuery, Pages, caller, read
from common.api.schema import EndpointSchema, page_of
from common.staff import file_views
from ledger.checkpoints import signing
from ledger.choices import DeliveryChannel
from ledger.errors import InvalidInput, ProofNotPossible
from ledger.models import Checkpoint
from ledger.reads import batches
from ledger.reads.recording import record_read
from training_runs.api.views import run_by
from training_runs.downloads import proofs
from training_runs.runs import verifying

AUDIT = Access("ledger.view_checkpoint", "audit:read")
TEXT = {(200, "text/plain"): OpenApiTypes.STR}
NDJSON = {(200, "application/x-ndjson"): OpenApiTypes.STR}


def text(note: str) -> HttpResponse:
    """A note or a proof, as it is."""
    return HttpResponse(
        note.encode(),
        content_type="text/plain; charset=utf-8",
        headers={"Cache-Control": "no-store"},
    )


def consistency_proof(request: Request) -> HttpResponse:
    """The proof between the sizes that the query names; the caller holds the newer checkpoint from then on."""
    asked = read(ConsistencyQuery, request.query_params)
    new = signing.of_size(asked["new"]) if "new" in asked else signing.latest()
    record_read(caller(request), "checkpoint.read", f"checkpoint:{new.size}")
    signing.delivered(new, DeliveryChannel.API, caller(request).get_username())
    return text(signing.prove_consistency(asked["old"], new))


MAX_ENTRIES, MAX_READS = 256, 5_000
"""Up to so many a request tries to give at once; of more a worker makes a file."""
FILE: dict[Any, Any] = {
    **NDJSON,
    202: OpenApiResponse(
        OpenApiTypes.OBJECT,
        "A long one is being made: ask `Location` again after `Retry-After` seconds.",
    ),
}


def lines(request: Request, kind: str, after: int, upto: int, *, is_short: bool) -> Any:
    """The file of lines (200, with length, ETag and ranges), or 202 while a worker makes it."""
    give = file_views.short_or_asked if is_short else file_views.answer
    here = reverse(f"api:{kind}")
    return give(
        request,
        kind,
        {"after": after, "upto": upto},
        caller(request),
        location=f"{here}?after={after}&upto={upto}",
    )


class CheckpointView(Endpoint):
    access = {"GET": AUDIT}
    schema = EndpointSchema()

    @extend_schema(operation_id="read_checkpoint", parameters=[CheckpointQuery], responses=TEXT)
    def get(self, request: Request) -> Any:
        """A checkpoint, the newest unless told otherwise: a signed note. Keep it: that is what proves anything."""
        size = read(CheckpointQuery, request.query_params).get("size")
        checkpoint = signing.of_size(size) if size else signing.latest()
        record_read(caller(request), "checkpoint.read", f"checkpoint:{checkpoint.size}")
        signing.delivered(checkpoint, DeliveryChannel.API, caller(request).get_username())
        return text(checkpoint.note)


class NewestCheckpointView(Endpoint):
    access = {"GET": Access("training_runs.view_manifest", "manifests:read")}
    schema = EndpointSchema()

    @extend_schema(operation_id="read_newest_checkpoint", responses=TEXT)
    def get(self, request: Request) -> Any:
        """The newest checkpoint, for those who check manifests, deliveries and entries of runs: a signed note."""
        checkpoint = signing.latest()
        record_read(caller(request), "checkpoint.read", f"checkpoint:{checkpoint.size}")
        signing.delivered(checkpoint, DeliveryChannel.API, caller(request).get_username())
        return text(checkpoint.note)


class ContinuedView(Endpoint):
    access = {"GET": Access("training_runs.view_manifest", "manifests:read")}
    schema = EndpointSchema()

    @extend_schema(
        operation_id="prove_own_consistency", parameters=[ConsistencyQuery], responses=TEXT
    )
    def get(self, request: Request) -> Any:
        """Proof that a checkpoint continues the one that you kept from last time, with the newer one in it."""
        return consistency_proof(request)


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
        return consistency_proof(request)


class KeysView(Endpoint):
    access = {"GET": AUDIT}
    schema = EndpointSchema()

    @extend_schema(operation_id="list_checkpoint_keys", responses=KeysOutput)
    def get(self, request: Request) -> Response:
        """The keys that sign. Trust those that you were given by people, through a separate channel."""
        found = [verifier.text for verifier in signing.verifiers()]
        return Response({"name": settings.LEDGER_NAME, "verifier_keys": found})


class LedgerView(Endpoint):
    access = {"GET": AUDIT}
    schema = EndpointSchema()

    @extend_schema(operation_id="export_ledger", parameters=[LedgerQuery], responses=FILE)
    def get(self, request: Request) -> Any:
        """The canonical bytes of the entries, a line each: `ledger.ndjson` of an export, or a part of it.

        Numbers and codes, no identities. A long part is made by a worker (202); a download that was cut goes on with
        `Range`. Codes of what goes wrong with a long part: those of `download_members_csv`.
        """
        asked = read(LedgerQuery, request.query_params)
        newest = signing.latest().size
        after, upto = asked["after"], asked.get("upto", newest)
        if upto > newest:
            raise ProofNotPossible(f"The newest checkpoint covers the entries to {newest}.")
        if after > upto:
            raise InvalidInput(f"At most {upto}.", field="after")
        record_read(caller(request), "export.ledger", f"entries:{after + 1}-{upto}")
        return lines(request, "ledger", after, upto, is_short=upto - after <= MAX_ENTRIES)


class ReadsView(Endpoint):
    access = {"GET": Access("ledger.view_accessrecord", "audit:read")}
    schema = EndpointSchema()

    @extend_schema(operation_id="export_reads", parameters=[ReadsQuery], responses=FILE)
    def get(self, request: Request) -> Any:
        """The canonical bytes of the records of reads, a line each: `reads.ndjson` of an export, or a part of it.

        A long part is made by a worker (202). Codes of what goes wrong with it: those of `download_members_csv`.
        """
        asked = read(ReadsQuery, request.query_params)
        record_read(caller(request), "export.reads", "reads")
        newest = batches.settled()
        after, upto = asked["after"], asked.get("upto", newest)
        if upto > newest:
            raise InvalidInput(f"At most {newest}.", field="upto")
        if after > upto:
            raise InvalidInput(f"At most {upto}.", field="after")
        return lines(request, "reads", after, upto, is_short=upto - after <= MAX_READS)


class EntryProofView(Endpoint):
    access = {"GET": AUDIT}
    schema = EndpointSchema()

    @extend_schema(operation_id="prove_entry", parameters=[CheckpointQuery], responses=TEXT)
    def get(self, request: Request, sequence: int) -> Any:
        """Proof that an entry is in the ledger, a C2SP tlog-proof, under the newest checkpoint unless told."""
        size = read(CheckpointQuery, request.query_params).get("size")
        checkpoint = signing.of_size(size) if size else signing.latest()
        proof = signing.prove_entry(sequence, checkpoint)
        record_read(caller(request), "entry.proved", f"entry:{sequence}")
        return text(proof)


class ManifestCheckpointView(Endpoint):
    access = {"GET": Access("training_runs.view_manifest", "manifests:read")}
    schema = EndpointSchema()

    @extend_schema(operation_id="read_manifest_checkpoint", responses=TEXT)
    def get(self, request: Request, reference: str) -> Any:
        """The signed root of the tree over everybody in the manifest; the archive has the same tree."""
        manifest = verifying.manifest_of(run_by(reference))
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
        return text(proofs.prove_member(verifying.usable_manifest(run), number))
