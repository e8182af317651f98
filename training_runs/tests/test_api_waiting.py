"""A pipeline that follows a run: ETag, `?wait=`, Retry-After, without holding the database."""

import threading
import time
from contextlib import ExitStack, contextmanager

import pytest
from django.conf import settings
from django.db import connection, connections
from django.test import Client

from tools import factories
from training_runs.api import waiting
from training_runs.runs import freezing, registering, verifying

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.one_engine]


@pytest.fixture
def api(client_of, engineer):
    return client_of(engineer)


@pytest.fixture
def requested(officer, second_officer, engineer):
    factories.open_world(officer, second_officer)
    factories.add_members(2)
    return registering.start(run=factories.register(engineer), actor=engineer)


def path(run, query=""):
    return f"/api/v1/runs/{run.reference}{query}"


def get_since(api, run, etag, query=""):
    return api.get(path(run, query), headers={"If-None-Match": etag})


class Asking(threading.Thread):
    """A request in a thread of its own; `answer` and `seconds` once it has ended."""

    def __init__(self, user, url, **headers):
        super().__init__()
        self.client, self.url, self.headers = Client(), url, headers
        self.client.force_login(user)
        self.start()

    def run(self):
        began = time.monotonic()
        try:
            self.answer = self.client.get(self.url, headers=self.headers)
        finally:
            connections.close_all()
        self.seconds = time.monotonic() - began

    def ended(self):
        self.join(30)
        assert not self.is_alive()
        return self.answer


def until(is_so):
    end = time.monotonic() + 10
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.02)


def free_places():
    """Places for requests that wait, in this process."""
    with ExitStack() as taken:
        return sum(taken.enter_context(waiting.place()) for _ in range(99))


@contextmanager
def no_place_free():
    with ExitStack() as taken:
        for _ in range(settings.MAX_WAITING_REQUESTS):
            assert taken.enter_context(waiting.place())
        yield


# --- ETag ---------------------------------------------------------------------------------------


def test_a_run_that_has_not_changed_is_not_sent_again(api, engineer, requested):
    etag = api.get(path(requested))["ETag"]

    again = get_since(api, requested, etag)
    freezing.freeze(requested.pk)
    frozen = get_since(api, requested, etag)
    verifying.verify(requested.manifest)
    verified = get_since(api, requested, frozen["ETag"])

    assert (again.status_code, again.content, again["ETag"]) == (304, b"", etag)
    assert [frozen.status_code, verified.status_code] == [200, 200]
    assert len({etag, frozen["ETag"], verified["ETag"]}) == 3


@pytest.mark.parametrize("form", ["W/{}", '"other", {}', "*"])
def test_every_form_of_a_known_etag_is_understood(api, requested, form):
    etag = api.get(path(requested))["ETag"]

    assert get_since(api, requested, form.format(etag)).status_code == 304


# --- Retry-After --------------------------------------------------------------------------------


def test_a_run_that_waits_says_when_to_ask_again_and_one_that_does_not_says_nothing(api, requested):
    waits = api.get(path(requested))
    same = get_since(api, requested, waits["ETag"])
    freezing.freeze(requested.pk)
    unverified = api.get(path(requested))
    verifying.verify(requested.manifest)
    done = api.get(path(requested))

    told = [answer.get("Retry-After") for answer in (waits, same, unverified, done)]
    assert told == ["2", "2", "2", None]


# --- ?wait= -------------------------------------------------------------------------------------


@pytest.mark.parametrize("wait", ["-1", "61", "soon", "1&wait=2"])
def test_a_wait_out_of_bounds_is_refused_with_its_field(api, requested, wait):
    answer = api.get(path(requested, f"?wait={wait}"))

    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == "wait"


def test_a_run_that_waits_for_nothing_is_answered_at_once(api, engineer):
    run = factories.register(engineer)
    began = time.monotonic()

    answer = api.get(path(run, "?wait=30"))

    assert answer.status_code == 200
    assert time.monotonic() - began < 5


def test_a_wait_ends_when_the_manifest_is_verified(engineer, requested):
    asking = Asking(engineer, path(requested, "?wait=30"))

    freezing.freeze(requested.pk)
    verifying.verify(requested.manifest)

    assert asking.ended().json()["manifest"]["verification"] == "agrees"
    assert asking.seconds < 15


def test_a_wait_for_a_change_ends_with_the_next_change(api, engineer, requested):
    etag = api.get(path(requested))["ETag"]
    asking = Asking(engineer, path(requested, "?wait=30"), **{"If-None-Match": etag})

    freezing.freeze(requested.pk)

    answer = asking.ended()
    assert (answer.status_code, answer.json()["state"]) == (200, "frozen")
    assert answer["ETag"] != etag
    assert asking.seconds < 15


def test_a_wait_without_a_change_ends_in_time(api, requested):
    etag = api.get(path(requested))["ETag"]
    began = time.monotonic()

    known = get_since(api, requested, etag, "?wait=1")
    unknown = api.get(path(requested, "?wait=1"))

    assert (known.status_code, unknown.status_code) == (304, 200)
    assert 2 <= time.monotonic() - began < 10
    assert [answer["Retry-After"] for answer in (known, unknown)] == ["2", "2"]


def test_a_request_that_waits_holds_no_connection(api, requested, monkeypatch):
    held = []

    def looked(seconds):
        held.append(connection.connection is not None)

    # The moments between two looks.
    monkeypatch.setattr(waiting, "sleep", looked)
    monkeypatch.setitem(connection.settings_dict, "CONN_MAX_AGE", 60)
    api.get(path(requested, "?wait=1"))

    assert held
    assert set(held) == {False}


def test_more_requests_than_the_setting_says_are_answered_at_once(api, requested):
    etag = api.get(path(requested))["ETag"]
    began = time.monotonic()

    with no_place_free():
        answers = [
            api.get(path(requested, "?wait=30")),
            get_since(api, requested, etag, "?wait=30"),
        ]

    assert time.monotonic() - began < 5
    assert [answer.status_code for answer in answers] == [200, 304]
    assert [answer["Retry-After"] for answer in answers] == ["2", "2"]
    assert free_places() == settings.MAX_WAITING_REQUESTS


def test_a_wait_that_ends_gives_its_place_back(engineer, requested):
    asking = Asking(engineer, path(requested, "?wait=1"))
    until(lambda: free_places() == settings.MAX_WAITING_REQUESTS - 1)

    asking.ended()

    assert free_places() == settings.MAX_WAITING_REQUESTS


def test_a_finished_run_whose_wait_finds_no_place_says_when_to_ask_again(api, engineer):
    run = factories.register(engineer)
    etag = api.get(path(run))["ETag"]

    with no_place_free():
        answer = get_since(api, run, etag, "?wait=30")

    # Otherwise its caller would ask again and again without a pause.
    assert (answer.status_code, answer["Retry-After"]) == (304, "2")
