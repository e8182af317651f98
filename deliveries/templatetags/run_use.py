"""The use of a run's data, for the run's page: the runs show it, only the deliveries know it."""

from typing import Any

from django import template

from deliveries.staff import story
from training_runs.models import Run

register = template.Library()


@register.inclusion_tag("admin/deliveries/use_of_run.html", takes_context=True)
def use_of_run(context: dict[str, Any], run: Run) -> dict[str, Any]:
    """A picture of the data, the run's deliveries and receipts, and its story."""
    user = context["request"].user
    return {**story.context(run, user), "perms": context.get("perms")}
