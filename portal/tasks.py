"""Doors for Celery: the ledger's growth and the rows of files are the queues, a message is only a hint."""

from celery import shared_task
from django.contrib.sessions.backends.db import SessionStore
from django.utils import timezone

from portal import checkpoint_mail, checkpoints, drafts, hints, made_files, sign_in


@shared_task
def sign_checkpoint() -> None:
    checkpoints.sign_now()


@shared_task
def mail_checkpoint() -> None:
    checkpoint_mail.send_to_auditors()


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


def hint() -> None:
    """After the transaction, have what was written signed soon. Without a broker the clock does it."""
    hints.after_commit(sign_checkpoint)
