"""A list of the admin as a file: with the filters it is shown with, its digest in the record of the read."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import PAGE_VAR
from django.core.exceptions import BadRequest, PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.http.response import HttpResponseBase
from django.urls import URLPattern, path, reverse
from django.utils.text import slugify

from portal import exports
from portal.access import record_read
from portal.admin_site import PortalModelAdmin, staff
from portal.errors import InvalidInput, TooManyRows
from portal.list_forms import FormFilter

MOST = 1_000_000
"""Rows of a file: spreadsheets take no more, and a request must end."""


class ExportedList(PortalModelAdmin):
    """Whoever may look at the list may take it along, narrowed as it is; no column names anybody."""

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
        """The list, as it is filtered and sorted. Raises TooManyRows, InvalidInput, ReadNotRecorded."""
        if request.method != "GET":
            return HttpResponseNotAllowed(["GET"])
        if form not in exports.MEDIA_TYPES:
            raise Http404
        if not self.has_view_permission(request):
            raise PermissionDenied
        rows = self._listed(request)
        if rows.order_by().values("pk")[: MOST + 1].count() > MOST:
            raise TooManyRows(
                f"The list has more than {MOST:,} rows. Narrow it down, by days for example, and take it in parts."
            )
        built = exports.build(form, self.export_header(), self.export_rows(rows))
        try:
            record_read(
                staff(request),
                f"export.{self.opts.model_name}",
                "list",
                purpose=f"{form}, {built.count} rows, sha-256={built.digest.hex()}",
            )
        except BaseException:
            built.file.close()
            raise
        return exports.built_response(built, slugify(str(self.opts.verbose_name_plural)))

    def _listed(self, request: HttpRequest) -> QuerySet[Any]:
        query = request.GET.copy()
        query.pop(PAGE_VAR, None)
        request.GET = query  # type: ignore[assignment]  # the list reads its filters from there
        try:
            shown = self.get_changelist_instance(request)
        except (IncorrectLookupParameters, OverflowError) as error:
            raise BadRequest("A filter cannot be understood.") from error
        for filtered_by in shown.filter_specs:
            if isinstance(filtered_by, FormFilter) and filtered_by.form.errors:
                raise InvalidInput("A filter cannot be understood: correct it on the list first.")
        return shown.queryset
