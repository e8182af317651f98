"""A member's standing, for the member's page: consent shows it, only the runs know it."""

from typing import Any

from django import template

from consent.choices import Purpose
from consent.models import Member
from training_runs.runs import explaining

register = template.Library()


@register.inclusion_tag("admin/training_runs/standing.html")
def standing_of(member: Member) -> dict[str, Any]:
    """A box with a sentence per purpose."""
    return {
        "rows": [
            {
                "purpose": Purpose(found.purpose).label,
                "choice": found.choice,
                "rule": found.rule,
                "sentence": found.sentence,
                "is_in": not found.reasons,
            }
            for found in explaining.standing(member)
        ]
    }
