"""Errors as pages: in the portal's face, with a way on, without a script, a leak or the database."""

import re
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.test import Client, RequestFactory
from django.urls import reverse

from common.errors import MustWait
from common.staff import error_pages
from ledger.errors import ClocksDisagree, NotFound, Refusal, RuleViolation
from portal.middleware import RefusalMiddleware
from tools import factories


def said(answer: Any) -> str:
    """The page without its random token, in which any two letters may stand."""
    return re.sub(r'(name="csrfmiddlewaretoken" value=)"\w+"', r'\1""', answer.content.decode())


def is_a_staff_page(answer: Any) -> bool:
    page = said(answer)
    return (
        page.lstrip().lower().startswith("<!doctype html>")
        and 'href="/admin/"' in page
        and "portal/portal.css" in page
        and not re.search(r"<script(?![^>]*src=)", page)
        and answer["Content-Type"].startswith("text/html")
        and "no-store" in answer["Cache-Control"]
        and "default-src 'self'" in answer["Content-Security-Policy"]
    )


def is_a_member_page(answer: Any) -> bool:
    page = said(answer)
    return (
        page.lstrip().lower().startswith("<!doctype html>")
        and "member/member.css" in page
        and f"mailto:{settings.CONTROLLER_CONTACT}" in page
        and "<script" not in page
        and "default-src 'self'" in answer["Content-Security-Policy"]
    )


STAFF = [
    ("GET", "/admin/nowhere/", 404),
    ("GET", "/admin/objections/ticket/999999/decide/", 404),
    ("GET", "/admin/objections/ticket/export/xlsx/", 404),
    ("GET", "/admin/objections/ticket/bulk/nothing/", 404),
    ("GET", "/admin/objections/ticket/take/", 405),
    ("DELETE", "/admin/objections/ticket/look-up/", 405),
    ("POST", "/admin/objections/ticket/export/csv/", 405),
    ("POST", "/admin/objections/ticket/take/", 400),
    ("GET", "/admin/objections/ticket/?country=XX", 400),
    ("GET", "/admin/objections/ticket/?q=%00", 400),
    ("GET", "/admin/objections/ticket/?q=%ff", 400),
    ("GET", "/admin/auth/user/", 403),
    ("GET", "/admin/training_runs/run/add/", 403),
]


@pytest.mark.django_db
@pytest.mark.parametrize(("method", "path", "status"), STAFF)
def test_an_error_of_staff_is_a_page_that_leads_to_the_start_page(
    method: str, path: str, status: int, officer: User, client_of: Any
) -> None:
    answer = client_of(officer).generic(method, path)

    assert answer.status_code == status
    assert is_a_staff_page(answer)
    # Neither the address nor the exception is repeated.
    assert "XX" not in said(answer)
    assert "Traceback" not in said(answer)
    assert "nowhere" not in said(answer)


MEMBERS = [
    ("GET", "/objektion/", 404),
    ("GET", "/settings/ai-trainin", 404),
    ("GET", "/objection/confirm/a/b/", 404),
    ("GET", "/robots.txt", 404),
    ("DELETE", "/objection/", 405),
    ("POST", "/objection/filed/", 405),
    ("GET", "/objection/?q=%00", 400),
    ("GET", "/static/nothing.css", 404),
]


@pytest.mark.django_db
@pytest.mark.parametrize(("method", "path", "status"), MEMBERS)
def test_an_error_of_a_member_is_a_page_with_the_form_and_an_address_to_write_to(
    method: str, path: str, status: int, client: Client
) -> None:
    answer = client.generic(method, path)

    assert answer.status_code == status
    assert is_a_member_page(answer)
    assert f'href="{reverse("objection")}"' in said(answer)
    assert "objektion" not in said(answer)


SENTENCE = "What the tables say is something else."


@pytest.mark.parametrize(
    ("refusal", "status", "waits"),
    [(RuleViolation(SENTENCE), 409, None), (NotFound(SENTENCE), 404, None), (ClocksDisagree(SENTENCE), 503, "5"),
     (MustWait(7), 429, "7")],
)  # fmt: skip
def test_a_refusal_that_no_page_caught_has_its_own_status(
    refusal: Refusal, status: int, waits: str | None
) -> None:
    middleware = RefusalMiddleware(lambda request: HttpResponse())

    for path in ("/objection/", "/admin/", "/api/v1/nothing"):
        answer = middleware.process_exception(RequestFactory().get(path), refusal)

        assert answer is not None
        assert (answer.status_code, answer.get("Retry-After")) == (status, waits)
        # A member reads their own language's words, never the code's sentence.
        assert (str(refusal) in said(answer)) is (path != "/objection/")


@pytest.mark.django_db
def test_without_member_pages_an_error_page_leads_to_no_form(client: Client, settings: Any) -> None:
    settings.MEMBER_PAGES = False

    answer = client.get("/objection/")

    assert answer.status_code == 404
    assert is_a_member_page(answer)
    assert 'href="/objection/"' not in said(answer)


def test_a_refused_method_says_which_ones_are_taken(client: Client) -> None:
    answer = client.delete("/objection/")

    assert answer["Allow"] == "GET, HEAD, POST"


@pytest.mark.parametrize(("method", "status"), [("get", 401), ("put", 405)])
def test_the_api_answers_with_problems_and_no_page(
    method: str, status: int, client: Client, request: pytest.FixtureRequest
) -> None:
    if status == 405:
        request.getfixturevalue("db")
        client = request.getfixturevalue("client_of")(request.getfixturevalue("engineer"))
    answer = client.generic(method.upper(), "/api/v1/runs")

    assert (answer.status_code, answer["Content-Type"]) == (status, "application/problem+json")
    assert client.get("/api/v1/nowhere").json()["code"] == "not_found"


class TestWithoutDatabase:
    """No test here may use the database: whatever asks it fails, as it does when the database is away."""

    @pytest.fixture
    def broken(self) -> Client:
        client = Client(raise_request_exception=False)
        client.cookies["sessionid"] = "abcdefghijklmnopqrstuvwxyz012345"
        return client

    def test_a_failure_is_a_staff_page_that_asks_no_database(self, broken: Client) -> None:
        answer = broken.get("/admin/")

        assert answer.status_code == 500
        assert is_a_staff_page(answer)
        assert "Something went wrong in the portal" in said(answer)
        assert answer["X-Request-ID"] in said(answer)
        assert "Database access" not in said(answer)

    def test_a_failure_is_a_member_page_that_asks_no_database(self) -> None:
        request = RequestFactory().get("/objection/", headers={"Accept-Language": "de"})

        answer = error_pages.server_error(request)

        assert answer.status_code == 500
        assert "We do not know whether what you sent was recorded" in said(answer)
        assert "member/member.css" in said(answer)
        assert "<script" not in said(answer)

    def test_where_not_even_the_template_can_be_read_words_and_a_way_on_are_left(
        self, settings: Any
    ) -> None:
        settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [], "APP_DIRS": False}]

        answer = error_pages.server_error(RequestFactory().get("/admin/"))

        assert answer.status_code == 500
        assert said(answer).startswith("<!doctype html><html")
        assert 'href="/admin/"' in said(answer)

    def test_a_page_that_says_that_nothing_was_recorded_is_not_shown_after_a_failure(
        self, broken: Client
    ) -> None:
        answer = broken.post("/admin/login/", {"username": "olga", "password": "x"})

        assert answer.status_code == 500
        assert "Nothing was recorded" not in said(answer)


@pytest.mark.django_db
def test_a_form_of_staff_that_is_too_old_comes_to_a_page_of_the_portal(officer: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(officer, backend="django.contrib.auth.backends.ModelBackend")
    ticket = factories.objection()
    path = f"/admin/objections/ticket/{ticket.pk}/take/"

    answer = client.post(path, {"version": ticket.version})

    ticket.refresh_from_db()
    assert ticket.assignee is None
    assert answer.status_code == 403
    assert is_a_staff_page(answer)
    assert "The page you sent was too old" in said(answer)
    assert "The form you sent is too old" in said(answer)
    assert "You have no access to this page" not in said(answer)
    assert f'href="{path}"' in said(answer)


@pytest.mark.django_db
def test_a_sign_in_whose_form_is_too_old_comes_to_a_page_of_the_portal() -> None:
    answer = Client(enforce_csrf_checks=True).post("/admin/login/", {"username": "olga"})

    assert answer.status_code == 403
    assert is_a_staff_page(answer)


@pytest.mark.django_db
def test_a_form_of_a_member_that_is_too_old_comes_to_a_page_for_members() -> None:
    answer = Client(enforce_csrf_checks=True).post("/settings/ai-training/", {"choice": "deny"})

    assert answer.status_code == 403
    assert is_a_member_page(answer)
    assert "Not recorded" in said(answer)


@pytest.mark.django_db
def test_a_body_of_staff_that_is_too_large_comes_to_a_page_of_the_portal(
    officer: User, client_of: Any
) -> None:
    answer = client_of(officer).post(
        "/admin/objections/ticket/add/",
        b"x",
        content_type="application/octet-stream",
        headers={"Content-Length": str(settings.MAX_BODY_BYTES + 1)},
    )

    assert answer.status_code == 413
    assert is_a_staff_page(answer)
