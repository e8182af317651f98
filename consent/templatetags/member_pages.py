"""Facts about the controller in the frame of every page for members."""

from django import template
from django.conf import settings

register = template.Library()


@register.simple_tag
def controller_name() -> str:
    """The name of the controller."""
    return str(settings.CONTROLLER_NAME)


@register.simple_tag
def controller_contact() -> str:
    """The address people write to."""
    return str(settings.CONTROLLER_CONTACT)
