"""How a member comes in from the product: the link, the cookie, and everything that is neither."""

import datetime as dt

import pytest
import time_machine
from django.core import signing
from django.http import HttpResponse
from django.test import Client, RequestFactory
from django.urls import reverse
from django.utils import timezone

from consent import accounts
from consent.models import Member
from consent.public import member_links
from ledger.models import AccessRecord
from tools import factories

pytestmark = pytest.mark.django_db

PAGE = "/settings/ai-training/"


@pytest.fixture
def member() -> Member:
    return Member.objects.get(pk=factories.add_member("customer-1"))


def ask(client, account_ref="customer-1"):
    return client.post(
        reverse("api:member-setting-link"), {"account_ref": account_ref}, "application/json"
    )


def path_of(member) -> str:
    return member_links.link_for(member).url.removeprefix("http://127.0.0.1:8000")


def came_in(member, **age) -> str | None:
    """Who a request is from, with the cookie that `let_in` set so long ago."""
    response = HttpResponse()
    with time_machine.travel(timezone.now() - dt.timedelta(**age), tick=False):
        member_links.let_in(response, member)
    request = RequestFactory().get(PAGE)
    request.COOKIES = {name: morsel.value for name, morsel in response.cookies.items()}
    return member_links.member_of(request)


# --- The endpoint -------------------------------------------------------------------------------


def test_the_product_gets_a_link_that_soon_expires(client_of, product, member):
    with time_machine.travel("2026-05-03T10:00:00Z", tick=False):
        answer = ask(client_of(product))

    assert answer.status_code == 201
    assert answer.json().keys() == {"url", "expires_at"}
    assert answer.json()["url"].startswith("http://127.0.0.1:8000/settings/ai-training/open/1:")
    assert answer.json()["expires_at"] == "2026-05-03T10:10:00.000000Z"
    assert "no-store" in answer.headers["Cache-Control"]


def test_the_link_leads_to_where_members_reach_the_portal(client_of, product, member, settings):
    settings.PUBLIC_URL = "https://privacy.example.org"

    url = ask(client_of(product)).json()["url"]

    assert url.startswith("https://privacy.example.org/settings/ai-training/open/")


def test_asking_for_a_link_leaves_a_record(client_of, product, member):
    ask(client_of(product))
    ask(client_of(product), "unknown")

    assert list(AccessRecord.objects.order_by("pk").values_list("kind", "subject")) == [
        ("member.setting_link", f"member:{member.pk}"),
        ("member.setting_link", "member:unknown"),
    ]


@pytest.mark.parametrize("account_ref", ["unknown", "customer-1"])
def test_there_is_no_link_for_the_unknown_and_the_erased(client_of, product, member, account_ref):
    accounts.erase_member(account_ref="customer-1", actor="test", reason="asked")

    answer = ask(client_of(product), account_ref)

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert account_ref not in answer.text


def test_without_member_pages_there_is_no_link_and_nothing_is_read(
    client_of, product, member, settings
):
    settings.MEMBER_PAGES = False

    answer = ask(client_of(product))

    assert answer.headers["Content-Type"] == "application/problem+json"
    assert (answer.status_code, answer.json()["code"]) == (404, "member_pages_off")
    assert not AccessRecord.objects.exists()


# --- The link -----------------------------------------------------------------------------------


def test_the_link_lets_the_member_in_and_is_left_behind(client, member):
    answer = client.get(path_of(member))

    assert (answer.status_code, answer["Location"]) == (302, PAGE)
    assert answer.content == b""
    assert "no-store" in answer["Cache-Control"]
    assert client.get(PAGE).status_code == 200


def test_the_cookie_is_for_the_browser_alone_and_short(client, member, settings):
    settings.SESSION_COOKIE_SECURE = True

    answer = client.get(path_of(member))

    cookie = answer.cookies[member_links.COOKIE]
    assert {
        name: cookie[name] for name in ("httponly", "secure", "samesite", "path", "domain")
    } == {
        "httponly": True,
        "secure": True,
        "samesite": "Lax",
        "path": "/",
        "domain": "",
    }
    assert cookie["max-age"] == 30 * 60
    assert answer.cookies.keys() == {member_links.COOKIE}


def test_a_link_opens_until_its_time_is_over_and_not_after(member):
    with time_machine.travel("2026-05-03T10:00:00Z", tick=False) as clock:
        path = path_of(member)
        clock.shift(dt.timedelta(minutes=10))
        in_time = Client().get(path)
        clock.shift(dt.timedelta(seconds=1))
        too_late = Client().get(path)

    assert (in_time.status_code, too_late.status_code) == (302, 403)
    assert too_late.cookies.keys() == set()
    assert "Please open this page from the product" in too_late.text


def tampered(path: str) -> str:
    return path.replace("/1:", "/2:")


def of_another_salt(path: str) -> str:
    return reverse("setting-link", args=[signing.TimestampSigner(salt="other").sign("1")])


def a_cookie(path: str) -> str:
    cookie = Client().get(path).cookies[member_links.COOKIE].value
    return reverse("setting-link", args=[cookie])


def unsigned(path: str) -> str:
    return reverse("setting-link", args=["1"])


@pytest.mark.parametrize("forge", [tampered, of_another_salt, a_cookie, unsigned])
def test_a_forged_link_gets_the_answer_of_an_expired_one(member, forge):
    factories.add_member("customer-2")
    path = path_of(member)
    with time_machine.travel(timezone.now() + dt.timedelta(hours=1)):
        expired = Client().get(path)

    answer = Client().get(forge(path))

    assert answer.status_code == expired.status_code == 403
    assert answer.content == expired.content
    assert answer.cookies.keys() == set()


def test_looking_ahead_at_a_link_does_not_spend_it(member):
    path = path_of(member)

    answers = [Client().head(path).status_code, Client().get(path).status_code]

    assert answers == [302, 302]
    assert Client().post(path).status_code == 405


# --- The cookie ---------------------------------------------------------------------------------


def test_a_request_with_the_cookie_is_from_the_member(member):
    assert came_in(member, minutes=29) == member


def test_an_old_cookie_is_refused(member):
    assert came_in(member, minutes=31) is None


def test_a_link_is_no_cookie(client, member):
    client.cookies[member_links.COOKIE] = path_of(member).rpartition("/")[2]

    assert client.get(PAGE).status_code == 403


def test_the_cookie_of_an_erased_member_is_refused(member):
    accounts.erase_member(account_ref="customer-1", actor="test", reason="asked")

    assert came_in(member) is None
