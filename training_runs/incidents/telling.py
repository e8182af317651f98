"""Telling the person who answers for a run's team of an incident, by mail. The page and the API say the same."""

from smtplib import SMTPException

import structlog
from django.conf import settings
from django.core.mail import EmailMessage
from django.urls import reverse

from training_runs.models import Incident

logger = structlog.get_logger(__name__)


def tell_team(incident: Incident) -> None:
    """Send the mail. One that cannot be sent is logged: the start page of each of the team shows the incident anyway."""
    person = incident.run.team.responsible
    if not (person.email and person.is_active):
        logger.warning("no address for an incident", incident=incident.reference)
        return
    address = reverse("admin:training_runs_incident_change", args=[incident.pk])
    members = "1 member" if incident.members == 1 else f"{incident.members:,} members"
    delivered = (
        f"Data of {incident.delivered:,} of them was delivered."
        if incident.delivered
        else "Their data was not delivered, and the next delivery leaves them out."
    )
    text = (
        f"{incident.run.reference} was frozen with {members} who, as we know by now, were out.\n\n{delivered}\n\n"
        f"Acknowledge it: {settings.PUBLIC_URL}{address}\n"
    )
    mail = EmailMessage(f"{incident.reference}: {incident.run.reference}", text, to=[person.email])
    try:
        mail.send()
    except (OSError, SMTPException) as error:
        logger.error(
            "mail about an incident not sent",
            incident=incident.reference,
            error=type(error).__name__,
        )
