"""Ledger, reads, people and tokens in the admin. `site` is what the URLs mount."""

import datetime as dt
from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib import admin, messages
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, User
from django.db import transaction
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone

from common import registry
from common.identity import people
from common.models import ServiceToken
from common.staff import changes, file_views, subjects
from common.staff.list_exports import ExportedList
from common.staff.list_filters import OptionFilter
from common.staff.list_forms import EntryForm, FormFilter
from common.staff.site import (
    ExactSearchAdmin,
    PortalModelAdmin,
    ReadOnlyModelAdmin,
    SealedModelAdmin,
    badge,
    site,
    staff,
)
from ledger import entries
from ledger import registry as ledger_registry
from ledger.models import AccessRecord, Checkpoint, ClockSettlement, ClockStep, Entry
from portal import admin_views

__all__ = ["site"]

site.pages += [
    ("files/<str:key>/", file_views.file_page, "portal_file"),
    ("files/<str:key>/download/", file_views.download, "portal_file_download"),
]


class ReadKindFilter(OptionFilter):
    title = "kind"
    parameter_name = "kind"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(kind, kind) for kind in sorted(ledger_registry.read_kinds)]

    def rows_with(self, rows: QuerySet[Any], option: str) -> QuerySet[Any]:
        return rows.filter(kind=option)


class EntryFilter(FormFilter):
    form_class = EntryForm


@admin.register(Entry, site=site)
class EntryAdmin(ExportedList, ReadOnlyModelAdmin):
    export_columns = {
        name: name
        for name in [
            "sequence",
            "recorded_at",
            "actor_name",
            "credential",
            "kind",
            "subject",
            "reason",
            "leaf",
        ]
    }
    read_on_record = True
    list_display = ["sequence", "kind", "actor_name", "subject", "reason", "recorded_at"]
    list_filter = [EntryFilter]
    sortable_by = ["sequence"]
    change_list_template = "admin/common/form_list.html"
    fields = [
        "sequence",
        "kind",
        "actor_name",
        "credential",
        "subject",
        "reason",
        "recorded_at",
        "leaf",
    ]
    change_form_template = "admin/ledger/entry/change_form.html"

    def read_subject(self, row: Any) -> str:
        return f"entry:{row.pk}"

    def render_change_form(
        self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """Called once the reader is known to be allowed to read, and the read is recorded."""
        entry = context["original"]
        context["parts"] = changes.changes_of(entry.pk, request.user.has_perm)
        context["about"] = subjects.page_of(entry.subject, request.user.has_perm)
        context["checkpoint"] = covering(entry.pk)
        may_prove = context["checkpoint"] and request.user.has_perm("ledger.view_checkpoint")
        context["proof_url"] = (
            reverse("admin:auditing_entry_proof", args=[entry.pk]) if may_prove else ""
        )
        return super().render_change_form(request, context, *args, **kwargs)


def covering(sequence: int) -> Checkpoint | None:
    """The first checkpoint that covers an entry; None while none does."""
    return Checkpoint.objects.filter(size__gte=sequence).order_by("size").first()


@admin.register(AccessRecord, site=site)
class AccessRecordAdmin(ExportedList, ExactSearchAdmin):
    export_columns = {
        name: name for name in ["id", "read_at", "actor_name", "kind", "subject", "purpose"]
    }
    list_display = ["read_at", "actor_name", "kind", "subject", "purpose"]
    list_filter = [ReadKindFilter, "read_at"]
    search_fields = ["subject", "user"]
    search_help_text = (
        "In full: a subject such as member:12 or a run's reference, or the reader's username."
    )
    fields = ["read_at", "actor_name", "kind", "subject", "purpose"]

    def rows_named(self, rows: QuerySet[Any], term: str) -> QuerySet[Any]:
        readers = list(User.objects.filter(username=term).values_list("pk", flat=True))
        return rows.filter(Q(subject=term) | Q(user__in=readers))


# --- People -------------------------------------------------------------------------------------

if TYPE_CHECKING:
    _DjangoUserAdmin = DjangoUserAdmin[Any]
else:
    _DjangoUserAdmin = DjangoUserAdmin


class UserAdmin(PortalModelAdmin, _DjangoUserAdmin):
    """People and service accounts. Accounts are never deleted: the ledger names them. Roles are the only rights.

    The ledger keeps that an e-mail address changed, not what it is: only the digest of the desk uses it.
    """

    list_display = ["username", "roles", "is_active", "is_staff", "last_login"]
    list_filter = ["groups", "is_active"]
    search_fields = ["username"]
    filter_horizontal: ClassVar[list[str]] = []
    fieldsets = [
        (None, {"fields": ["username", "email", "password"]}),
        ("Roles", {"fields": ["groups", "is_active", "is_staff"]}),
        ("Times", {"fields": ["last_login", "date_joined"]}),
    ]
    add_fieldsets = [
        (None, {"fields": ["username", "email", "usable_password", "password1", "password2"]}),
        ("Roles", {"fields": ["groups", "is_staff"]}),
    ]
    readonly_fields = ["last_login", "date_joined"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).prefetch_related("groups")

    def roles(self, user: User) -> str:
        return ", ".join(group.name for group in user.groups.all()) or "none"

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """A superuser's account cannot be changed: a person who could change it could become one."""
        if obj is not None and obj.is_superuser:
            return False
        return super().has_change_permission(request, obj)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        fields = list(super().get_readonly_fields(request, obj))
        if obj is not None and obj.pk == request.user.pk:
            # No administrator gives themselves a role, and none locks themselves out.
            fields += ["groups", "is_active", "is_staff"]
        return fields

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        person = self.get_object(request, object_id) if request.method == "GET" else None
        if person is not None and self.has_view_permission(request, person):
            self._say_work_of(request, person)
        return super().change_view(request, object_id, form_url, extra_context)

    def _say_work_of(self, request: HttpRequest, person: User) -> None:
        for sentence in people.work_of(person):
            self.message_user(request, sentence, messages.WARNING)

    def user_change_password(
        self, request: HttpRequest, id: str, form_url: str = ""
    ) -> HttpResponse:
        # Django saves the password outside a transaction; it and its entry belong together.
        with transaction.atomic():
            return super().user_change_password(request, id, form_url)

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        self._record(request, obj, "Added.")

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        """Called by every page of Django's that changed the user, in the transaction of the change."""
        changed = [
            field
            for part in message
            if isinstance(part, dict)
            for field in part.get("changed", {}).get("fields", [])
        ]
        self._record(request, obj, f"Changed: {', '.join(changed) or 'password'}.")
        if {"Groups", "Active"} & set(changed):
            # As the account is now, not as it was read.
            self._say_work_of(request, User.objects.get(pk=obj.pk))

    def _record(self, request: HttpRequest, user: User, what: str) -> None:
        roles = ", ".join(user.groups.order_by("name").values_list("name", flat=True))
        with entries.entry(
            "user.changed",
            actor=staff(request),
            subject=user.username[:100],
            reason=f"{what} Roles now: {roles or 'none'}. {'Active' if user.is_active else 'Not active'}.",
        ):
            pass


site.register(User, UserAdmin)


@admin.register(Group, site=site)
class GroupAdmin(ReadOnlyModelAdmin, DjangoGroupAdmin):
    """The roles. What each may do is written in `common.identity.roles`, not here."""

    list_display = ["name", "people"]
    fields = ["name", "may"]
    readonly_fields = ["name", "may"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).prefetch_related("user_set")

    def people(self, group: Group) -> str:
        return ", ".join(sorted(user.username for user in group.user_set.all())) or "no user"

    def may(self, group: Group) -> str:
        return "\n".join(registry.permissions.get(group.name, [])) or "nothing"


# --- Clocks -------------------------------------------------------------------------------------


@admin.register(ClockStep, site=site)
class ClockStepAdmin(SealedModelAdmin):
    """Entries that were written while a clock was wrong."""

    list_display = ["entry_id", "written_at", "previous_at", "server_at"]
    list_select_related = ["entry"]
    fields = ["previous_at", "server_at"]

    @admin.display(description="written at, by the database")
    def written_at(self, step: ClockStep) -> dt.datetime:
        return step.entry.recorded_at

    @admin.display(description="entry", ordering="entry_id")
    def entry_id(self, step: ClockStep) -> int:
        return step.entry_id


@admin.register(ClockSettlement, site=site)
class ClockSettlementAdmin(SealedModelAdmin):
    """Administrators settle; the list says who did, when and why."""

    list_display = ["entry_id", "recorded_by", "recorded_at", "recorded_for"]
    list_select_related = ["entry"]
    fields = ["stepped_in", "server_at"]
    add_page = staticmethod(admin_views.settle_clocks)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("ledger.settle_clocks")

    @admin.display(description="entry", ordering="entry_id")
    def entry_id(self, row: ClockSettlement) -> int:
        return row.entry_id


# --- Tokens -------------------------------------------------------------------------------------


@admin.register(ServiceToken, site=site)
class ServiceTokenAdmin(ReadOnlyModelAdmin):
    """Tokens are issued and revoked; what they are is shown once, when they are issued."""

    list_display = ["name", "user", "scope_words", "created", "expiry", "validity"]
    list_select_related = ["user"]
    list_filter = ["created"]
    search_fields = ["name", "user__username"]
    fields = ["name", "user", "scope_words", "token_key", "created", "expiry", "validity"]
    change_form_template = "admin/common/servicetoken/change_form.html"
    pages = [
        ("<str:digest>/revoke/", admin_views.revoke_token, "common_servicetoken_revoke"),
    ]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("common.add_servicetoken")

    add_page = staticmethod(admin_views.issue_token)

    @admin.display(description="scopes")
    def scope_words(self, token: ServiceToken) -> str:
        return ", ".join(token.scopes) or "none"

    @admin.display(description="validity")
    def validity(self, token: ServiceToken) -> str:
        if token.expiry is None:
            return badge("never expires", "warning")
        left = token.expiry - timezone.now()
        if left.total_seconds() <= 0:
            return badge("expired")
        if left.days < admin_views.EXPIRES_SOON_DAYS:
            return badge(f"expires in {left.days} days", "warning")
        return badge("valid", "good")
