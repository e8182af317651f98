"""The API of runs and manifests: doors to `training_runs.runs.registering`.

Engineers see every run and act on those of their teams. Who may look further, at any run, has a permission that says
so: `consent.view_member` to explain (officers, auditors), `ledger.view_entry` for the archive (auditors;
it holds numbers and codes only). Lists of account_refs are deliveries (`deliveries.api`).
"""

from collections.abc import Sequence
from typing import Any

from django.db.models import QuerySet
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.urls import reverse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from common import registry
from common.api.access import Access
from common.api.endpoints import Endpoint, PageQuery, Pages, caller, read
from common.api.schema import EndpointSchema, page_of
from common.files import serving
from common.processes import hints
from consent.api.serializers import AccountInput
from consent.api.views import asked_member
from ledger.checkpoints import signing
from ledger.errors import LedgerRewritten, NotFound
from ledger.models import Entry
from ledger.reads.recording import record_read
from ledger.verification.leaves import recomputed
from training_runs import teams
from training_runs.api import waiting
from training_runs.api.serializers import (
    RUN_FIELDS,
    AssessmentInput,
    AssessmentOutput,
    CancellationInput,
    EntryOutput,
    ExplanationOutput,
    IncidentOutput,
    ManifestOutput,
    PreviewOutput,
    RunInput,
    RunOutput,
    RunQuery,
    StandingsOutput,
    StartInput,
    WaitQuery,
    WithdrawnOutput,
    WithdrawnQuery,
    asked_of,
)
from training_runs.choices import BEFORE_THE_FREEZE
from training_runs.downloads import withdrawn
from training_runs.incidents import access as incidents
from training_runs.incidents import cases
from training_runs.manifests import archives
from training_runs.models import Run
from training_runs.runs import (
    assessments,
    explaining,
    registering,
    unmatched,
    verifying,
)
from training_runs.tasks import freeze_run


class StandingView(Endpoint):
    access = {"POST": Access("consent.view_standing", "members:read")}
    schema = EndpointSchema()

    @extend_schema(
        operation_id="ask_standing", request=AccountInput, responses={200: StandingsOutput}
    )
    def post(self, request: Request) -> Response:
        """A member's standing for every purpose right now, and why.

        POST, because the reference is personal data: addresses end in logs and histories.
        """
        member = asked_member(request, "member.standing")
        answer = {"member_number": member.pk, "standings": explaining.standing(member)}
        return Response(StandingsOutput(answer).data)


# --- Runs ---------------------------------------------------------------------------------------


def runs() -> QuerySet[Run]:
    """Runs with all that an answer shows but the number of incidents."""
    found = Run.objects.select_related("parent", "team__responsible", "attempt", "manifest")
    return found.prefetch_related("manifest__verifications", "findings")


def run_by(reference: str) -> Run:
    run = runs().filter(reference=reference).first()
    if run is None:
        raise NotFound("There is no such run.")
    return run


def own_run(request: Request, reference: str, *, unless: str = "") -> Run:
    """The run, if it is of a team of the caller's, or the caller has the permission `unless`. Raises PermissionDenied."""
    run = run_by(reference)
    if not (unless and request.user.has_perm(unless)) and not teams.has(run, caller(request)):
        raise PermissionDenied(f"{reference} belongs to another team.", code="not_your_run")
    return run


def shown(request: Request, found: Sequence[Run]) -> list[Any]:
    """Runs as an answer shows them, with the use that is made of their data."""
    uses: dict[int, dict[str, Any]] = {}
    for use_of in registry.hooks("training_runs.use_of_runs"):
        uses |= use_of([run.pk for run in found])
    purposes = sorted({run.purpose for run in found if run.state in BEFORE_THE_FREEZE})
    context = {
        "user": request.user,
        "uses": uses,
        "assessments": assessments.standings(found),
        "unmatched": {purpose: unmatched.of_purpose(purpose) for purpose in purposes},
    }
    return [RunOutput(run, context=context).data for run in found]


def answer(request: Request, run: Run, status: int = 200) -> Response:
    """The run as it is now."""
    run = run_by(run.reference)
    return Response(
        shown(request, [run])[0],
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
        """Runs of everybody, the newest first; those that every given parameter fits."""
        asked = read(RunQuery, request.query_params)
        pages = Pages()
        found = incidents.counted(runs().filter(**asked_of(asked, RUN_FIELDS)), request.user)
        rows = pages.paginate_queryset(found, request, view=self) or []
        return pages.get_paginated_response(shown(request, rows))

    @extend_schema(
        operation_id="register_run",
        request=RunInput,
        responses={201: RunOutput, 200: OpenApiResponse(RunOutput, "Registered before.")},
    )
    def post(self, request: Request) -> Response:
        """Register a run; the same tracker_run_id again gives the same run (200)."""
        user = caller(request)
        sent = read(RunInput, request.data, user=user)
        team = sent.pop("team", None) or teams.named(user)
        run, is_new = registering.register(**sent, team=team, actor=caller(request))
        return answer(request, run, 201 if is_new else 200)


class RunView(Endpoint):
    access = {"GET": Access("training_runs.view_run", "runs:read")}
    schema = EndpointSchema()

    @extend_schema(
        operation_id="read_run",
        parameters=[
            WaitQuery,
            OpenApiParameter("If-None-Match", str, OpenApiParameter.HEADER, description="An `ETag`: 304 while nothing has changed."),
            OpenApiParameter("ETag", str, OpenApiParameter.HEADER, response=[200, 304], description="Changes with the answer."),
            OpenApiParameter("Retry-After", int, OpenApiParameter.HEADER, response=[200, 304], description="Seconds: while the run waits for its manifest, or when too many requests wait."),
        ],
        responses={200: RunOutput, 304: OpenApiResponse(description="Nothing has changed.")},
    )  # fmt: skip
    def get(self, request: Request, reference: str) -> HttpResponseBase:
        """A run and, once frozen, its manifest in short.

        With `wait` the answer comes when something has changed, or after so many seconds. A web process lets only some
        requests wait; another one is answered at once, with `Retry-After`.
        """
        asked = read(WaitQuery, request.query_params)

        def look() -> Any:
            return shown(request, [run_by(reference)])[0]

        return waiting.response(
            request, waiting.for_news(look, request, asked["wait"], _is_being_made)
        )


def _is_being_made(run: Any) -> bool:
    """Whether a run waits for its manifest, or the manifest for its verification."""
    manifest = run["manifest"]
    return run["state"] == "requested" or (
        manifest is not None and manifest["verification"] == "pending"
    )


class RunEntriesView(Endpoint):
    access = {"GET": Access("training_runs.view_manifest", "manifests:read")}
    schema = EndpointSchema()

    @extend_schema(
        operation_id="list_run_entries", parameters=[PageQuery], responses=page_of(EntryOutput)
    )
    def get(self, request: Request, reference: str) -> Response:
        """The ledger's entries about a run, the newest first: their numbers, kinds and leaves."""
        read(PageQuery, request.query_params)
        run = own_run(request, reference, unless="ledger.view_entry")
        pages = EntryPages()
        found = Entry.objects.filter(subject=run.reference)
        rows = pages.paginate_queryset(found, request, view=self) or []
        return pages.get_paginated_response([EntryOutput(row).data for row in rows])


class EntryPages(Pages):
    ordering = "-sequence"


def check_own_entry(request: Request, reference: str, sequence: int) -> None:
    """Check that an entry is about a run that the caller may read of. Raises NotFound, PermissionDenied."""
    run = own_run(request, reference, unless="ledger.view_entry")
    if not Entry.objects.filter(pk=sequence, subject=run.reference).exists():
        raise NotFound(f"No such entry is about {reference}.")


class RunEntryProofView(Endpoint):
    access = {"GET": Access("training_runs.view_manifest", "manifests:read")}
    schema = EndpointSchema()

    @extend_schema(
        operation_id="prove_run_entry", responses={(200, "text/plain"): OpenApiTypes.STR}
    )
    def get(self, request: Request, reference: str, sequence: int) -> HttpResponse:
        """Proof that an entry about the run is in the ledger: a C2SP tlog-proof under the newest checkpoint."""
        check_own_entry(request, reference, sequence)
        proof = signing.prove_entry(sequence, signing.latest())
        record_read(caller(request), "run.entry_proved", f"entry:{sequence}")
        return HttpResponse(proof, content_type="text/plain; charset=utf-8")


class RunEntryView(Endpoint):
    access = {"GET": Access("training_runs.view_manifest", "manifests:read")}
    schema = EndpointSchema()

    @extend_schema(
        operation_id="read_run_entry", responses={(200, "application/json"): OpenApiTypes.OBJECT}
    )
    def get(self, request: Request, reference: str, sequence: int) -> HttpResponse:
        """An entry about the run with all its rows, in the canonical bytes of an export.

        The proof of a long entry, such as that of a delivery of hundreds of files, has its short form only: digests of
        these rows.
        """
        check_own_entry(request, reference, sequence)
        (found,) = recomputed(sequence - 1, sequence)
        if not found.is_as_sealed:
            raise LedgerRewritten(f"Entry {sequence} is not what was sealed.")
        record_read(caller(request), "run.entry_read", f"entry:{sequence}")
        return HttpResponse(
            found.line, content_type="application/json", headers={"Cache-Control": "no-store"}
        )


class PreviewView(Endpoint):
    access = {"GET": Access("training_runs.view_run", "runs:read")}
    schema = EndpointSchema()

    @extend_schema(operation_id="preview_run", responses=PreviewOutput)
    def get(self, request: Request, reference: str) -> Response:
        """How many would be in and out if the run were frozen now; nothing is written."""
        return Response(PreviewOutput(registering.preview(run_by(reference))).data)


class AssessmentsView(Endpoint):
    access = {
        "GET": Access("training_runs.view_assessment", "runs:read"),
        "POST": Access(assessments.WRITE, "runs:write"),
    }
    schema = EndpointSchema()

    @extend_schema(
        operation_id="list_assessments", parameters=[PageQuery], responses=page_of(AssessmentOutput)
    )
    def get(self, request: Request, reference: str) -> Response:
        """The compatibility assessments of a run, the newest first, with what became of each."""
        read(PageQuery, request.query_params)
        rows = run_by(reference).assessments.select_related(
            "run", "written_by", "review__reviewer", "review__entry"
        )
        pages = Pages()
        found = pages.paginate_queryset(rows, request, view=self) or []
        return pages.get_paginated_response([AssessmentOutput(row).data for row in found])

    @extend_schema(
        operation_id="write_assessment",
        request=AssessmentInput,
        responses={201: AssessmentOutput, 200: OpenApiResponse(AssessmentOutput, "Sent before.")},
    )
    def post(self, request: Request, reference: str) -> Response:
        """Write the compatibility assessment of a run whose purpose differs from that of a run it builds on.

        The same words again, while it waits, get the first answer (200). A privacy officer outside of the team approves or
        rejects it, on a page of the admin; until then the run does not start (409, `assessment_missing`,
        `assessment_waiting`). Write about the processing, not about people.
        """
        row, is_new = assessments.write(
            run=own_run(request, reference),
            actor=caller(request),
            **read(AssessmentInput, request.data),
        )
        return Response(AssessmentOutput(row).data, status=201 if is_new else 200)


class IncidentsView(Endpoint):
    access = {"GET": Access("training_runs.view_run", "runs:read")}
    schema = EndpointSchema()

    @extend_schema(
        operation_id="list_incidents", parameters=[PageQuery], responses=page_of(IncidentOutput)
    )
    def get(self, request: Request, reference: str) -> Response:
        """The incidents of a run, the newest first: for its team, and for those who see the incidents of every run.

        Members of the manifest who, as an entry says that was recorded after it, were out when it was frozen. The next
        delivery leaves them out.
        """
        run = run_by(reference)
        if not incidents.may_read(request.user, run):
            raise PermissionDenied(f"{reference} belongs to another team.", code="not_your_run")
        read(PageQuery, request.query_params)
        record_read(caller(request), "incident.listed", reference, purpose="api")
        pages = Pages()
        found = pages.paginate_queryset(incidents.of(run), request, view=self) or []
        return pages.get_paginated_response([IncidentOutput(row).data for row in found])


class IncidentAcknowledgementView(Endpoint):
    access = {"POST": Access(cases.OWN, "runs:write")}
    schema = EndpointSchema()

    @extend_schema(
        operation_id="acknowledge_incident", request=None, responses={200: IncidentOutput}
    )
    def post(self, request: Request, reference: str, incident: str) -> Response:
        """Say that the run's team knows of an incident. Once more changes nothing."""
        run = own_run(request, reference)
        row = run.incidents.filter(reference=incident).first()
        if row is None:
            raise NotFound(f"{reference} has no such incident.")
        row = cases.acknowledge(incident=row, actor=caller(request))
        return Response(IncidentOutput(row).data)


class StartView(Endpoint):
    access = {"POST": Access("training_runs.start_run", "runs:write")}
    schema = EndpointSchema()

    @extend_schema(operation_id="start_run", request=StartInput, responses={202: RunOutput})
    def post(self, request: Request, reference: str) -> Response:
        """Request the run's manifest; `Location` is where to look. Refused with every gap (409).

        Where open objections reach no account for longer than the policy allows, the answer is 409
        `unmatched_objections` with their number; the same again with `accept_unmatched` starts the run.
        """
        sent = read(StartInput, request.data)
        run = registering.start(run=own_run(request, reference), actor=caller(request), **sent)
        hints.after_commit(freeze_run, run.pk)
        return answer(request, run, 202)


class CancelView(Endpoint):
    access = {"POST": Access("training_runs.start_run", "runs:write")}
    schema = EndpointSchema()

    @extend_schema(operation_id="cancel_run", request=CancellationInput, responses=RunOutput)
    def post(self, request: Request, reference: str) -> Response:
        """End a run that will not be trained; this cannot be undone."""
        sent = read(CancellationInput, request.data)
        return answer(
            request,
            registering.cancel(run=own_run(request, reference), **sent, actor=caller(request)),
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
        return Response(ExplanationOutput(explaining.explain(run, member)).data)


# --- Manifests ----------------------------------------------------------------------------------


class ManifestView(Endpoint):
    access = {"GET": Access("training_runs.view_manifest", "manifests:read")}
    schema = EndpointSchema()

    @extend_schema(operation_id="read_manifest", responses=ManifestOutput)
    def get(self, request: Request, reference: str) -> Response:
        """The frozen manifest in counts, and whether it verifies. Shown also when it does not."""
        run = run_by(reference)
        manifest = verifying.manifest_of(run)
        record_read(caller(request), "manifest.read", run.reference)
        return Response(ManifestOutput(manifest).data)


FILE_HEADERS = [
    OpenApiParameter(name, str, OpenApiParameter.HEADER, response=[200, 206], description=words)
    for name, words in (
        ("ETag", "The SHA-256 of the whole file, in quotes."),
        ("Repr-Digest", "The same, as RFC 9530 writes it."),
        ("Accept-Ranges", "`bytes`: an interrupted download continues with `Range` and `If-Range`."),
    )
] + [
    OpenApiParameter(name, str, OpenApiParameter.HEADER, description=words)
    for name, words in (
        ("Range", "`bytes=100-`: a part of the file (206)."),
        ("If-Range", "The `ETag` of the file that the range belongs to; of another one the whole is sent."),
        ("If-None-Match", "An `ETag`: 304 when the file is that one."),
    )
]  # fmt: skip
NOT_SENT: dict[Any, Any] = {
    304: OpenApiResponse(description="You have it already (If-None-Match)."),
    (412, "application/problem+json"): OpenApiResponse(
        OpenApiTypes.OBJECT, "The file has been replaced by another one (If-Match)."
    ),
    (416, "application/problem+json"): OpenApiResponse(
        OpenApiTypes.OBJECT, "No byte of it is in the range."
    ),
}


class ArchiveView(Endpoint):
    access = {"GET": Access("training_runs.view_manifest", "manifests:read")}
    schema = EndpointSchema()

    @extend_schema(
        operation_id="download_archive",
        parameters=FILE_HEADERS,
        responses={
            (200, "application/octet-stream"): OpenApiTypes.BINARY,
            (206, "application/octet-stream"): OpenApiTypes.BINARY,
            **NOT_SENT,
        },
    )
    def get(self, request: Request, reference: str) -> Any:
        """The archive (docs/reference/manifest-format.md): numbers and codes, no account_ref. Supports Range.

        Refused (409) while the manifest is not verified, for good when it does not verify, and for a
        cancelled run.
        """
        run = own_run(request, reference, unless="ledger.view_entry")
        manifest = verifying.usable_manifest(run)
        record_read(caller(request), "manifest.archive", run.reference)
        stored = serving.Stored(
            archives.opened(manifest.digest),
            manifest.size,
            manifest.digest,
            f"{run.reference}.manifest",
            "application/octet-stream",
        )
        return serving.response(request, stored)


class WithdrawnView(Endpoint):
    access = {"GET": Access("training_runs.download_manifest", "manifests:read")}
    schema = EndpointSchema()

    @extend_schema(
        operation_id="list_withdrawn",
        parameters=[
            WithdrawnQuery,
            OpenApiParameter("If-None-Match", str, OpenApiParameter.HEADER, description="An `ETag`: 304 while the set is the same. Only without `cursor`."),
            OpenApiParameter("ETag", str, OpenApiParameter.HEADER, response=[200, 304], description="Weak: `digest`. It changes with the set, not with the cut."),
        ],
        responses={200: WithdrawnOutput, 304: OpenApiResponse(description="The set has not changed.")},
    )  # fmt: skip
    def get(self, request: Request, reference: str) -> HttpResponseBase:
        """The included members who would be out of a run frozen now. References, and no reasons: these are the members' own.

        The pages that `next` leads to belong to one answer: to the ledger as it was at the first page (`cut`). When that
        answer has ended (410, `file_gone`), begin again. `files_unavailable` (503): the disk that keeps an answer of
        several pages is full; ask again after `Retry-After` seconds. To follow the set, send its `ETag`: 304 says that it
        is the same, and the digest can be acknowledged as one of now. An answer costs what was recorded since the last one.
        """
        run = own_run(request, reference)
        asked = read(WithdrawnQuery, request.query_params)
        manifest = verifying.usable_manifest(run)
        record_read(caller(request), "manifest.withdrawn", run.reference)
        if "cursor" in asked:
            found = withdrawn.at_cursor(manifest, asked["cursor"])
        else:
            found = withdrawn.first(manifest, caller(request), asked["page_size"])
        headers = {"ETag": f'W/"{found.digest}"'}
        if "cursor" not in asked and serving.is_known(request, found.digest):
            return serving.not_modified(found.digest, headers)
        page = found.page(asked["page_size"])
        here = reverse("api:run-withdrawn", args=[reference])
        following = (
            f"{here}?cursor={page.cursor}&page_size={asked['page_size']}" if page.cursor else None
        )
        return Response(
            WithdrawnOutput(
                {
                    "included": manifest.included,
                    "withdrawn": found.count,
                    "cut": found.cut,
                    "digest": found.digest,
                    "next": request.build_absolute_uri(following) if following else None,
                    "results": [
                        {"member_number": number, "account_ref": reference}
                        for number, reference in page.members
                    ],
                }
            ).data,
            headers=headers,
        )
