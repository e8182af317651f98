"""Service tokens: issued with a name, scopes and an end; stored hashed; every issue is in the ledger."""

import datetime as dt
import hmac
from collections.abc import Collection
from typing import Any

import structlog
from django.contrib.auth.models import User
from django.db.models import Q
from django.utils import timezone
from knox.auth import TokenAuthentication
from knox.crypto import hash_token
from knox.settings import CONSTANTS
from rest_framework import exceptions
from rest_framework.request import Request

from common import registry
from common.errors import MustWait
from common.identity import sign_in
from common.identity.sender import pseudonym, sender_of
from common.models import ServiceToken
from ledger import entries, open_entry
from ledger.errors import InvalidInput, RuleViolation
from ledger.models import Entry

logger = structlog.get_logger(__name__)

MAX_DAYS = 365
FREE_TOKEN_FAILURES = 20
"""So many tokens of a sender may be refused before the sender has to wait."""


_SUBJECT = "token:"


def _subject(token_key: str) -> str:
    return f"{_SUBJECT}{token_key}"


class TokenExpired(exceptions.AuthenticationFailed):
    """A token that was right and has ended: told apart from a wrong one, so that a nightly job knows why."""

    problem_code = "token_expired"


def _expired(token: bytes) -> ServiceToken | None:
    text = token.decode()
    key = text[: CONSTANTS.TOKEN_KEY_LENGTH]
    for known in ServiceToken.objects.filter(token_key=key, expiry__lte=timezone.now()):
        if hmac.compare_digest(hash_token(text), known.digest):
            return known
    return None


class ServiceTokenAuthentication(TokenAuthentication):
    """`Authorization: Bearer …`. An expired token is refused and stays listed until it is revoked."""

    def authenticate(self, request: Request) -> Any:
        """Raises AuthenticationFailed, and Throttled for a sender whose tokens failed again and again.

        A token that is valid is never delayed: it cannot be guessed, and another client in the same network must not
        be able to hold up what members decided.
        """
        try:
            return super().authenticate(request)
        except TokenExpired:
            raise
        except exceptions.AuthenticationFailed:
            sender = sender_of(request)
            logger.warning("token refused", sender=pseudonym(sender))
            if sender:
                try:
                    sign_in.begin("token", "", sender, free=FREE_TOKEN_FAILURES)
                except MustWait as refusal:
                    raise exceptions.Throttled(refusal.seconds) from None
            raise

    def authenticate_credentials(self, token: bytes) -> Any:
        if not token.isascii() or not token.isalnum():
            # Knox would stumble over bytes that are no text.
            raise exceptions.AuthenticationFailed("Invalid token.")
        try:
            user, auth_token = super().authenticate_credentials(token)
        except exceptions.AuthenticationFailed:
            if (ended := _expired(token)) is not None:
                raise TokenExpired(
                    f"The token ended on {ended.expiry:%Y-%m-%d %H:%M} UTC. Its owner renews one before its end"
                    " (POST /api/v1/me/token/renewals); an administrator issues another."
                ) from None
            raise
        if user.is_superuser:
            raise exceptions.AuthenticationFailed("A superuser does not sign in.")
        # Until the request ends (`portal.middleware.CredentialMiddleware`).
        open_entry.credential.set(_subject(auth_token.token_key))
        return user, auth_token

    def _cleanup_token(self, auth_token: ServiceToken) -> bool:
        """Knox deletes expired tokens here, and looks at all others of the user; a login only reads."""
        return auth_token.expiry is None or auth_token.expiry <= timezone.now()


def issue_token(
    *, user: User, name: str, scopes: Collection[str], days: int, actor: open_entry.Actor
) -> tuple[ServiceToken, str]:
    """Make a token for a user. The plain token is returned once and kept nowhere."""
    if not 1 <= len(name.strip()) <= 100 or not name.isprintable():
        raise InvalidInput("Say in 1 to 100 characters what it is for.", field="name")
    unknown = sorted(set(scopes) - registry.scopes.keys())
    if unknown or not scopes:
        raise InvalidInput(
            f"One or more of {', '.join(registry.scopes)}.", field="scopes", code="unknown_word"
        )
    if not 1 <= days <= MAX_DAYS:
        raise InvalidInput(f"1 to {MAX_DAYS} days.", field="days")
    if not user.is_active:
        raise InvalidInput("The user is not active.", field="user")
    with entries.entry("token.issued", actor=actor) as opened:
        token, plain = ServiceToken.objects.create(
            user=user, expiry=dt.timedelta(days=days), name=name.strip(), scopes=sorted(set(scopes))
        )
        opened.subject = _subject(token.token_key)
        opened.reason = (
            f"for {user.get_username()}: {', '.join(token.scopes)} until {token.expiry:%Y-%m-%d}"
        )
    return token, plain


RENEWABLE = dt.timedelta(days=30)
"""So long before its end a token can be renewed."""


class NotRenewable(RuleViolation):
    code = "token_not_renewable"


def renew_token(*, token: ServiceToken, days: int | None = None) -> tuple[ServiceToken, str]:
    """Another token of the same name and scopes for its owner, by itself; it is returned once.

    It lasts at most as long as the old one was issued for, and that long without `days`: no token gives itself more than
    an administrator gave. The old one works until its own end, so that every place that holds it can be changed.
    Raises NotRenewable when it ends later than in 30 days, was renewed already or is gone, InvalidInput.
    """
    issued_for = _issued_for(token)
    days = issued_for if days is None else days
    if not 1 <= days <= issued_for:
        raise InvalidInput(
            f"1 to {issued_for} days: no longer than it was issued for.", field="days"
        )
    if token.expiry is None or token.expiry > timezone.now() + RENEWABLE:
        raise NotRenewable(
            f"A token can be renewed in its last {RENEWABLE.days} days; this one ends on"
            f" {token.expiry:%Y-%m-%d}."
            if token.expiry
            else "This token has no end."
        )
    user = token.user
    with entries.entry("token.renewed", actor=user) as opened:
        _check_renewable(token)
        # The scopes are the old one's: no token gives itself more.
        renewed, plain = ServiceToken.objects.create(
            user=user, expiry=dt.timedelta(days=days), name=token.name, scopes=token.scopes
        )
        opened.subject = _subject(renewed.token_key)
        opened.reason = f"{_follows(_subject(token.token_key))}until {renewed.expiry:%Y-%m-%d}"
    return renewed, plain


def _issued_for(token: ServiceToken) -> int:
    """The days from its issue to its end. One without an end is refused further down."""
    return (
        round((token.expiry - token.created) / dt.timedelta(days=1)) if token.expiry else MAX_DAYS
    )


def _check_renewable(token: ServiceToken) -> None:
    """Check, under the ledger's lock, what may have changed since the token was read. Raises NotRenewable, InvalidInput."""
    if not User.objects.filter(pk=token.user_id, is_active=True, is_superuser=False).exists():
        raise InvalidInput("The user is not active, or a superuser.", field="user")
    if not ServiceToken.objects.filter(pk=token.pk, expiry__gt=timezone.now()).exists():
        raise NotRenewable("This token has ended or was revoked: an administrator issues another.")
    # The ledger knows what followed what; a token of the same name may be another one.
    if _next(_subject(token.token_key)):
        raise NotRenewable(
            "This token was renewed already: use the one that followed it. If that is lost, an administrator"
            " issues another."
        )


def revoke_token(*, token: ServiceToken, actor: open_entry.Actor) -> None:
    """End a token now, and those that it renewed itself into. Revoking one that is gone changes nothing."""
    with entries.entry("token.revoked", actor=actor, subject=_subject(token.token_key)) as opened:
        if not ServiceToken.objects.filter(pk=token.pk).exists():
            opened.abandon()
            return
        followers = _followers(token)
        opened.reason = f"with {', '.join(followers)}" if followers else ""
        keys = [one.removeprefix(_SUBJECT) for one in followers]
        ServiceToken.objects.filter(Q(pk=token.pk) | Q(token_key__in=keys)).delete()


def _followers(token: ServiceToken) -> list[str]:
    """The tokens that followed a token by renewal, as subjects: a thief of one may have renewed it."""
    found: list[str] = []
    following = _next(_subject(token.token_key))
    while following:
        found.append(following)
        following = _next(following)
    return found


def _follows(subject: str) -> str:
    return f"follows {subject}, "


def _next(subject: str) -> str | None:
    renewed = Entry.objects.filter(kind="token.renewed", reason__startswith=_follows(subject))
    return renewed.values_list("subject", flat=True).first()
