"""The API's description: enough for a program to generate a client from, and true."""

import pytest
from django.conf import settings
from django.test import Client

from common.identity import tokens
from consent.api.serializers import DecisionInput
from deliveries.api.serializers import DeliveryInput
from objections.api.serializers import ObjectionInput
from tools import factories
from training_runs.api.serializers import CancellationInput, RunInput

pytestmark = pytest.mark.django_db

# What generators of clients know without being told.
GENERATED = {"application/json", "application/problem+json", "application/octet-stream"}


@pytest.fixture
def description(client):
    return client.get("/api/v1/schema/?format=json").json()


@pytest.fixture
def operations(description):
    return {
        operation["operationId"]: operation
        for path in description["paths"].values()
        for method, operation in path.items()
        if method in ("get", "post", "put", "patch", "delete")
    }


def test_it_says_what_it_is_and_where(description):
    assert description["info"]["version"] == settings.API_VERSION
    assert "Token-Expires" in description["info"]["description"]
    assert [server["url"] for server in description["servers"]] == ["/"]


def test_every_answer_has_a_form_that_generators_know(operations):
    unknown = [
        (name, status)
        for name, operation in operations.items()
        for status, answer in operation["responses"].items()
        if (content := answer.get("content"))
        and not any(kind in GENERATED or kind.startswith("text/") for kind in content)
    ]

    assert unknown == []


def test_every_body_has_a_form_that_generators_know(operations):
    unknown = {
        name: sorted(body["content"])
        for name, operation in operations.items()
        if (body := operation.get("requestBody")) and set(body["content"]) - GENERATED
    }

    assert unknown == {}


def test_the_lines_of_decisions_are_taken_under_both_names(product):
    _, plain = tokens.issue_token(
        user=product, name="x", scopes=["decisions:write"], days=1, actor="test"
    )
    client = Client(headers={"Authorization": f"Bearer {plain}"})
    path = "/api/v1/decisions/bulk"

    answers = [
        client.post(path, b"{}\n", content_type=kind)
        for kind in ("application/x-ndjson", "application/octet-stream")
    ]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].content == answers[1].content
    assert client.post(path, b"{}\n", content_type="application/json").status_code == 415


def test_headers_that_programs_act_on_are_described(operations, description):
    def headers(name, status):
        return set(operations[name]["responses"][status].get("headers", {}))

    assert headers("read_run", "200") >= {"ETag", "Retry-After", "Token-Expires"}
    assert headers("read_run", "304") >= {"ETag", "Retry-After"}
    assert headers("read_me", "200") == {"Token-Expires"}
    assert headers("start_run", "202") >= {"Location", "Token-Expires"}
    assert headers("download_archive", "206") >= {"ETag", "Content-Range", "Token-Expires"}
    assert headers("list_withdrawn", "200") >= {"ETag"}
    assert headers("register_run", "503") == {"Retry-After"}
    for name, operation in operations.items():
        for status in operation["responses"]:
            if status.startswith("2"):
                assert "Token-Expires" in headers(name, status), (name, status)
    assert set(description["components"]["headers"]) == {
        "Content-Range",
        "Location",
        "Retry-After",
        "Token-Expires",
    }


EXAMPLES = {
    "record_decision": DecisionInput,
    "file_objection": ObjectionInput,
    "register_run": RunInput,
    "cancel_run": CancellationInput,
    "request_delivery": DeliveryInput,
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_main_bodies_have_an_example_that_is_taken(operations, name, engineer):
    found = operations[name]["requestBody"]["content"]["application/json"]["examples"]

    assert found
    for example in found.values():
        body = EXAMPLES[name](data=example["value"])
        assert body.is_valid(), body.errors


def test_a_described_answer_is_the_one_that_is_given(operations, client_of, engineer):
    run = factories.register(engineer)

    answer = client_of(engineer).post(
        f"/api/v1/runs/{run.reference}/cancel",
        {"reason": "wrong data"},
        content_type="application/json",
    )

    reference = operations["cancel_run"]["responses"]["200"]["content"]["application/json"]
    assert reference["schema"]["$ref"].endswith("/RunOutput")
    assert answer.status_code == 200
