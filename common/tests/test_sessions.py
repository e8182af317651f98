"""A visit of staff: how long it lasts, and what its cookies allow (docs/explanation/threat-model.md promises 8 hours)."""

import datetime as dt

import pytest
import time_machine
from django.conf import settings
from django.test import Client
from django.urls import reverse
from django.utils import timezone

pytestmark = pytest.mark.django_db


@pytest.fixture
def signed_in(officer) -> Client:
    """A browser whose person has typed user name and password."""
    browser = Client()
    answer = browser.post(
        reverse("admin:login"),
        {"username": "olga", "password": "correct horse battery", "next": reverse("admin:index")},
    )
    assert answer.status_code == 302
    return browser


def test_a_visit_ends_after_eight_hours(signed_in):
    home = reverse("admin:index")
    now = timezone.now()

    with time_machine.travel(now + dt.timedelta(hours=7, minutes=50)):
        assert signed_in.get(home).status_code == 200
    with time_machine.travel(now + dt.timedelta(hours=8, minutes=1)):
        answer = signed_in.get(home)

    assert answer.status_code == 302
    assert answer["Location"].startswith(reverse("admin:login"))


def test_no_script_and_no_other_site_gets_the_cookie_of_a_visit(signed_in):
    cookie = signed_in.cookies[settings.SESSION_COOKIE_NAME]

    assert cookie["max-age"] == 8 * 3600
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"


def test_a_visit_that_was_ended_by_hand_is_over(signed_in):
    signed_in.post(reverse("admin:logout"))

    assert signed_in.get(reverse("admin:index")).status_code == 302
