"""The effect of runs on a member, told to the member: consent shows it, only the runs know it."""

from typing import Any

import structlog
from django import template
from django.utils.translation import gettext_lazy as _

from consent.choices import Purpose
from consent.models import Member
from training_runs.errors import ManifestDamaged
from training_runs.runs import explaining

logger = structlog.get_logger(__name__)
register = template.Library()

SHOWN_RUNS = 50

YOUR_REASONS = {
    "erased": _("Your account was erased."),
    "closed": _("Your account is closed, or it has not been reported to us as open."),
    "country_unknown": _("We do not know which country you live in."),
    "minor": _(
        "You are under 18 or the age that counts in your country, or we do not know your age."
    ),
    "region": _("Your country is excluded at the moment."),
    "no_notice": _("There is no privacy notice in force that covers this use in your country."),
    "not_opted_in": _("In your country this needs your consent, and you have not given it."),
    "opted_out": _("Your setting is off."),
    "objection_open": _(
        "You have objected, and we are looking at your objection. It keeps your account off the lists whatever the"
        " setting says."
    ),
    "objection_upheld": _(
        "You have objected, and your objection was upheld. It keeps your account off the lists whatever the setting"
        " says."
    ),
}
"""The reasons of `exclusions.EXCLUSIONS`, as one says them to the person they are about."""


@register.inclusion_tag("member/standing.html")
def your_standing(member: Member, purpose: str) -> dict[str, Any]:
    """Whether the member's data is used for the purpose at the moment, and every reason why not."""
    found = next(row for row in explaining.standing(member) if row.purpose == purpose)
    return {"reasons": [YOUR_REASONS[code] for code in found.reasons]}


@register.inclusion_tag("member/runs.html")
def your_runs(member: Member, *purposes: str) -> dict[str, Any]:
    """The runs that include the member: day, purpose and reference. Titles may be confidential."""
    try:
        found = explaining.runs_including(member.pk, purposes)
    except (ManifestDamaged, OSError) as error:
        # To say nothing beats saying that there is none.
        logger.error("runs of a member not read", error=type(error).__name__)
        return {"is_unknown": True}
    return {
        "count": len(found),
        "hidden": max(0, len(found) - SHOWN_RUNS),
        "runs": [
            {
                "reference": manifest.run.reference,
                "purpose": Purpose(manifest.run.purpose).label,
                "frozen_at": manifest.frozen_at,
            }
            for manifest in found[:SHOWN_RUNS]
        ],
    }
