"""Sign-in, slowed down where it fails: a delay by account and sender, never a lock that others could pull.

`begin` is for every kind of sign-in. It counts an attempt as failed before anything is compared, so that attempts at
the same time are counted one after the other, and `Attempt.succeeded` takes that back. From the fifth failure the next
attempt is looked at only after 1, 2, 4 … 60 seconds; earlier ones are refused whatever they hold, without being counted.
The refusal is an answer (429), not a wait: no thread of the web server is held by it.
"""

import datetime as dt
import math
import unicodedata
from dataclasses import dataclass
from typing import Any

import structlog
from django.contrib.admin.forms import AdminAuthenticationForm
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import F
from django.http import HttpRequest
from django.utils import timezone
from django.utils.crypto import salted_hmac

from common.errors import MustWait
from common.identity.sender import known_sender_of, pseudonym
from common.models import FailedSignIns
from ledger.errors import Refusal

logger = structlog.get_logger(__name__)

FREE_FAILURES = 4
"""So many failures of an account from a sender cost nothing."""
MAX_DELAY = 60
"""Seconds."""
MAX_FAILURES_OF_SENDER = 50
"""A sender with more failures, over all accounts, has no free ones on any account: it tries many accounts."""
MEMORY = dt.timedelta(days=1)
"""Failures are forgotten when the last of them is older."""
MAX_CLOCK_STEP = 60
"""Seconds by which the web servers' clocks may differ. A failure farther in the future delays nothing."""


@dataclass(frozen=True)
class Attempt:
    """One attempt that may be looked at; it counts as failed until `succeeded` is called."""

    account_key: str
    sender_key: str
    failures: int
    """Of this account from this sender, with this one."""

    def succeeded(self) -> None:
        """Forget the failures of the account from this sender; those on other accounts stay."""
        with transaction.atomic():
            FailedSignIns.objects.filter(pk=self.account_key).delete()
            FailedSignIns.objects.filter(pk=self.sender_key, failures__gt=0).update(
                failures=F("failures") - 1
            )


def begin(kind: str, account: str, sender: str, *, free: int = FREE_FAILURES) -> Attempt:
    """Let one attempt to sign in through. Raises MustWait.

    `kind` is a word for the kind of sign-in, `account` what the person typed (any text; spellings that differ in case or
    in Unicode's form are one), `sender` what `common.identity.sender` says. Names that belong to no account are counted like
    those that do. Nothing of account or sender is kept but a keyed hash.
    """
    now = timezone.now()
    name = unicodedata.normalize("NFKC", account).casefold().strip()
    account_key, sender_key = _key(kind, name, sender), _key(kind, "", sender)
    with transaction.atomic():
        # Always in this order, so that no two attempts wait for each other.
        own, over_all = _locked(account_key), _locked(sender_key)
        _forget(own, now)
        _forget(over_all, now)
        if over_all.failures > MAX_FAILURES_OF_SENDER:
            free = 0
        left = _seconds_left(own, free, now)
        if left:
            raise MustWait(left)
        for row in {own.pk: own, over_all.pk: over_all}.values():
            row.failures += 1
            row.failed_at = now
            row.save()
    forget_old(now)
    return Attempt(account_key, sender_key, own.failures)


def forget_old(now: dt.datetime) -> None:
    """Delete the counts whose last failure is older than MEMORY."""
    # Rows that an attempt has locked are left: waiting for several of them could end in a deadlock.
    with transaction.atomic():
        old = FailedSignIns.objects.filter(failed_at__lt=now - MEMORY)
        keys = list(old.select_for_update(skip_locked=True).values_list("pk", flat=True)[:1000])
        if keys:
            FailedSignIns.objects.filter(pk__in=keys).delete()


def _key(kind: str, account: str, sender: str) -> str:
    told_apart = "\0".join([kind, sender, account]).encode("utf-8", "surrogatepass")
    return salted_hmac(__name__, told_apart, algorithm="sha256").hexdigest()


def _locked(key: str) -> FailedSignIns:
    """The row of the key, locked until the transaction ends."""
    fresh = FailedSignIns(key=key, failed_at=timezone.now())
    while True:
        FailedSignIns.objects.bulk_create([fresh], ignore_conflicts=True)
        row = FailedSignIns.objects.select_for_update().filter(pk=key).first()
        # A sign-in that succeeds may delete it in between.
        if row is not None:
            return row


def _forget(row: FailedSignIns, now: dt.datetime) -> None:
    if row.failed_at < now - MEMORY:
        row.failures = 0


def _seconds_left(row: FailedSignIns, free: int, now: dt.datetime) -> int:
    if row.failures <= free:
        return 0
    # The exponent has an end: there may be many failures.
    delay = min(2 ** min(row.failures - free - 1, 10), MAX_DELAY)
    passed = (now - row.failed_at).total_seconds()
    if passed < -MAX_CLOCK_STEP:
        return 0
    return max(0, min(math.ceil(delay - passed), MAX_DELAY))


# --- By password --------------------------------------------------------------------------------


class PasswordBackend(ModelBackend):
    """Django's sign-in by user name and password, with the delay.

    A superuser is past every rule of the roles, so none signs in and none stays signed in.
    """

    def authenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        **kwargs: Any,
    ) -> User | None:
        """Return the user, or None. Raises MustWait and SenderUnknown."""
        if username is None or password is None:
            return None
        # Without a request it is code of this machine that asks.
        sender = known_sender_of(request) if request is not None else ""
        attempt = begin("password", username, sender)
        user = super().authenticate(request, username, password)
        if user is not None:
            attempt.succeeded()
            return user
        meant = User.objects.filter(username=username.replace("\0", "")).values_list("pk").first()
        logger.warning(
            "sign-in failed",
            user=meant[0] if meant else None,
            sender=pseudonym(sender),
            failures=attempt.failures,
        )
        return None

    def user_can_authenticate(self, user: Any) -> bool:
        return super().user_can_authenticate(user) and not user.is_superuser


class SignInForm(AdminAuthenticationForm):
    """The form of the sign-in page. A delay is shown in it, and nothing typed but the password is lost."""

    refusal: Refusal | None = None
    """The reason why the password was not looked at."""

    def clean(self) -> dict[str, Any]:
        try:
            return super().clean()
        except Refusal as refusal:
            self.refusal = refusal
            logger.warning("sign-in refused", code=refusal.code)
            raise ValidationError(str(refusal), code=refusal.code) from refusal


def log_sign_in(sender: object, user: User, **kwargs: Any) -> None:
    """Receive Django's `user_logged_in`."""
    logger.info("signed in", user=user.pk)
