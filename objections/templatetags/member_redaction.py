"""Facts about the preparation of training data, for pages of members."""

from django import template

from objections.redaction import facts

register = template.Library()


@register.simple_tag
def is_data_reduced(purpose: str) -> bool:
    """Whether receipts of completed runs show that personal data is reduced."""
    return facts.is_redaction_proven([purpose])


@register.simple_tag
def outside_recipients(purpose: str) -> str:
    """The names of affiliates and processors that receive data sets, in one line; empty when there are none."""
    return ", ".join(facts.recipients(purpose))
