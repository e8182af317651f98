"""Access to the API by name: an endpoint names for each method a permission and a token scope; one that names none is closed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rest_framework import exceptions
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from common import registry
from common.models import ServiceToken


@dataclass(frozen=True)
class Access:
    """The requirements of a method: the user's permission and, for a token, the scope.

    Without a scope it is for people only: a token, which another person issued, does not decide.
    """

    permission: str
    scope: str | None = None

    def __post_init__(self) -> None:
        if self.scope and self.scope not in registry.scopes:
            raise ValueError(f"{self.scope} is a scope that no app declares.")


SIGNED_IN = Access("", "")
"""For what concerns the caller alone: any person, any token, whatever its scopes."""


class NamedAccess(BasePermission):
    """Lets a request in only by the access its view names for the method."""

    def has_permission(self, request: Request, view: Any) -> bool:
        named: Mapping[str, Access] = getattr(view, "access", {})
        if not named or not request.user.is_authenticated:
            return False
        method = "GET" if request.method == "HEAD" else str(request.method)
        if method not in named:
            raise exceptions.MethodNotAllowed(method)
        access = named[method]
        if isinstance(request.auth, ServiceToken):
            if access.scope is None:
                raise exceptions.PermissionDenied(
                    "Only people can use this, not tokens.", code="people_only"
                )
            if access.scope and access.scope not in request.auth.scopes:
                raise exceptions.PermissionDenied(
                    f"The token needs the scope {access.scope}.", code="scope_missing"
                )
        if access.permission and not request.user.has_perm(access.permission):
            raise exceptions.PermissionDenied(
                f"This needs the permission {access.permission}.", code="permission_missing"
            )
        return True
