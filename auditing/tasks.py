"""A door for Celery."""

from celery import shared_task

from auditing import replaying


@shared_task
def check_tonight() -> None:
    replaying.check_tonight(seconds=1_200)
