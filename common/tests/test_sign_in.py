"""Sign-in: wrong passwords cost time, and one user's failures lock out no other user."""

import datetime as dt
import json
import logging
import threading

import pytest
import time_machine
from django.contrib.auth import authenticate
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from common import tasks
from common.errors import MustWait
from common.identity import sign_in, tokens
from common.models import FailedSignIns

pytestmark = pytest.mark.django_db

PASSWORD = "correct horse battery"
HERE, THERE = "203.0.113.9", "198.51.100.7"


def log_in(username, password, sender=HERE, **extra):
    return Client().post(
        reverse("admin:login"),
        {"username": username, "password": password, "next": reverse("admin:index")},
        REMOTE_ADDR=sender,
        **extra,
    )


def fail(times, username="olga", sender=HERE):
    return [log_in(username, "wrong", sender).status_code for _ in range(times)]


def test_five_wrong_passwords_cost_a_second_and_each_further_one_twice_as_much(officer):
    with time_machine.travel(timezone.now(), tick=False) as clock:
        assert fail(5) == [200] * 5

        waits = []
        for _ in range(9):
            refused = log_in("olga", "wrong")
            assert refused.status_code == 429
            waits.append(int(refused["Retry-After"]))
            clock.shift(waits[-1])
            assert fail(1) == [200]

    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_the_right_password_waits_too_and_then_clears_what_was_counted(officer):
    with time_machine.travel(timezone.now(), tick=False) as clock:
        fail(5)

        early = log_in("olga", PASSWORD)
        clock.shift(2)
        later = log_in("olga", PASSWORD)
        after = fail(4)

    assert (early.status_code, early["Retry-After"]) == (429, "1")
    assert (later.status_code, later["Location"]) == (302, reverse("admin:index"))
    assert after == [200] * 4


def test_the_page_says_how_long_and_keeps_the_name(officer):
    with time_machine.travel(timezone.now(), tick=False):
        fail(5)
        page = log_in("olga", "wrong")

    assert "Too many failed sign-ins. Wait 1 second, then try again." in page.text
    assert 'value="olga"' in page.text
    assert "no-store" in page["Cache-Control"]


def test_waiting_attempts_do_not_make_the_wait_longer(officer):
    with time_machine.travel(timezone.now(), tick=False) as clock:
        fail(5)
        assert fail(20) == [429] * 20
        clock.shift(1)

        assert log_in("olga", PASSWORD).status_code == 302


def test_sixty_wrong_passwords_are_sixty_delayed_ones_and_the_right_one_waits(officer):
    with time_machine.travel(timezone.now(), tick=False):
        statuses = fail(60)
        right = log_in("olga", PASSWORD)

    assert statuses == [200] * 5 + [429] * 55
    assert right.status_code == 429


def test_wrong_passwords_from_elsewhere_lock_out_no_person(officer):
    with time_machine.travel(timezone.now(), tick=False):
        fail(30, sender=THERE)

        assert log_in("olga", PASSWORD, sender=THERE).status_code == 429
        assert log_in("olga", PASSWORD, sender=HERE).status_code == 302


def test_a_delay_of_one_account_is_none_of_another(officer, second_officer):
    fail(10, "olga")

    assert log_in("otto", PASSWORD).status_code == 302


def test_an_unknown_name_is_delayed_like_a_known_one(officer):
    with time_machine.travel(timezone.now(), tick=False):
        known = [log_in("olga", "wrong") for _ in range(7)]
        unknown = [log_in("nemo", "wrong") for _ in range(7)]

    assert [page.status_code for page in known] == [page.status_code for page in unknown]
    assert [page.headers.get("Retry-After") for page in known] == [
        page.headers.get("Retry-After") for page in unknown
    ]


@pytest.mark.parametrize("spelling", ["OLGA", "Olga", " olga ", "ｏｌｇａ", "olga\n"])
def test_another_spelling_of_a_name_is_no_fresh_start(spelling, officer):
    with time_machine.travel(timezone.now(), tick=False):
        fail(5)

        with pytest.raises(MustWait):
            sign_in.begin("password", spelling, HERE)


@pytest.mark.parametrize("name", ["", "a" * 10_000, "nul\0byte", "\ud800", "ﷺ" * 200, "olga' --"])
def test_any_text_is_counted(name):
    with time_machine.travel(timezone.now(), tick=False):
        for _ in range(5):
            sign_in.begin("password", name, HERE)

        with pytest.raises(MustWait):
            sign_in.begin("password", name, HERE)


@pytest.mark.parametrize("name", ["a" * 10_000, "nul\0byte", "ﷺ" * 200])
def test_a_senseless_name_is_refused_and_nothing_breaks(name):
    assert {log_in(name, "wrong").status_code for _ in range(7)} <= {200, 400, 429}


def test_one_household_of_ipv6_is_one_sender(officer):
    with time_machine.travel(timezone.now(), tick=False):
        for number in range(5):
            fail(1, sender=f"2001:db8:1:2::{number + 1}")

        assert log_in("olga", PASSWORD, sender="2001:db8:1:2:ffff::1").status_code == 429
        assert log_in("olga", PASSWORD, sender="2001:db8:1:3::1").status_code == 302


def test_a_sender_that_tries_many_accounts_has_no_free_failures_left(officer, second_officer):
    for number in range(sign_in.MAX_FAILURES_OF_SENDER + 1):
        fail(1, f"guess-{number}")

    with time_machine.travel(timezone.now(), tick=False):
        first, second = fail(2, "otto")

    assert (first, second) == (200, 429)
    # An account that was not tried from there is not delayed, and others are not delayed elsewhere.
    assert log_in("olga", PASSWORD).status_code == 302
    assert fail(4, "otto", sender=THERE) == [200] * 4


def test_failures_are_forgotten_after_a_day(officer):
    with time_machine.travel(timezone.now(), tick=False) as clock:
        fail(5)
        fail(3, "otto")
        clock.shift(dt.timedelta(days=1, seconds=1))
        assert fail(1) == [200]

        assert fail(3) == [200] * 3
        assert FailedSignIns.objects.count() == 2, "olga from here, and everybody from here"


def test_a_clock_that_stepped_back_locks_out_no_person(officer):
    now = timezone.now()
    with time_machine.travel(now + dt.timedelta(days=2), tick=False):
        fail(12)

    with time_machine.travel(now, tick=False):
        assert log_in("olga", PASSWORD).status_code == 302


def test_nothing_of_account_and_sender_is_kept_in_clear(officer):
    fail(1)

    kept = json.dumps(list(FailedSignIns.objects.values()), default=str)

    assert FailedSignIns.objects.count() == 2
    assert "olga" not in kept and HERE not in kept


def test_sign_in_is_refused_where_the_sender_is_unknown(officer, settings):
    settings.PROXY_HOPS = 1

    wrong = [log_in("olga", "wrong").status_code for _ in range(60)]
    right = log_in("olga", PASSWORD)
    named = log_in("olga", PASSWORD, headers={"X-Forwarded-For": HERE})

    assert set(wrong) == {503}
    assert right.status_code == 503
    assert "PROXY_HOPS" in right.text
    assert named.status_code == 302


def test_code_without_a_request_is_delayed_by_account(officer):
    with time_machine.travel(timezone.now(), tick=False):
        for _ in range(5):
            assert authenticate(username="olga", password="wrong") is None

        with pytest.raises(MustWait):
            authenticate(username="olga", password=PASSWORD)
    assert log_in("olga", PASSWORD).status_code == 302


@pytest.mark.django_db(transaction=True)
def test_attempts_at_the_same_time_are_counted_one_after_the_other(officer):
    statuses = []
    barrier = threading.Barrier(12)

    def guess():
        try:
            barrier.wait()
            statuses.append(log_in("olga", "wrong").status_code)
        finally:
            connection.close()

    threads = [threading.Thread(target=guess) for _ in range(12)]
    with time_machine.travel(timezone.now(), tick=False):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert sorted(statuses) == [200] * 5 + [429] * 7


def test_signing_in_is_logged_by_number_and_never_by_name_or_address(officer, caplog):
    with (
        caplog.at_level(logging.INFO, logger="common.identity.sign_in"),
        time_machine.travel(timezone.now(), tick=False),
    ):
        fail(6)
        log_in("olga", PASSWORD, sender=THERE)
        log_in("nemo", "wrong", sender=THERE)

    lines = [record.msg for record in caplog.records if record.name == "common.identity.sign_in"]
    assert [line["event"] for line in lines] == [
        *["sign-in failed"] * 5, "sign-in refused", "signed in", "sign-in failed",
    ]  # fmt: skip
    assert [line["user"] for line in lines if "user" in line] == [officer.pk] * 6 + [None]
    said = str(lines)
    assert not any(secret in said for secret in ("olga", "nemo", "wrong", HERE, THERE))


def test_what_is_old_goes_every_day(officer):
    with time_machine.travel(timezone.now(), tick=False) as clock:
        fail(1)
        Client().force_login(officer)
        clock.shift(dt.timedelta(hours=23))
        tasks.forget_sign_ins()
        assert FailedSignIns.objects.count() == 2
        assert not Session.objects.exists(), "it ended after eight hours"
        clock.shift(dt.timedelta(hours=2))
        tasks.forget_sign_ins()

    assert not FailedSignIns.objects.exists()


def test_a_request_is_logged_with_the_number_of_who_asks(officer, engineer, client_of, caplog):
    _, plain = tokens.issue_token(
        user=engineer, name="trainer", scopes=["runs:read"], days=1, actor="test"
    )
    with caplog.at_level(logging.INFO, logger="portal.middleware"):
        client_of(officer).get(reverse("admin:index"))
        client_of(officer).get("/api/v1/runs")
        Client().get("/api/v1/runs", headers={"Authorization": f"Bearer {plain}"})
        Client().get("/api/v1/runs")
        client_of(officer).get("/static/portal/portal.css")

    lines = [record.msg for record in caplog.records if record.name == "portal.middleware"]
    assert [line["user"] for line in lines] == [officer.pk, officer.pk, engineer.pk, None, None]


# --- Superusers ---------------------------------------------------------------------------------


@pytest.fixture
def root(db):
    return User.objects.create_superuser("root", password=PASSWORD)


def test_a_superuser_does_not_sign_in(root):
    answer = log_in("root", PASSWORD)

    assert answer.status_code == 200
    assert not answer.wsgi_request.user.is_authenticated


def test_a_session_of_a_superuser_is_none(root, officer):
    client = Client()
    client.force_login(root)
    other = Client()
    other.force_login(officer)
    User.objects.filter(pk=officer.pk).update(is_superuser=True)

    for one in (client, other):
        assert one.get(reverse("admin:index")).status_code == 302
        assert one.get("/api/v1/runs").status_code == 401


def test_a_token_of_a_superuser_is_refused(root, engineer):
    _, plain = tokens.issue_token(
        user=engineer, name="trainer", scopes=["runs:read"], days=1, actor="test"
    )
    before = Client().get("/api/v1/runs", headers={"Authorization": f"Bearer {plain}"})
    User.objects.filter(pk=engineer.pk).update(is_superuser=True)

    after = Client().get("/api/v1/runs", headers={"Authorization": f"Bearer {plain}"})

    assert (before.status_code, after.status_code) == (200, 401)


# --- Tokens -------------------------------------------------------------------------------------


def ask(token, sender=HERE):
    return Client().get(
        "/api/v1/runs", headers={"Authorization": f"Bearer {token}"}, REMOTE_ADDR=sender
    )


def test_refused_tokens_are_slowed_down_by_sender_and_a_valid_one_never(engineer):
    _, plain = tokens.issue_token(
        user=engineer, name="trainer", scopes=["runs:read"], days=1, actor="test"
    )
    with time_machine.travel(timezone.now(), tick=False) as clock:
        refused = [ask("f" * 64).status_code for _ in range(21)]
        slowed = ask("f" * 64)
        valid = ask(plain)
        elsewhere = ask("f" * 64, sender=THERE)
        clock.shift(1)
        again = ask("f" * 64)

    assert refused == [401] * 21
    assert (slowed.status_code, slowed.json()["code"], slowed["Retry-After"]) == (
        429,
        "throttled",
        "1",
    )
    assert valid.status_code == 200
    assert elsewhere.status_code == 401
    assert again.status_code == 401
