"""The newest checkpoint by e-mail, to every auditor: a copy in a mailbox is out of the operators' hands."""

import smtplib

import structlog
from django.conf import settings
from django.contrib.auth.models import User
from django.core.mail import EmailMessage

from common.identity import roles
from common.processes import leases
from ledger.checkpoints import signing
from ledger.choices import DeliveryChannel
from ledger.models import Checkpoint

logger = structlog.get_logger(__name__)

TEXT = """\
This is the newest checkpoint of the ledger of {url}.

Keep this message. With it you can check later whether any entry from 1 to {size}
was changed, removed or put in: `verify.py export` takes it as --kept (save the lines
between the rules, with the empty line, as a file).

----------------------------------------------------------------------
{note}----------------------------------------------------------------------
"""


def send_to_auditors() -> int:
    """Send it to the auditors who do not have it yet; returns to how many it went. One process at a time sends."""
    with leases.held("mail checkpoint") as is_ours:
        return _send() if is_ours else 0


def _send() -> int:
    checkpoint = Checkpoint.objects.first()
    if checkpoint is None:
        return 0
    auditors = User.objects.filter(groups__name=roles.AUDITOR, is_active=True).exclude(email="")
    has_it = checkpoint.deliveries.filter(channel=DeliveryChannel.EMAIL).values("holder")
    count = 0
    for auditor in auditors.exclude(username__in=has_it).order_by("pk"):
        try:
            _message(checkpoint, auditor.email).send()
        except (OSError, smtplib.SMTPException) as error:
            # Tomorrow there is another one; a server's own words may repeat the address.
            logger.error("checkpoint not mailed", user=auditor.pk, error=type(error).__name__)
            continue
        signing.delivered(checkpoint, DeliveryChannel.EMAIL, auditor.get_username())
        count += 1
    return count


def _message(checkpoint: Checkpoint, to: str) -> EmailMessage:
    body = TEXT.format(url=settings.PUBLIC_URL, size=checkpoint.size, note=checkpoint.note)
    return EmailMessage(f"Checkpoint {checkpoint.size} of {settings.LEDGER_NAME}", body, to=[to])
