"""What cannot be understood gets a clear error, never a 500, and leaves nothing behind."""

import base64
import json
from urllib.parse import urlencode

import pytest
from django.conf import settings
from django.test import Client

from ledger.models import Entry
from tools import factories
from training_runs.models import Run

pytestmark = pytest.mark.django_db

RUN = {"tracker_run_id": "mlflow-1", "purpose": "safety", "data_categories": ["posts"]}


@pytest.fixture
def api(client_of, engineer) -> Client:
    return client_of(engineer)


def send(client, body, path="runs", content_type="application/json"):
    return client.post(f"/api/v1/{path}", body, content_type=content_type)


BODIES = [
    (b"", "required"),
    (b"{", "bad_request"),
    (b"null", "null"),
    (b"[]", "invalid"),
    (b'"text"', "invalid"),
    (b"7", "invalid"),
    (b"NaN", "bad_request"),
    (b'{"a": Infinity}', "bad_request"),
    (b'{"a": 1, "a": 2}', "bad_request"),
    (b"\xff\xfe{}", "not_utf8"),
    ('{"a": "é"}'.encode("latin-1"), "not_utf8"),
    (b'{"title": "\\ud800"}', "bad_request"),
    (b'{"\\udfff": 1}', "bad_request"),
    (b"[" * 100_000 + b"]" * 100_000, "bad_request"),
    (b'{"a":' * 50_000 + b"1" + b"}" * 50_000, "bad_request"),
    (b'{"title": ' + b"9" * 5000 + b"}", "bad_request"),
    (b'{"title": 1e999999}', "bad_request"),
]


@pytest.mark.parametrize(("body", "code"), BODIES, ids=[repr(body[:20]) for body, _ in BODIES])
def test_a_body_that_is_no_object_is_refused(api, body, code):
    answer = send(api, body)

    problem = answer.json()
    assert answer.status_code == 400
    assert code in [problem["code"], *(error["code"] for error in problem.get("errors", []))]
    assert not Run.objects.exists()


FIELDS = [
    ("tracker_run_id", "a\0b"),
    ("tracker_run_id", "x" * 101),
    ("tracker_run_id", 10**40),
    ("tracker_run_id", {"$ne": 1}),
    ("purpose", 10**40),
    ("purpose", ["safety"]),
    ("purpose", {}),
    ("purpose", "generative\0ai"),
    ("data_categories", "posts"),
    ("data_categories", ["posts"] * 51),
    ("title", "x" * 201),
    ("title", "a\0b"),
    ("parent", "TR\0"),
    ("parent", 12),
    ("owner", "emil"),
    ("state", "frozen"),
]


@pytest.mark.parametrize(("field", "value"), FIELDS)
def test_a_field_that_cannot_be_is_named(api, field, value):
    answer = send(api, json.dumps({**RUN, field: value}))

    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert not Run.objects.exists()
    assert not Entry.objects.filter(kind="run.registered").exists()


LISTS = [
    ("runs", "engineer", "data_categories", 50),
    ("notices", "officer", "data_categories", 20),
    ("notices", "officer", "purposes", 20),
    ("notices", "officer", "countries", 300),
    ("region-rules", "officer", "countries", 300),
]


@pytest.mark.parametrize(("path", "person", "field", "most"), LISTS)
def test_a_list_that_is_too_long_is_refused_before_its_items_are_looked_at(
    request, client_of, path, person, field, most
):
    client = client_of(request.getfixturevalue(person))

    answer = send(client, json.dumps({field: [1] * (most + 1)}), path)

    errors = [error for error in answer.json()["errors"] if error["field"].startswith(field)]
    assert answer.status_code == 400
    assert [(error["field"], error["code"]) for error in errors] == [(field, "max_length")]


def test_a_problem_lists_twenty_errors_at_most(client_of, officer):
    answer = send(client_of(officer), json.dumps({"countries": [1] * 300}), "region-rules")

    assert len(answer.json()["errors"]) == 20


@pytest.mark.parametrize("digest", ["", "0" * 63, "0" * 65, "G" * 64, "A" * 64, "0" * 63 + "\n"])
def test_a_digest_that_is_none_is_refused(api, engineer, digest):
    run = factories.register(engineer)

    answer = send(api, json.dumps({"trained_digest": digest}), f"runs/{run.reference}/complete")

    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == "trained_digest"


@pytest.mark.parametrize(
    "path", ["runs?state=%00", "runs/TR%00", "runs?cursor=%00", "nowhere%00", "runs?%00=1"]
)
def test_nul_bytes_in_an_address_are_refused(api, path):
    answer = api.get(f"/api/v1/{path}")

    assert answer.status_code == 400
    assert answer.json()["code"] == "nul_byte"


def test_outside_the_api_a_refusal_is_a_page(client):
    answer = client.get("/admin/?q=%00")

    assert answer.status_code == 400
    assert answer["Content-Type"] == "text/html; charset=utf-8"
    assert "NUL bytes are refused." in answer.content.decode()


def test_a_nul_byte_in_a_cookie_is_refused(client):
    answer = client.get("/api/v1/runs", headers={"Cookie": 'sessionid="a\\000b"'})

    assert answer.status_code == 400


@pytest.mark.parametrize("query", ["state=%ff", "state=%ed%a0%80", "%c3=1"])
def test_a_query_that_is_not_utf8_is_refused(api, query):
    answer = api.get(f"/api/v1/runs?{query}")

    assert answer.status_code == 400
    assert answer.json()["code"] == "not_utf8"


@pytest.mark.parametrize("path", ["runs/%ff", "runs/..%2f..%2fetc", "runs/%F0%9F%A6%84"])
def test_an_odd_address_leads_nowhere(api, path):
    assert api.get(f"/api/v1/{path}").status_code == 404


@pytest.mark.parametrize("length", ["-1", "1e3", "ten", "٣", "+5"])
def test_a_length_that_is_no_number_is_refused(api, length):
    answer = api.post("/api/v1/runs", b"{}", content_type="application/json", CONTENT_LENGTH=length)

    assert answer.status_code == 400
    assert answer.json()["code"] == "bad_content_length"


@pytest.mark.parametrize("path", ["runs", "decisions/bulk"])
def test_ten_megabytes_are_refused_before_they_are_read(api, path):
    answer = send(api, b"x" * 10_000_000, path, "application/x-ndjson")

    assert answer.status_code == 413
    assert answer.json()["code"] == "too_large"


def test_a_length_that_only_claims_to_be_huge_is_refused(api):
    answer = api.post(
        "/api/v1/runs", b"{}", content_type="application/json", CONTENT_LENGTH="9" * 400
    )

    assert answer.status_code == 413


def test_the_largest_body_is_still_read(api):
    padding = b" " * (settings.MAX_BODY_BYTES - len(json.dumps(RUN)))

    assert send(api, json.dumps(RUN).encode() + padding).status_code == 201


@pytest.mark.parametrize("id", ["0", "99999999999999999999", "-1", "1.5", "abc"])
def test_a_rule_that_cannot_be_is_not_found(client_of, officer, id):
    answer = client_of(officer).post(
        f"/api/v1/region-rules/{id}/review",
        {"verdict": "approved", "reason": "x"},
        content_type="application/json",
    )

    assert answer.status_code == 404


# --- Cursors ------------------------------------------------------------------------------------


def _cursor(words):
    return base64.b64encode(words.encode()).decode()


HAND_MADE = [
    "",
    "x",
    "é",
    "=" * 100,
    _cursor("p=9" + "9" * 17),
    _cursor("p=9223372036854775808"),
    _cursor("p=" + "9" * 100),
    _cursor("p=-1"),
    _cursor("p=1.5"),
    _cursor("p=2026-01-01"),
    _cursor("p=\u0663"),
    _cursor("p=\u0000"),
    _cursor("o=99999999999999999999&p=1"),
    _cursor("o=-1&p=1"),
    _cursor("r=1&p=0"),
    _cursor("r=x&o=x&p=1"),
    base64.b64encode(b"p=\xff").decode(),
]


@pytest.mark.parametrize(
    ("person", "path", "body"),
    [
        ("engineer", "runs", None),
        ("auditor", "audit/checkpoints", None),
        ("officer", "region-rules", None),
        ("officer", "notices", None),
        ("product", "members/objections", {"account_ref": "acc-0"}),
    ],
)
def test_a_cursor_that_a_caller_made_up_gets_an_answer(request, client_of, person, path, body):
    factories.add_member("acc-0")
    client = client_of(request.getfixturevalue(person))
    found = {}
    for cursor in HAND_MADE:
        address = f"/api/v1/{path}?{urlencode({'cursor': cursor})}"
        answer = (
            client.post(address, body, content_type="application/json")
            if body
            else client.get(address)
        )
        found[cursor] = answer.status_code

    assert set(found.values()) <= {200, 400, 404}, found
    assert found[HAND_MADE[1]] == 404
