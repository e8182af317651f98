"""Doors for Celery."""

import subprocess
import sys

import structlog
from celery import shared_task
from django.conf import settings

from auditing import checkpoint_mail
from common.processes import children

logger = structlog.get_logger(__name__)

_running: list[subprocess.Popen[bytes]] = []


@shared_task
def check_tonight() -> None:
    """Start `manage.py check_tonight`, and wait for nothing: freezes and signatures want the same worker."""
    if _running and _running[-1].poll() is None:
        logger.warning("the nightly check of before is still at it")
        return
    _running[:] = [
        children.start([sys.executable, settings.BASE_DIR / "manage.py", "check_tonight"])
    ]


@shared_task
def mail_checkpoint() -> None:
    checkpoint_mail.send_to_auditors()
