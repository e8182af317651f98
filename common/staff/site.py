"""The admin as the product's pages for staff: its site, and the classes every page is built on.

An admin class declares; acts are pages of their own, one function each in an app's `staff`: GET shows what will
happen, POST does it through a service, a refusal is shown and nothing typed is lost.
"""

import datetime as dt
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property, update_wrapper
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import PAGE_VAR, ChangeList
from django.contrib.auth.models import User
from django.core.exceptions import BadRequest, PermissionDenied
from django.core.paginator import Paginator
from django.db import transaction
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, QueryDict
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from simple_history.admin import SimpleHistoryAdmin

from common import drafts
from common.identity.sign_in import SignInForm
from common.staff import parameters, start_page
from ledger import entries
from ledger.errors import InvalidInput, Refusal
from ledger.reads.recording import record_read

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Any]
    AnyPaginator = Paginator[Any]
else:
    ModelAdmin = admin.ModelAdmin
    AnyPaginator = Paginator


class PortalAdminSite(admin.AdminSite):
    site_header = "Training data portal"
    site_title = "Training data portal"
    index_title = "Waiting for you"
    site_url = None
    empty_value_display = "none"
    login_template = "admin/common/login.html"
    login_form = SignInForm
    # The pages of a role fit into the header; tables get the width.
    enable_nav_sidebar = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.pages: list[tuple[str, Callable[..., HttpResponseBase], str]] = []
        """(route, view, name) of pages that are about no single model. Each asks for its permission itself."""

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        """With the version, which the footer shows to signed-in staff."""
        return {**super().each_context(request), "version": settings.VERSION}

    def login(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """A sign-in that was not looked at says so by its status too, and when to come back."""
        response = super().login(request, extra_context)
        form = (getattr(response, "context_data", None) or {}).get("form")
        if isinstance(form, SignInForm) and form.refusal is not None:
            response.status_code = form.refusal.status
            response["Retry-After"] = str(form.refusal.retry_after)
        return response

    def password_change(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> TemplateResponse:
        """One's own password: it and its entry are written together."""
        with transaction.atomic():
            response = super().password_change(request, extra_context)
            if request.method == "POST" and response.status_code == HTTPStatus.FOUND:
                person = staff(request)
                with entries.entry(
                    "user.changed",
                    actor=person,
                    subject=person.username[:100],
                    reason="Changed: own password.",
                ):
                    pass
        return response

    def get_urls(self) -> list[Any]:
        own = [path(route, self.admin_view(view), name=name) for route, view, name in self.pages]
        # Without Django's shortcut to the page of any row of any table.
        theirs = [url for url in super().get_urls() if getattr(url, "name", "") != "view_on_site"]
        return [*own, *theirs]

    def index(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> TemplateResponse:
        panels = start_page.panels_for(request)
        return super().index(request, {**(extra_context or {}), "panels": panels})

    def admin_view(self, view: Any, cacheable: bool = False) -> Any:
        """A refusal that a page does not show in its form is a page of its own, never a crash."""

        def refusing(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            try:
                parameters.check_names(request.GET, _parameters(view, request))
                if isinstance(getattr(view, "__self__", None), PortalModelAdmin):
                    parameters.refuse_pop_up(request.POST)
                return view(request, *args, **kwargs)
            except Refusal as refusal:
                response = page(request, "admin/refused.html", title="Refused", refusal=refusal)
                response.status_code = refusal.status
                if refusal.retry_after:
                    response["Retry-After"] = str(refusal.retry_after)
                return response

        inside = super().admin_view(update_wrapper(refusing, view), cacheable)

        def keeping(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            ended = request.method == "POST" and not self.has_permission(request)
            if ended and drafts.keep_without_session(request):
                messages.warning(
                    request,
                    "Your session had ended, so nothing was recorded. What you typed is kept: sign in, and it is"
                    " filled in again.",
                )
            return inside(request, *args, **kwargs)

        return update_wrapper(keeping, inside)

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        apps = super().get_app_list(request, app_label)
        for app in apps:
            if app["app_label"] == "auth":
                app["name"] = "People and roles"
        return apps


def _parameters(view: Any, request: HttpRequest) -> Collection[str]:
    """The parameters that a page of the site declares."""
    owner = getattr(view, "__self__", None)
    if isinstance(owner, PortalModelAdmin):
        return owner.parameters_of(view.__name__, request)
    return parameters.declared(view)


site = PortalAdminSite()


def page(request: HttpRequest, template: str, *, title: str, **context: Any) -> TemplateResponse:
    """A page inside the admin's frame."""
    return TemplateResponse(
        request, template, {**site.each_context(request), "title": title, **context}
    )


def staff(request: HttpRequest) -> User:
    """The user who asks. The admin requires a login."""
    assert isinstance(request.user, User)
    return request.user


@contextmanager
def refusal_shown_in(form: forms.Form) -> Iterator[None]:
    """A refusal inside the block becomes an error of the form, beside the field it is about."""
    try:
        yield
    except Refusal as refusal:
        field = refusal.field if isinstance(refusal, InvalidInput) else ""
        form.add_error(field if field in form.fields else None, str(refusal))


class VersionedForm(forms.Form):
    """A form over a row with a `version`: it carries the version its reader saw, for the service to compare."""

    version = forms.IntegerField(widget=forms.HiddenInput)

    def look_again(self, version: int) -> None:
        """After a stale edit: keep what was typed, and let the next attempt be about the row as it is now."""
        # A field may have several values.
        data = QueryDict(mutable=True)
        data.update(self.data)
        data[self.add_prefix("version")] = str(version)
        self.data = data


class CappedPaginator(AnyPaginator):
    """Pages of a list that may have ten million rows: counting stops after more pages than people turn."""

    MAX_COUNTED = 10_000

    @cached_property
    def _counted(self) -> int:
        rows = self.object_list
        if isinstance(rows, QuerySet):
            # By the key alone: what a row is annotated with is not worked out to count it.
            return rows.order_by().values("pk")[: self.MAX_COUNTED + 1].count()
        return len(rows)

    @property
    def has_more(self) -> bool:
        """Whether there are rows behind the last page; a filter or a search leads to them."""
        return self._counted > self.MAX_COUNTED

    @cached_property
    def count(self) -> int:
        return min(self._counted, self.MAX_COUNTED)


class PortalModelAdmin(ModelAdmin):
    """Rows cannot be deleted, an action names its permission, and the ledger is the only log."""

    pages: Sequence[tuple[str, Callable[..., HttpResponseBase], str]] = ()
    """(route, view, name) of the admin's own pages. Each view asks for its permission itself."""
    has_history = False
    view_on_site = False
    # Counting ten million rows for every link of a filter has no use.
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_per_page = 50
    paginator = CappedPaginator

    def get_urls(self) -> list[URLPattern]:
        own = [
            path(route, self.admin_site.admin_view(view), name=name)
            for route, view, name in self.pages
        ]
        return [*own, *super().get_urls()]

    def parameters_of(self, page: str, request: HttpRequest) -> Collection[str]:
        """The parameters that one of its pages takes, by the name of the method behind it.

        Django's pop-ups (`_popup`, `_to_field`) are parts of no page here.
        """
        if page in ("changelist_view", "export"):
            return parameters.of_list(request, self)
        if page == "history_view":
            return {parameters.KEPT_FILTERS, PAGE_VAR}
        return {parameters.KEPT_FILTERS}

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return parameters.StrictList

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """The list as it is asked for. A filter that cannot be read is refused: Django shows all rows instead."""
        try:
            return super().get_changelist_instance(request)
        except IncorrectLookupParameters as error:
            # Not Django's words: they name columns, and repeat what was typed.
            raise BadRequest("A filter of this list has a value that it does not offer.") from error

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def get_actions(self, request: HttpRequest) -> Any:
        """Django offers an action without permissions to everybody who may look; here it is not offered."""
        actions = super().get_actions(request)
        return {
            name: action
            for name, action in actions.items()
            if action and getattr(action[0], "allowed_permissions", None)
        }

    def act_on_each(
        self, request: HttpRequest, rows: QuerySet[Any], act: Callable[[Any], object], done: str
    ) -> None:
        """Do one act for every row, each in its own transaction; refusals are shown beside the row's name."""
        count = 0
        for row in rows:
            try:
                act(row)
            except Refusal as refusal:
                self.message_user(request, f"{row}: {refusal}", messages.ERROR)
            else:
                count += 1
        if count:
            self.message_user(request, f"{done}: {count}.", messages.SUCCESS)

    def render_change_form(
        self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        context["has_history"] = self.has_history
        return super().render_change_form(request, context, *args, **kwargs)

    # Django's own log can be deleted and knows no reasons: the ledger is the record.
    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        return None

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        return None

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Only a tracked model has a history (HistoryModelAdmin)."""
        raise Http404


class ReadOnlyModelAdmin(PortalModelAdmin):
    """To look at. What may be done to the row is a page of its own."""

    read_on_record = False
    """Whether its rows are part of a person's record: then looking at the list or at a row is recorded first."""
    add_page: Callable[[HttpRequest], HttpResponse] | None = None
    """The page by which a row comes to be, where people may add one. It asks for its permission itself."""

    def read_subject(self, row: Any) -> str:
        """The public reference under which a look at the row is recorded."""
        return str(row)

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if self.read_on_record and self.has_view_permission(request):
            record_read(staff(request), f"{self.opts.model_name}.listed", "list", purpose="admin")
        # Django's "Select … to view" is about a choice that no user has to make.
        title = capfirst(self.opts.verbose_name_plural)
        return super().changelist_view(request, {"title": title, **(extra_context or {})})

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        context = dict(extra_context or {})
        row = self.get_object(request, object_id)
        if row is not None and self.has_view_permission(request, row):
            self.record_look(request, row)
            context |= self.page_context(request, row)
        return super().change_view(request, object_id, form_url, context)

    def parameters_of(self, page: str, request: HttpRequest) -> Collection[str]:
        found = super().parameters_of(page, request)
        return {*found, *parameters.declared(self.add_page)} if page == "add_view" else found

    def add_view(
        self,
        request: HttpRequest,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        if self.add_page is not None:
            return self.add_page(request)
        return super().add_view(request, form_url, extra_context)

    def record_look(self, request: HttpRequest, row: Any) -> None:
        """Put the look at a row on record, before anything of it is shown."""
        if self.read_on_record:
            kind = f"{self.opts.model_name}.read"
            record_read(staff(request), kind, self.read_subject(row), purpose="admin")

    def page_context(self, request: HttpRequest, row: Any) -> dict[str, Any]:
        """The template's context beside the row's fields."""
        return {}

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def render_change_form(
        self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        if context.get("original") is not None:
            context.update(title=capfirst(str(context["original"])), subtitle=None)
        return super().render_change_form(request, context, *args, **kwargs)


class ExactSearchAdmin(ReadOnlyModelAdmin):
    """Its rows are too many to be searched by likeness: a term names them exactly, and an index finds them."""

    def rows_named(self, rows: QuerySet[Any], term: str) -> QuerySet[Any]:
        raise NotImplementedError

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        term = search_term.strip()
        return (self.rows_named(queryset, term) if term else queryset), False


class SealedModelAdmin(ReadOnlyModelAdmin):
    """Rows of the ledger: their page says who recorded them, when and why, from the entry that wrote them."""

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        may_open = request.user.has_perm("ledger.view_entry")
        entry = "entry_link" if may_open else "entry_number"
        return [
            *super().get_fields(request, obj),
            entry,
            "recorded_by",
            "recorded_at",
            "recorded_for",
        ]

    @admin.display(description="ledger entry")
    def entry_link(self, row: Any) -> SafeString:
        address = reverse("admin:ledger_entry_change", args=[row.entry_id])
        return format_html('<a href="{}">#{}</a>', address, row.entry_id)

    @admin.display(description="ledger entry")
    def entry_number(self, row: Any) -> str:
        return f"#{row.entry_id}"

    @admin.display(description="recorded by")
    def recorded_by(self, row: Any) -> str:
        return row.entry.actor_name

    @admin.display(description="recorded at")
    def recorded_at(self, row: Any) -> dt.datetime:
        return row.entry.recorded_at

    @admin.display(description="reason")
    def recorded_for(self, row: Any) -> str:
        return row.entry.reason or "none given"


class HistoryModelAdmin(ReadOnlyModelAdmin, SimpleHistoryAdmin):
    """A tracked model with its history, told from the ledger's entries. History is read, never reverted to."""

    has_history = True
    object_history_template = "admin/history.html"

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        row = self._row_for_reader(request, object_id)
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET"])
        if self.read_on_record:
            kind = f"{self.opts.model_name}.history_read"
            record_read(staff(request), kind, self.read_subject(row), purpose="admin")
        asked = parameters.whole_number(request, PAGE_VAR)
        response = SimpleHistoryAdmin.history_view(self, request, object_id, extra_context)
        shown = (getattr(response, "context_data", None) or {}).get("page_obj")
        if shown is not None and shown.number != asked:
            raise parameters.unreadable(
                PAGE_VAR, f"the history has {shown.paginator.num_pages} pages"
            )
        return response

    def history_form_view(
        self,
        request: HttpRequest,
        object_id: str,
        version_id: str,
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """simple-history's form of an old version; the list says what changed, so there is none."""
        self._row_for_reader(request, object_id)
        raise Http404

    def get_history_queryset(
        self, request: HttpRequest, history_manager: Any, pk_name: str, object_id: Any
    ) -> QuerySet[Any]:
        rows = super().get_history_queryset(request, history_manager, pk_name, object_id)
        return rows.select_related("entry").order_by("-entry_id", "-history_id")

    def _row_for_reader(self, request: HttpRequest, object_id: str) -> Any:
        """The row must be one this person may see. (simple-history falls back to any row with history.)"""
        if not self.has_view_permission(request):
            raise PermissionDenied
        row = self.get_object(request, object_id)
        if row is None:
            raise Http404
        if not self.has_view_permission(request, row):
            raise PermissionDenied
        return row


def badge(word: str, tone: str = "") -> SafeString:
    """A word with a colour that repeats it."""
    return format_html('<span class="badge {}">{}</span>', tone, word)
