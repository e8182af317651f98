"""Rules and notices that a second person rejected: their author hears of it and finds the words."""

import datetime as dt
from collections.abc import Iterator
from typing import Any

from django.db.models import Exists, OuterRef
from django.forms import Form
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.text import capfirst

from common.staff import parameters, start_page
from common.staff.start_page import SentBack
from consent.choices import ReviewVerdict
from consent.models import Notice, RegionRule

TOLD_DAYS = 30
"""So long a rejection stands on the start page of its author, unless they propose again before."""


@start_page.sent_back("consent.add_regionrule")
def rules(person: Any) -> Iterator[SentBack]:
    """Rejected rules of a person who has not proposed another one for the purpose since."""
    later = RegionRule.objects.filter(
        proposed_by=person, purpose=OuterRef("purpose"), pk__gt=OuterRef("pk")
    )
    for row in _rejected(RegionRule, person).exclude(Exists(later)):
        yield _told(row, "admin:consent_regionrule_add")


@start_page.sent_back("consent.add_notice")
def notices(person: Any) -> Iterator[SentBack]:
    """Rejected notices of a person who has not proposed another one since."""
    later = Notice.objects.filter(proposed_by=person, pk__gt=OuterRef("pk"))
    for row in _rejected(Notice, person).exclude(Exists(later)):
        yield _told(row, "admin:consent_notice_add")


def _rejected(model: type[RegionRule] | type[Notice], person: Any) -> Any:
    since = timezone.now() - dt.timedelta(days=TOLD_DAYS)
    return model._default_manager.filter(
        proposed_by=person,
        review__verdict=ReviewVerdict.REJECTED,
        review__entry__recorded_at__gt=since,
    ).select_related("review__entry", "review__reviewer")


def _told(row: RegionRule | Notice, page: str) -> SentBack:
    return SentBack(
        capfirst(str(row)),
        f"{reverse(page)}?again={row.pk}",
        row.review.reviewer.get_username(),
        row.review.entry.reason,
    )


def rejected_row(
    model: type[RegionRule] | type[Notice], request: HttpRequest
) -> RegionRule | Notice | None:
    """The rejected proposal that a form is to begin with (`?again=12`); None where none is meant. Raises InvalidInput."""
    if "again" not in request.GET:
        return None
    number = parameters.whole_number(request, "again")
    found: RegionRule | Notice | None = (
        model._default_manager.filter(pk=number, review__verdict=ReviewVerdict.REJECTED)
        .select_related("review__entry", "review__reviewer", "entry")
        .first()
    )
    if found is None:
        raise parameters.unreadable("again", "the number of a proposal that was rejected")
    return found


def words_of(row: RegionRule | Notice | None, form: type[Form]) -> dict[str, Any]:
    """The initial values of a form: the rejected proposal. A notice needs a version of its own."""
    if row is None:
        return {}
    words = {name: getattr(row, name) for name in form.base_fields if hasattr(row, name)}
    words["countries"] = ", ".join(row.countries)
    words["reason"] = row.entry.reason
    words.pop("version", None)
    return words


def why_rejected(row: RegionRule | Notice | None) -> str:
    """The sentence above such a form."""
    if row is None:
        return ""
    own = " It needs a version of its own." if isinstance(row, Notice) else ""
    return (
        f"{capfirst(str(row))} was rejected by {row.review.reviewer.get_username()}: {row.review.entry.reason}"
        f" What was proposed is filled in below.{own}"
    )
