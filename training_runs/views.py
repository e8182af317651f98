"""The API of runs and manifests: doors to `training_runs.services`.

Engineers see every run and act on their own. Who may look further, at any run, has a permission that says
so: `consent.view_member` to explain (officers, auditors), `portal.view_entry` for the archive (auditors;
it holds numbers and codes only). Lists of account_refs go to the run's owner alone.
"""

from collections.abc import Iterator
from typing import Any

from django.db.models import QuerySet
from django.http import HttpResponse, StreamingHttpResponse
from django.urls import reverse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from pyroaring import BitMap
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from consent.models import AccountReference
from consent.serializers import AccountInput
from consent.views import asked_member
from portal import hints
from portal.access import record_read
from portal.api import Access, problem
from portal.endpoints import Endpoint, Pages, caller, read
from portal.errors import NotFound
from portal.schema import EndpointSchema, page_of
from training_runs import downloads, incidents, services
from training_runs.models import Run
from training_runs.serializers import (
    CancellationInput,
    CompletionInput,
    ExplanationOutput,
    ManifestOutput,
    PreviewOutput,
    RunInput,
    RunOutput,
    RunQuery,
    StandingsOutput,
    WithdrawnOutput,
    WithdrawnQuery,
)
from training_runs.tasks import freeze_run


class StandingView(Endpoint):
    access = {"POST": Access("consent.view_standing", "members:read")}
    schema = EndpointSchema()

    @extend_schema(
        operation_id="ask_standing", request=AccountInput, responses={200: StandingsOutput}
    )
    def post(self, request: Request) -> Response:
        """Where a member stands for every purpose, right now and why.

        POST, because the reference is personal data: addresses end in logs and histories.
        """
        member = asked_member(request, "member.standing")
        answer = {"member_number": member.pk, "standings": services.standing(member)}
        return Response(StandingsOutput(answer).data)


# --- Runs ---------------------------------------------------------------------------------------


def runs() -> QuerySet[Run]:
    """Runs with all that an answer shows."""
    found = Run.objects.select_related("parent", "owner", "attempt", "manifest")
    return incidents.counted(found.prefetch_related("manifest__verifications"))


def run_by(reference: str) -> Run:
    run = runs().filter(reference=reference).first()
    if run is None:
        raise NotFound("There is no such run.")
    return run


def own_run(request: Request, reference: str, *, unless: str = "") -> Run:
    """The run, if the caller owns it or has the permission `unless`. Raises PermissionDenied."""
    run = run_by(reference)
    if run.owner_id != request.user.pk and not (unless and request.user.has_perm(unless)):
        raise PermissionDenied(f"{reference} belongs to somebody else.", code="not_your_run")
    return run


def answer(request: Request, run: Run, status: int = 200) -> Response:
    """The run as it is now."""
    run = run_by(run.reference)
    return Response(
        RunOutput(run, context={"user": request.user}).data,
        status=status,
        headers={"Location": reverse("api:run-detail", args=[run.reference])}
        if status > 200
        else None,
    )


class RunsView(Endpoint):
    access = {
        "GET": Access("training_runs.view_run", "runs:read"),
        "POST": Access("training_runs.add_run", "runs:write"),
    }
    schema = EndpointSchema()

    @extend_schema(operation_id="list_runs", parameters=[RunQuery], responses=page_of(RunOutput))
    def get(self, request: Request) -> Response:
        """Runs of everybody, the newest first."""
        asked = read(RunQuery, request.query_params)
        chosen = {name: asked[name] for name in ("state", "purpose") if name in asked}
        pages = Pages()
        rows = pages.paginate_queryset(runs().filter(**chosen), request, view=self) or []
        return pages.get_paginated_response(
            [RunOutput(run, context={"user": request.user}).data for run in rows]
        )

    @extend_schema(
        operation_id="register_run",
        request=RunInput,
        responses={201: RunOutput, 200: OpenApiResponse(RunOutput, "Registered before.")},
    )
    def post(self, request: Request) -> Response:
        """Register a run; the same tracker_run_id again gives the same run (200)."""
        run, is_new = services.register(**read(RunInput, request.data), owner=caller(request))
        return answer(request, run, 201 if is_new else 200)


class RunView(Endpoint):
    access = {"GET": Access("training_runs.view_run", "runs:read")}
    schema = EndpointSchema()

    @extend_schema(operation_id="read_run", responses=RunOutput)
    def get(self, request: Request, reference: str) -> Response:
        """A run and, once frozen, its manifest in short."""
        return answer(request, run_by(reference))


class PreviewView(Endpoint):
    access = {"GET": Access("training_runs.view_run", "runs:read")}
    schema = EndpointSchema()

    @extend_schema(operation_id="preview_run", responses=PreviewOutput)
    def get(self, request: Request, reference: str) -> Response:
        """How many would be in and out if the run were frozen now; nothing is written."""
        return Response(PreviewOutput(services.preview(run_by(reference))).data)


class StartView(Endpoint):
    access = {"POST": Access("training_runs.start_run", "runs:write")}
    schema = EndpointSchema()

    @extend_schema(operation_id="start_run", request=None, responses={202: RunOutput})
    def post(self, request: Request, reference: str) -> Response:
        """Request the run's manifest; `Location` is where to look. Refused with every gap (409)."""
        run = services.start(run=own_run(request, reference), actor=caller(request))
        hints.after_commit(freeze_run, run.pk)
        return answer(request, run, 202)


class CompleteView(Endpoint):
    access = {"POST": Access("training_runs.start_run", "runs:write")}
    schema = EndpointSchema()

    @extend_schema(operation_id="complete_run", request=CompletionInput, responses=RunOutput)
    def post(self, request: Request, reference: str) -> Response:
        """Say which manifest the run was trained on. Another than the frozen one opens a finding.

        Refused (409) unless the frozen one verified.
        """
        sent = read(CompletionInput, request.data)
        return answer(
            request,
            services.complete(run=own_run(request, reference), **sent, actor=caller(request)),
        )


class CancelView(Endpoint):
    access = {"POST": Access("training_runs.start_run", "runs:write")}
    schema = EndpointSchema()

    @extend_schema(operation_id="cancel_run", request=CancellationInput, responses=RunOutput)
    def post(self, request: Request, reference: str) -> Response:
        """End a run that will not be trained; this cannot be undone."""
        sent = read(CancellationInput, request.data)
        return answer(
            request, services.cancel(run=own_run(request, reference), **sent, actor=caller(request))
        )


class ExplanationView(Endpoint):
    access = {"POST": Access("training_runs.explain_run", "members:read")}
    schema = EndpointSchema()

    @extend_schema(
        operation_id="explain_run", request=AccountInput, responses={200: ExplanationOutput}
    )
    def post(self, request: Request, reference: str) -> Response:
        """Why a member is in or out of the run. POST, because the reference is personal data."""
        run = own_run(request, reference, unless="consent.view_member")
        member = asked_member(request, "run.explained", purpose=run.reference)
        return Response(ExplanationOutput(services.explain(run, member)).data)


# --- Manifests ----------------------------------------------------------------------------------


class ManifestView(Endpoint):
    access = {"GET": Access("training_runs.view_manifest", "manifests:read")}
    schema = EndpointSchema()

    @extend_schema(operation_id="read_manifest", responses=ManifestOutput)
    def get(self, request: Request, reference: str) -> Response:
        """What was frozen, in counts, and whether it verifies. Shown also when it does not."""
        run = run_by(reference)
        manifest = services.manifest_of(run)
        record_read(caller(request), "manifest.read", run.reference)
        return Response(ManifestOutput(manifest).data)


def attachment(name: str, content_type: str) -> dict[str, str]:
    return {
        "Content-Disposition": f'attachment; filename="{name}"',
        "Content-Type": content_type,
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-store",
    }


class ArchiveView(Endpoint):
    access = {"GET": Access("training_runs.view_manifest", "manifests:read")}
    schema = EndpointSchema()

    @extend_schema(
        operation_id="download_archive",
        parameters=[OpenApiParameter("Range", str, OpenApiParameter.HEADER)],
        responses={
            (200, "application/octet-stream"): OpenApiTypes.BINARY,
            (206, "application/octet-stream"): OpenApiTypes.BINARY,
            304: OpenApiResponse(description="You have it already (If-None-Match)."),
            (416, "application/problem+json"): OpenApiResponse(
                OpenApiTypes.OBJECT, "No byte of it is in the range."
            ),
        },
    )
    def get(self, request: Request, reference: str) -> Any:
        """The archive (docs/manifest-format.md): numbers and codes, no account_ref. Supports Range.

        Refused (409) while the manifest is not verified, for good when it does not verify, and for a
        cancelled run.
        """
        run = own_run(request, reference, unless="portal.view_entry")
        manifest = services.usable_manifest(run)
        record_read(caller(request), "manifest.archive", run.reference)
        etag = f'"{manifest.digest}"'
        headers = attachment(f"{run.reference}.manifest", "application/octet-stream") | {
            "ETag": etag,
            "Accept-Ranges": "bytes",
        }
        if etag in request.headers.get("If-None-Match", ""):
            return HttpResponse(status=304, headers={"ETag": etag, "Cache-Control": "no-store"})
        asked = request.headers.get("Range", "")
        if request.headers.get("If-Range", etag) != etag:
            asked = ""
        try:
            part = downloads.span(asked, manifest.size)
        except downloads.Unsatisfiable:
            return problem(
                416, "No byte of the archive is in this range.", name="range_not_satisfiable",
                headers={"Content-Range": f"bytes */{manifest.size}"},
            )  # fmt: skip
        file = downloads.open_archive(manifest.digest)
        whole = downloads.Span(0, manifest.size)
        if part is not None:
            last = part.start + part.length - 1
            headers["Content-Range"] = f"bytes {part.start}-{last}/{manifest.size}"
        headers["Content-Length"] = str((part or whole).length)
        return StreamingHttpResponse(
            downloads.blocks(file, part or whole), status=206 if part else 200, headers=headers
        )


COUNTED = [
    OpenApiParameter(name, int, OpenApiParameter.HEADER, response=[200], description=words)
    for name, words in (
        ("Members-Included", "In the manifest."),
        (
            "Members-Withdrawn-Since",
            "Of these, out if a run were frozen now; the erased among them.",
        ),
        (
            "Members-Erased-Since",
            "Of these, erased: their account_ref is not in the list any more.",
        ),
    )
]


class _MembersView(Endpoint):
    access = {"GET": Access("training_runs.download_manifest", "manifests:read")}
    schema = EndpointSchema()

    def _stream(self, request: Request, reference: str, suffix: str, content_type: str) -> Any:
        run = own_run(request, reference)
        manifest = services.usable_manifest(run)
        record_read(caller(request), "manifest.members", run.reference)
        since = services.withdrawn_since(manifest)
        pages = services.account_refs(services.load(manifest).included)
        body = downloads.csv_lines(pages) if suffix == "csv" else downloads.parquet_pieces(pages)
        return StreamingHttpResponse(
            body,
            headers=attachment(f"{run.reference}-members.{suffix}", content_type)
            | {
                "Members-Included": str(since.population),
                "Members-Withdrawn-Since": str(since.population - len(since.included)),
                "Members-Erased-Since": str(len(since.excluded["erased"])),
            },
        )


class MembersCsvView(_MembersView):
    @extend_schema(
        operation_id="download_members_csv",
        parameters=COUNTED,
        responses={(200, "text/csv"): OpenApiTypes.STR},
    )
    def get(self, request: Request, reference: str) -> Any:
        """The included, as CSV: member_number, account_ref. Refused for a cancelled run (409).

        A cell that would begin a formula in a spreadsheet gets a leading apostrophe; Parquet has the
        reference as it is.
        """
        return self._stream(request, reference, "csv", "text/csv; charset=utf-8")


class MembersParquetView(_MembersView):
    @extend_schema(
        operation_id="download_members_parquet",
        parameters=COUNTED,
        responses={(200, "application/vnd.apache.parquet"): OpenApiTypes.BINARY},
    )
    def get(self, request: Request, reference: str) -> Any:
        """The included, as Parquet: member_number, account_ref as it is. Refused for a cancelled run (409)."""
        return self._stream(request, reference, "parquet", "application/vnd.apache.parquet")


class WithdrawnView(Endpoint):
    access = {"GET": Access("training_runs.download_manifest", "manifests:read")}
    schema = EndpointSchema()

    @extend_schema(
        operation_id="list_withdrawn", parameters=[WithdrawnQuery], responses=WithdrawnOutput
    )
    def get(self, request: Request, reference: str) -> Response:
        """Who of the included would be out of a run frozen now, by reason, then member by member."""
        run = own_run(request, reference)
        asked = read(WithdrawnQuery, request.query_params)
        manifest = services.usable_manifest(run)
        record_read(caller(request), "manifest.withdrawn", run.reference)
        since = services.withdrawn_since(manifest)
        withdrawn = BitMap.union(BitMap(), *since.excluded.values())
        page = list(_first(withdrawn, asked["after"], asked["page_size"]))
        more = bool(page) and page[-1] != withdrawn.max()
        references = dict(
            AccountReference.objects.filter(member__in=page).values_list("member_id", "account_ref")
        )
        here = reverse("api:run-withdrawn", args=[reference])
        following = f"{here}?after={page[-1]}&page_size={asked['page_size']}" if more else None
        return Response(
            WithdrawnOutput(
                {
                    "included": since.population,
                    "withdrawn": len(withdrawn),
                    "by_reason": {code: len(out) for code, out in since.excluded.items() if out},
                    "next": request.build_absolute_uri(following) if following else None,
                    "results": [
                        {
                            "member_number": number,
                            "account_ref": references.get(number),
                            "reasons": since.reasons(number),
                        }
                        for number in page
                    ],
                }
            ).data
        )


def _first(members: BitMap, after: int, count: int) -> Iterator[int]:
    """The first `count` members above `after`, in order."""
    rank = members.rank(after) if after < 2**32 else len(members)
    return iter(members[rank : rank + count])
