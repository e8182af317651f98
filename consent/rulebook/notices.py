"""Facts of notices: their texts, the earliest day of their force, how they were delivered, and their withdrawal."""

import datetime as dt
import re
from collections.abc import Collection, Mapping
from hashlib import sha256

from django.contrib.auth.models import User

from common.text import words
from consent import countries
from consent.choices import NoticeChannel
from consent.errors import AlreadyWithdrawn, NoticeTooEarly
from consent.models import Notice, NoticeDelivery, NoticeWithdrawal
from consent.rulebook import policies
from ledger import canonical, clock, entries
from ledger.errors import InvalidInput

LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Z][a-z]{3})?(-([A-Z]{2}|[0-9]{3}))?\Z")
"""BCP 47: a language, a script, a region, in the case that the standard recommends."""
MAX_TEXT = 100_000
MAX_LANGUAGES = 40
MAX_TEXTS = 1_000_000
"""Characters of all languages together: they are sealed in one entry."""


# --- Texts ------------------------------------------------------------------------------------------


def cleaned_texts(texts: Mapping[str, str]) -> dict[str, str]:
    """The texts as they are sealed. Raises InvalidInput for `texts`."""
    if not texts:
        raise InvalidInput("A notice is its text: give it in at least one language.", field="texts")
    if len(texts) > MAX_LANGUAGES:
        raise InvalidInput(f"At most {MAX_LANGUAGES} languages.", field="texts")
    found = {}
    for language, text in texts.items():
        if not LANGUAGE.match(language):
            raise InvalidInput(
                f"{language[:40]!r} is no language tag (BCP 47) such as en, de or pt-BR.",
                field="texts",
            )
        found[language] = words.clean(text, max_length=MAX_TEXT, field="texts")
        if words.is_blank(found[language]):
            raise InvalidInput(f"The text in {language} is empty.", field="texts")
    if sum(map(len, found.values())) > MAX_TEXTS:
        raise InvalidInput(f"At most {MAX_TEXTS:,} characters in all languages.", field="texts")
    return dict(sorted(found.items()))


def digest_of(texts: Mapping[str, str]) -> str:
    """SHA-256 of the texts as canonical JSON (RFC 8785), hexadecimal.

    >>> digest_of({"en": "Hello."})[:16]
    '25f9db72bb83d75c'
    """
    return sha256(canonical.dumps(dict(texts))).hexdigest()


# --- From when --------------------------------------------------------------------------------------


def earliest_force(published_on: dt.date, codes: Collection[str]) -> tuple[dt.date, int]:
    """The first day a notice published on that day may be in force in all these countries, and the days until then."""
    days = max(policies.notice_days(published_on, codes).values(), default=0)
    return published_on + dt.timedelta(days=days), days


def check_period(notice: Notice) -> None:
    """Raises NoticeTooEarly, with the earliest possible day, where the period of notice is too short."""
    required = policies.notice_days(notice.published_on, notice.countries)
    days = max(required.values(), default=0)
    earliest = notice.published_on + dt.timedelta(days=days)
    if notice.in_force_from < earliest:
        strictest = [code for code, value in required.items() if value == days]
        shown = ", ".join(countries.name(code) for code in strictest[:5])
        more = f" and {len(strictest) - 5} more" if len(strictest) > 5 else ""
        raise NoticeTooEarly(
            f"Published on {notice.published_on}, the notice can be in force from {earliest} at the earliest:"
            f" {days} days of notice are required in {shown}{more}."
        )


# --- Delivered --------------------------------------------------------------------------------------


def record_delivery(
    *,
    notice: Notice,
    channel: str,
    delivered_from: dt.date,
    delivered_until: dt.date,
    recipients: int,
    source: str,
    actor: User,
    countries: Collection[str] = (),
    cohort: str = "",
    reason: str = "",
) -> NoticeDelivery:
    """Record how a notice was delivered to a cohort. The same delivery of the notice once more is that one."""
    if channel not in NoticeChannel.values:
        raise InvalidInput(f"One of {', '.join(NoticeChannel.values)}.", field="channel")
    check_text("source", source, 300)
    cohort = words.clean(cohort, max_length=100, field="cohort", lines=False)
    if not countries and not cohort:
        raise InvalidInput(
            "Name the countries or the cohort it was delivered to.", field="countries"
        )
    if delivered_until < delivered_from:
        raise InvalidInput("It cannot end before it began.", field="delivered_until")
    if delivered_until > clock.today():
        raise InvalidInput(
            "Record a delivery when it has ended: the day is in the future.",
            field="delivered_until",
        )
    if not 0 <= recipients < 2**53:
        raise InvalidInput("A number from 0.", field="recipients")
    facts = {
        "channel": channel,
        "countries": sorted(countries),
        "cohort": cohort,
        "delivered_from": delivered_from,
        "delivered_until": delivered_until,
        "recipients": recipients,
        "source": source,
    }
    with entries.entry(
        "notice.delivery_recorded", actor=actor, reason=reason, subject=f"notice:{notice.version}"
    ) as opened:
        known = NoticeDelivery.objects.filter(notice=notice)
        for row in known.filter(channel=channel, delivered_from=delivered_from):
            if all(getattr(row, name) == value for name, value in facts.items()):
                opened.abandon()
                return row
        row = NoticeDelivery(notice=notice, **facts)
        row.save()
    return row


# --- Withdrawn --------------------------------------------------------------------------------------


def withdraw(
    *, notice: Notice, withdrawn_from: dt.date, source: str, actor: User, reason: str = ""
) -> NoticeWithdrawal:
    """End a notice from a day on, which may have passed: it covers nothing from then on. It applies at once.

    The same withdrawal once more is that one. An earlier day may follow; raises AlreadyWithdrawn for a later one.
    """
    check_text("source", source, 300)
    with entries.entry(
        "notice.withdrawn", actor=actor, reason=reason, subject=f"notice:{notice.version}"
    ) as opened:
        first = notice.withdrawals.order_by("withdrawn_from", "pk").first()
        if first is not None and first.withdrawn_from <= withdrawn_from:
            if (first.withdrawn_from, first.source) != (withdrawn_from, source):
                raise AlreadyWithdrawn(
                    f"{notice} is withdrawn from {first.withdrawn_from} on already."
                )
            opened.abandon()
            return first
        row = NoticeWithdrawal(notice=notice, withdrawn_from=withdrawn_from, source=source)
        row.save()
    return row


def check_text(field: str, value: str, length: int) -> None:
    """Raises InvalidInput for an empty or too long text."""
    if not 1 <= len(value.strip()) <= length:
        raise InvalidInput(f"1 to {length} characters.", field=field)
