"""Doors for Celery: the rows of files are the queue, a message is only a hint."""

from celery import shared_task
from django.contrib.sessions.backends.db import SessionStore
from django.utils import timezone

from common import drafts
from common.files import made_files
from common.identity import sign_in
from common.processes import hints
from ledger.tasks import sign_checkpoint


@shared_task
def make_file(row_id: int) -> None:
    made_files.make(row_id)


@shared_task
def make_files() -> None:
    made_files.make_due()


@shared_task
def remove_files() -> None:
    made_files.remove_ended()


@shared_task
def forget_sign_ins() -> None:
    """Sessions that ended and failed sign-ins of long ago: nothing needs them."""
    SessionStore.clear_expired()
    sign_in.forget_old(timezone.now())


@shared_task
def remove_old_drafts() -> None:
    drafts.remove_old()


def sign_soon() -> None:
    """After the transaction, have what was written signed soon. Without a broker the clock does it."""
    hints.after_commit(sign_checkpoint)
