"""The desk's tasks: each has a time of its own, and none keeps a freeze waiting."""

import pytest
from celery.signals import before_task_publish
from django.conf import settings

from common.processes import hints
from objections import tasks
from portal.celery import app

DAY_TASKS = {"erase_expired", "sweep_files", "send_digests"}


def test_every_task_of_the_day_comes_by_itself():
    # As a worker does when it starts.
    app.loader.import_default_modules()
    scheduled = [entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values()]

    assert {f"objections.tasks.{name}" for name in DAY_TASKS} <= set(scheduled)
    assert set(scheduled) <= set(app.tasks)
    assert len(scheduled) == len(set(scheduled))


@pytest.mark.django_db(transaction=True)
def test_a_burst_of_filings_is_no_burst_of_work_before_the_freezes():
    published = []

    def publish(sender, body, headers, **rest):
        if sender == tasks.send_letters.name:
            published.append((body[1], headers["expires"] is not None))

    before_task_publish.connect(publish)
    try:
        tasks.hint()
        hints.flush(10)
    finally:
        before_task_publish.disconnect(publish)

    assert published == [({"seconds": tasks.HINT_SECONDS}, True)]
    assert tasks.HINT_SECONDS < settings.SWEEP_SECONDS
    assert settings.CELERY_BEAT_SCHEDULE["letters"]["options"] == {
        "expires": settings.SWEEP_SECONDS
    }
