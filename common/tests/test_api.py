"""What every endpoint shares: access by name, problems, pages, the schema, the docs, the log line."""

import io
import json
import logging

import pytest
from django.core.management import call_command
from django.db import OperationalError
from django.test import Client, RequestFactory
from rest_framework.response import Response
from structlog.stdlib import ProcessorFormatter

from common.api.access import Access
from common.api.endpoints import Endpoint

pytestmark = pytest.mark.django_db


def test_a_problem_has_the_members_of_the_rfc_and_a_stable_code(client_of, engineer):
    answer = client_of(engineer).get("/api/v1/runs/TR-2026-000001")

    assert answer["Content-Type"] == "application/problem+json"
    assert answer.json() == {
        "type": "about:blank",
        "title": "Not Found",
        "status": 404,
        "code": "not_found",
        "detail": "There is no such run.",
    }


@pytest.mark.parametrize(
    ("method", "path", "person", "status", "code"),
    [
        ("get", "runs", None, 401, "not_authenticated"),
        ("get", "runs", "stranger", 403, "permission_missing"),
        ("get", "nowhere", "engineer", 404, "not_found"),
        ("get", "runs/a/b/c", None, 404, "not_found"),
        ("delete", "runs", "engineer", 405, "method_not_allowed"),
        ("options", "runs", "engineer", 405, "method_not_allowed"),
        ("patch", "runs/TR-2026-000001", "engineer", 405, "method_not_allowed"),
    ],
)
def test_refusals_are_problems_with_a_code(request, client_of, method, path, person, status, code):
    client = client_of(request.getfixturevalue(person)) if person else Client()

    answer = getattr(client, method)(f"/api/v1/{path}")

    assert answer.status_code == status
    assert answer["Content-Type"] == "application/problem+json"
    assert answer.json()["code"] == code


def test_who_is_not_known_is_told_how_to_be(client):
    assert client.get("/api/v1/runs")["WWW-Authenticate"] == "Bearer"


def test_a_wrong_method_is_told_the_right_ones(client_of, engineer):
    assert client_of(engineer).put("/api/v1/runs")["Allow"] == "GET, POST"


def test_another_media_type_is_refused_without_repeating_it(client_of, engineer):
    answer = client_of(engineer).post("/api/v1/runs", "<run/>", content_type="text/secret")

    assert answer.status_code == 415
    assert b"secret" not in answer.content


def test_a_browser_needs_the_csrf_token_to_write(engineer):
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(engineer)

    answer = browser.post("/api/v1/runs", {}, content_type="application/json")

    assert answer.status_code == 403
    assert answer["Content-Type"] == "application/problem+json"


def as_user(user, view, method="get"):
    request = getattr(RequestFactory(), method)("/api/v1/somewhere")
    request.user = user
    request._dont_enforce_csrf_checks = True
    return view.as_view()(request)


def test_a_view_that_names_no_access_is_closed_even_to_a_superuser(engineer):
    class Forgotten(Endpoint):
        def get(self, request):
            return Response("open")

    engineer.is_superuser = True

    assert as_user(engineer, Forgotten).status_code == 403


def test_a_method_that_names_no_access_is_closed(engineer):
    class HalfNamed(Endpoint):
        access = {"GET": Access("training_runs.view_run", "runs:read")}

        def get(self, request):
            return Response("open")

        def post(self, request):
            return Response("forgotten")

    assert as_user(engineer, HalfNamed).status_code == 200
    assert as_user(engineer, HalfNamed, "post").status_code == 405


def test_an_unknown_scope_cannot_be_named():
    with pytest.raises(ValueError, match="runs:everything"):
        Access("training_runs.view_run", "runs:everything")


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (RuntimeError("acc-77 did it"), 500, "unexpected"),
        (OperationalError("acc-77 is locked"), 503, "database_unavailable"),
    ],
)
def test_an_unexpected_error_says_nothing_to_the_caller_and_nothing_personal_to_the_log(
    engineer, caplog, error, status, code
):
    class Broken(Endpoint):
        access = {"GET": Access("training_runs.view_run", "runs:read")}

        def get(self, request):
            raise error

    answer = as_user(engineer, Broken)

    assert answer.status_code == status
    assert json.loads(answer.content)["code"] == code
    assert b"acc-77" not in answer.content
    assert type(error).__name__ in caplog.text
    assert "acc-77" not in caplog.text


@pytest.fixture
def log():
    """What the portal's own log handler writes."""
    written = io.StringIO()
    (handler,) = (
        handler
        for handler in logging.getLogger().handlers
        if isinstance(handler.formatter, ProcessorFormatter)
    )
    before = handler.setStream(written)
    yield written
    handler.setStream(before)


def test_the_log_has_one_line_for_a_request_and_nothing_that_was_typed(client_of, engineer, log):
    api = client_of(engineer)

    answer = api.get("/api/v1/runs/acc-secret?state=acc-secret", headers={"X-Request-ID": "me"})

    written = log.getvalue()
    lines = [json.loads(line) for line in written.splitlines()]
    requests = [line for line in lines if line["event"] == "request"]
    assert [(line["route"], line["method"], line["status"]) for line in requests] == [
        ("api:run-detail", "GET", 400)
    ]
    assert requests[0]["request_id"] == answer["X-Request-ID"] != "me"
    assert "acc-secret" not in written


def test_the_schema_is_openapi_3_1_and_names_scopes(client):
    schema = client.get("/api/v1/schema/?format=json").json()

    assert schema["openapi"] == "3.1.1"
    start = schema["paths"]["/api/v1/runs/{reference}/start"]["post"]
    assert "scope `runs:write`" in start["description"]
    assert start["responses"].keys() >= {"202", "401", "403", "409"}
    assert schema["components"]["schemas"]["DecisionInput"]["additionalProperties"] is False


def test_the_schema_says_what_is_for_people_only(client):
    paths = client.get("/api/v1/schema/?format=json").json()["paths"]

    propose = paths["/api/v1/region-rules"]["post"]["description"]
    assert propose.endswith("Permission `consent.add_regionrule`, for people only.")
    assert "None" not in propose


def test_the_schema_is_made_without_a_warning(capsys):
    call_command("spectacular", validate=True, fail_on_warn=True)

    assert "Warning" not in capsys.readouterr().err


def test_the_docs_need_nothing_inline_and_nothing_from_outside(client):
    page = client.get("/api/v1/docs/")

    text = page.content.decode()
    assert "default-src 'self'" in page["Content-Security-Policy"].split("; ")
    assert "<style" not in text
    assert "style=" not in text
    assert "http" not in text
    assert text.count("<script") == text.count('<script src="/') == 3


def test_the_docs_load_their_script_from_here(client):
    script = client.get("/api/v1/docs/?script=")

    assert script["Content-Type"].startswith("application/javascript")
    assert "/api/v1/schema/" in script.content.decode()


def test_the_front_door_leads_to_the_admin(client):
    answer = client.get("/")

    assert (answer.status_code, answer["Location"]) == (302, "/admin/")
