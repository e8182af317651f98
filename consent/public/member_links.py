"""How a member comes in from the product: a signed link that soon expires, then a short signed cookie.

Link and cookie carry the member number alone, never the account_ref. Neither is stored here; both are good
for the member's own pages only, and nothing else in the portal reads them.
"""

import datetime as dt
from dataclasses import dataclass

from django.conf import settings
from django.core import signing
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils import timezone

from consent.choices import Status
from consent.models import Member

COOKIE = "member_session"
COOKIE_AGE = dt.timedelta(minutes=30)
# Other words than a cookie's: a link is no cookie, a cookie no link, a staff's session neither.
_LINKS = signing.TimestampSigner(salt="consent.public.member_links.link")
_COOKIE_SALT = "consent.public.member_links.cookie"


@dataclass(frozen=True)
class MemberLink:
    """An address that opens a member's own pages in whichever browser follows it first or later."""

    url: str
    expires_at: dt.datetime


def link_for(member: Member) -> MemberLink:
    """The link to the member's setting page, good for MEMBER_LINK_MINUTES."""
    expires_at = timezone.now() + _link_age()
    path = reverse("setting-link", args=[_LINKS.sign(str(member.pk))])
    return MemberLink(settings.PUBLIC_URL + path, expires_at)


def member_in_link(token: str) -> Member | None:
    """The member a link was made for; None for one that expired or was never ours, without saying which."""
    try:
        return _member(_LINKS.unsign(token, max_age=_link_age()))
    except signing.BadSignature:
        return None


def let_in(response: HttpResponseBase, member: Member) -> None:
    """Open the member's pages to this browser, for COOKIE_AGE."""
    response.set_signed_cookie(
        COOKIE,
        str(member.pk),
        salt=_COOKIE_SALT,
        max_age=COOKIE_AGE,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        # Lax, not Strict: the page is opened by a link from the product, on another site.
        samesite="Lax",
    )


def member_of(request: HttpRequest) -> Member | None:
    """The member who came in by a link from the product; None for all others, and for erased members.

    A member erased in the meantime is unknown here: later acts must not lead back to the number.
    """
    number = request.get_signed_cookie(COOKIE, default=None, salt=_COOKIE_SALT, max_age=COOKIE_AGE)
    return _member(number) if number else None


def _link_age() -> dt.timedelta:
    return dt.timedelta(minutes=settings.MEMBER_LINK_MINUTES)


def _member(number: str) -> Member | None:
    return Member.objects.exclude(status=Status.ERASED).filter(pk=int(number)).first()
