"""A hint never keeps a request waiting: not for a broker that is away, nor for one that says nothing."""

import datetime as dt
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import redis
import time_machine
from celery.signals import before_task_publish
from django.urls import reverse
from django.utils import timezone

from common.processes import embedded, hints
from ledger.tasks import sign_checkpoint
from objections.models import Ticket
from objections.public import forms
from tools import factories, workers
from training_runs.models import Run

pytestmark = pytest.mark.django_db(transaction=True)

AT_ONCE = 1.0
"""Seconds: well below what a stopped broker would cost, well above a busy machine's pace."""


@pytest.fixture
def stopped_broker(tmp_path) -> Iterator[int]:
    """A broker that accepts and says nothing: SIGSTOP. Yields its process."""
    with embedded.broker(tmp_path / "valkey.sock") as url, workers.messages_go_to(url):
        client = redis.Redis(unix_socket_path=url.removeprefix("redis+socket://"))
        pid = client.info("server")["process_id"]
        client.close()
        os.kill(pid, signal.SIGSTOP)
        try:
            yield pid
        finally:
            os.kill(pid, signal.SIGCONT)


@contextmanager
def at_once() -> Iterator[None]:
    before = time.monotonic()
    yield
    assert time.monotonic() - before < AT_ONCE


def test_a_broker_that_says_nothing_keeps_no_form_waiting(stopped_broker, client):
    with time_machine.travel(timezone.now() - dt.timedelta(minutes=1)):
        stamp = forms.new_stamp(None)
    typed = {
        "stamp": stamp,
        "kind": "objection",
        "purposes": ["safety"],
        "email": "nora@example.org",
    }

    with at_once():
        answer = client.post("/objection/", typed)

    assert answer.status_code == 302
    assert Ticket.objects.worked().count() == 1


def test_a_broker_that_says_nothing_keeps_no_start_of_a_run_waiting(
    stopped_broker, client_of, engineer, officer, second_officer
):
    factories.open_world(officer, second_officer)
    factories.add_members(1)
    run = factories.register(engineer)
    browser = client_of(engineer)

    with at_once():
        answer = browser.post(
            reverse("api:run-start", args=[run.reference]), content_type="application/json"
        )

    assert answer.status_code == 202
    assert Run.objects.requested().get() == run


def test_a_broker_that_says_nothing_is_named_by_readyz_at_once(stopped_broker, client):
    with at_once():
        answer = client.get("/readyz")

    assert answer.json()["checks"]["broker"] == "failing"
    assert answer.json()["status"] == "degraded"


def test_more_hints_than_fit_are_dropped_at_once(stopped_broker):
    with at_once():
        for _ in range(hints.MAX_WAITING + 500):
            hints.after_commit(sign_checkpoint)

    assert hints._publisher.waiting.qsize() <= hints.MAX_WAITING


def test_a_broker_that_comes_back_gets_the_next_hint(stopped_broker):
    published = []

    def note(sender, **rest):
        published.append(sender)

    hints.after_commit(sign_checkpoint)
    assert not hints.flush(0.2)
    os.kill(stopped_broker, signal.SIGCONT)
    assert hints.flush(20)

    before_task_publish.connect(note)
    try:
        hints.after_commit(sign_checkpoint)
        assert hints.flush(20)
    finally:
        before_task_publish.disconnect(note)

    assert published == [sign_checkpoint.name]
