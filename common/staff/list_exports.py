"""A list of the admin as a file: with the filters it is shown with, its digest in the record of the read."""

import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

from django.apps import apps
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import PAGE_VAR
from django.contrib.auth.models import User
from django.core.exceptions import BadRequest, PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, QueryDict
from django.http.response import HttpResponseBase
from django.urls import URLPattern, path, reverse
from django.utils.text import capfirst, slugify

from common.errors import TooManyRows
from common.files import exports, made_files
from common.models import MadeFile
from common.staff.file_views import sent_to_page
from common.staff.list_forms import FormFilter
from common.staff.parameters import whole_number
from common.staff.site import PortalModelAdmin, site, staff
from ledger.errors import InvalidInput
from ledger.reads.recording import record_read

MAX_ROWS = 1_000_000
"""Rows of a file: spreadsheets take no more."""
SHORT = 10_000
"""Up to so many rows the request itself builds the file; a worker makes a longer one."""


class ExportedList(PortalModelAdmin):
    """A list that its readers may download with their filters; no column identifies a person."""

    export_columns: ClassVar[Mapping[str, str]]
    """Column of the file -> where the value comes from."""

    def get_urls(self) -> list[URLPattern]:
        export = path(
            "export/<slug:form>/",
            self.admin_site.admin_view(self.export),
            name=self._export_name,
        )
        return [export, *super().get_urls()]

    @property
    def _export_name(self) -> str:
        return f"{self.opts.app_label}_{self.opts.model_name}_export"

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        links = [
            (form.upper(), reverse(f"admin:{self._export_name}", args=[form]))
            for form in exports.MEDIA_TYPES
        ]
        return super().changelist_view(request, {"exports": links, **(extra_context or {})})

    def export_header(self) -> Sequence[str]:
        return list(self.export_columns)

    def export_rows(self, rows: QuerySet[Any]) -> Iterable[Sequence[object]]:
        return rows.values_list(*self.export_columns.values()).iterator(2_000)

    def export(self, request: HttpRequest, form: str) -> HttpResponseBase:
        """The list, as it is filtered and sorted: a short one at once, a long one as a file that a worker makes.

        Raises TooManyRows, InvalidInput, ReadNotRecorded.
        """
        if request.method != "GET":
            return HttpResponseNotAllowed(["GET"])
        if form not in exports.MEDIA_TYPES:
            raise Http404
        if not self.has_view_permission(request):
            raise PermissionDenied
        rows = self.listed(request)
        count = rows.order_by().values("pk")[: MAX_ROWS + 1].count()
        if count > MAX_ROWS:
            raise TooManyRows(
                f"The list has more than {MAX_ROWS:,} rows. Narrow it down, by days for example, and take it in parts."
            )
        if count > SHORT:
            return sent_to_page(
                ListExport.kind,
                {
                    "list": self.opts.label_lower,
                    "form": form,
                    "query": request.GET.urlencode(),
                    "user": staff(request).pk,
                },
                staff(request),
            )
        built = exports.build(form, self.export_header(), self.export_rows(rows))
        try:
            self.record_export(staff(request), form, built.count, built.digest)
        except BaseException:
            built.file.close()
            raise
        return exports.built_response(request, built, self.export_name)

    @property
    def export_name(self) -> str:
        return slugify(str(self.opts.verbose_name_plural))

    def record_export(self, user: User, form: str, count: int, digest: str) -> None:
        """Put a download on record. Raises ReadNotRecorded."""
        record_read(
            user,
            f"export.{self.opts.model_name}",
            "list",
            purpose=f"{form}, {count} rows, sha-256={digest}",
        )

    def listed(self, request: HttpRequest) -> QuerySet[Any]:
        """The rows that the list would show. Raises BadRequest, InvalidInput."""
        whole_number(request, PAGE_VAR)
        query = request.GET.copy()
        query.pop(PAGE_VAR, None)
        request.GET = query  # type: ignore[assignment]  # the list reads its filters from there
        try:
            shown = self.get_changelist_instance(request)
        except IncorrectLookupParameters as error:
            raise BadRequest("A filter cannot be understood.") from error
        for filtered_by in shown.filter_specs:
            if isinstance(filtered_by, FormFilter) and filtered_by.form.errors:
                raise InvalidInput("A filter cannot be understood: correct it on the list first.")
        return shown.queryset


class ListExport(made_files.Maker):
    """A long list as a file, for the person who asked.

    `parameters`: the list's model, the form, the filters as in the list's address, the person's number.
    """

    kind = "list-export"
    lasts = False

    def write(self, parameters: Mapping[str, Any], to: io.RawIOBase) -> dict[str, Any]:
        shown = _list_of(parameters)
        user = User.objects.get(pk=parameters["user"])
        self.check_access(user, parameters)
        rows = exports.Counted(shown.export_rows(shown.listed(_as_asked(parameters, user))))
        for block in exports.LINES[parameters["form"]](shown.export_header(), rows):
            to.write(block)
        return {"rows": rows.count}

    def check_access(self, user: User, parameters: Mapping[str, Any]) -> None:
        shown = _list_of(parameters)
        if user.pk != parameters["user"] or not shown.has_view_permission(
            _as_asked(parameters, user)
        ):
            raise PermissionDenied

    def record(self, user: User, row: MadeFile) -> None:
        _list_of(row.parameters).record_export(
            user, row.parameters["form"], row.facts["rows"], row.digest
        )

    def name(self, parameters: Mapping[str, Any]) -> str:
        return f"{_list_of(parameters).export_name}.{parameters['form']}"

    def media_type(self, parameters: Mapping[str, Any]) -> str:
        return exports.MEDIA_TYPES[parameters["form"]]

    def title(self, parameters: Mapping[str, Any]) -> str:
        plural = _list_of(parameters).opts.verbose_name_plural
        return f"{capfirst(str(plural))} as {parameters['form'].upper()}"

    def back(self, parameters: Mapping[str, Any]) -> str:
        opts = _list_of(parameters).opts
        address = reverse(f"admin:{opts.app_label}_{opts.model_name}_changelist")
        return f"{address}?{parameters['query']}" if parameters["query"] else address


def _list_of(parameters: Mapping[str, Any]) -> ExportedList:
    shown = site._registry[apps.get_model(parameters["list"])]
    assert isinstance(shown, ExportedList)
    return shown


def _as_asked(parameters: Mapping[str, Any], user: User) -> HttpRequest:
    """The request for the list, as the person made it."""
    request = HttpRequest()
    request.method = "GET"
    request.GET = QueryDict(parameters["query"])
    request.user = user
    return request
