"""Decisions over HTTP, one at a time and ten thousand."""

import datetime as dt
import json

import pytest
from django.utils import timezone

from consent.accounts import erase_member
from consent.decisions import deny_for_member
from consent.models import AccountReference, Consent, Decision
from ledger.models import Entry
from tools import factories

pytestmark = pytest.mark.django_db

DECISION = {
    "account_ref": "acc-1",
    "purpose": "generative-ai",
    "choice": "deny",
    "channel": "product",
    "source_id": "evt-1",
    "decided_at": "2025-11-03T09:30:00Z",
}


@pytest.fixture
def api(client_of, product):
    return client_of(product)


def send(client, body, **headers):
    return client.post("/api/v1/decisions", body, content_type="application/json", headers=headers)


def send_lines(client, lines):
    text = b"\n".join(
        line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines
    )
    response = client.post("/api/v1/decisions/bulk", text, content_type="application/x-ndjson")
    return response, [json.loads(line) for line in response.content.splitlines()]


def test_a_decision_is_recorded_and_a_replay_gets_the_first_answer(api):
    first = send(api, DECISION)
    again = send(api, DECISION)

    assert first.status_code == 201
    assert again.status_code == 200
    assert again.json() == first.json()
    assert first.json()["source_id"] == "evt-1"
    assert first.json()["entry"] == Entry.objects.get().sequence
    assert Decision.objects.count() == 1


def test_an_account_not_known_yet_is_created_and_its_decision_kept(api):
    send(api, DECISION)

    member = AccountReference.objects.get(account_ref="acc-1").member
    assert member.status == "unknown"
    assert Consent.objects.get(member=member).choice == "deny"


def test_the_same_source_id_with_another_body_is_refused(api):
    send(api, DECISION)

    answer = send(api, {**DECISION, "choice": "allow"})

    assert answer.status_code == 422
    assert answer.json()["code"] == "source_id_reused"
    assert Consent.objects.get().choice == "deny"


def test_a_purpose_ruled_by_objection_takes_no_decision(api):
    answer = send(api, {**DECISION, "purpose": "safety"})

    assert answer.status_code == 409
    assert answer.json()["code"] == "ruled_by_objection"


def test_an_erased_account_takes_no_decision(api):
    factories.add_member("acc-1")
    erase_member(account_ref="acc-1", actor="test", reason="test")

    answer = send(api, DECISION)

    assert answer.status_code == 409
    assert answer.json()["code"] == "account_erased"


def test_the_senders_privacy_signal_is_kept_where_the_body_says_nothing(api):
    send(api, DECISION, **{"Sec-GPC": "1"})
    send(api, {**DECISION, "source_id": "evt-2", "privacy_signal": False}, **{"Sec-GPC": "1"})
    send(api, {**DECISION, "source_id": "evt-3"})

    signals = Decision.objects.order_by("source_id").values_list("privacy_signal", flat=True)
    assert list(signals) == [True, False, None]


def later(**shift):
    return (timezone.now() + dt.timedelta(**shift)).isoformat()


BROKEN = [
    ({"purpose": "world-peace"}, "purpose", "unknown_word"),
    ({"choice": "maybe"}, "choice", "unknown_word"),
    ({"choice": True}, "choice", "unknown_word"),
    ({"channel": "staff"}, "channel", "unknown_word"),
    ({"channel": "signal", "choice": "allow"}, "choice", "invalid"),
    ({"account_ref": 12}, "account_ref", "invalid"),
    ({"account_ref": ""}, "account_ref", "blank"),
    ({"account_ref": " \u200b"}, "account_ref", "blank"),
    ({"account_ref": "x" * 101}, "account_ref", "max_length"),
    ({"account_ref": "a\0b"}, "account_ref", "null_characters_not_allowed"),
    ({"account_ref": ["acc"]}, "account_ref", "invalid"),
    ({"account_ref": None}, "account_ref", "null"),
    ({"source_id": "a\tb"}, "source_id", "invalid"),
    ({"account_ref": "acc-2041", "source_id": "evt-ACC-2041-off"}, "source_id", "invalid"),
    ({"decided_at": "yesterday"}, "decided_at", "invalid"),
    ({"decided_at": "2025-11-03T09:30:00"}, "decided_at", "invalid"),
    ({"decided_at": "2025-02-30T09:30:00Z"}, "decided_at", "invalid"),
    ({"decided_at": 1762162200}, "decided_at", "invalid"),
    ({"privacy_signal": "yes"}, "privacy_signal", "invalid"),
    ({"privacy_signal": 1}, "privacy_signal", "invalid"),
    ({"notice_version": "x" * 41}, "notice_version", "max_length"),
    ({"notice_version": "of acc-1"}, "notice_version", "invalid"),
    ({"notice_version": "2025-09\n"}, "notice_version", "invalid"),
    ({"notice_version": "٢٠٢٥"}, "notice_version", "invalid"),
    ({"name": "Ada"}, "name", "unknown_field"),
    ({"9" * 300: 1}, "9" * 100, "unknown_field"),
]


@pytest.mark.parametrize(("change", "field", "code"), BROKEN)
def test_a_broken_decision_is_refused_by_field_and_nothing_is_kept(api, change, field, code):
    answer = send(api, {**DECISION, **change})

    assert answer.status_code == 400
    assert [(e["field"], e["code"]) for e in answer.json()["errors"]] == [(field, code)]
    assert not Entry.objects.exists()


def test_a_reference_too_short_to_identify_may_be_in_a_source_id_by_chance(api):
    assert send(api, {**DECISION, "account_ref": "evt"}).status_code == 201


def test_a_deny_by_staff_is_not_refused_for_digits_in_the_portals_own_source_id(officer):
    # That source id ends in the time.
    account_ref = f"{timezone.now():%Y%m}"
    factories.add_member(account_ref)
    member = AccountReference.objects.get(account_ref=account_ref).member

    deny_for_member(member=member, purpose="generative-ai", actor=officer, reason="by phone")

    assert account_ref in Decision.objects.get().source_id
    assert Consent.objects.get().choice == "deny"


@pytest.mark.parametrize(
    "decided_at",
    [
        later(minutes=6),
        later(days=9000),
        "1970-01-01T00:00:00Z",
        "1999-12-31T23:59:59Z",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        "9999-12-31T23:59:59Z",
    ],
)
def test_an_opt_out_is_taken_and_in_force_whatever_time_it_says(api, decided_at):
    send(api, {**DECISION, "choice": "allow", "source_id": "before"})

    answer = send(api, {**DECISION, "decided_at": decided_at})

    assert (answer.status_code, answer.json()["in_force"]) == (201, True)
    assert Consent.objects.get().choice == "deny"


def test_what_was_sent_is_kept_beside_the_time_that_counts(api):
    sent = later(minutes=4)
    answer = send(api, {**DECISION, "choice": "allow", "decided_at": sent})

    decision = Decision.objects.get()
    assert decision.decided_at.isoformat() == sent
    assert f"{decision.counts_at:%Y-%m-%dT%H:%M:%S.%fZ}" == answer.json()["recorded_at"]


def test_an_allow_from_a_clock_ahead_does_not_outlast_the_deny_received_after_it(api):
    send(api, {**DECISION, "choice": "allow", "source_id": "1", "decided_at": later(minutes=4)})
    answer = send(api, {**DECISION, "source_id": "2", "decided_at": later(seconds=0)})

    assert (answer.status_code, answer.json()["in_force"]) == (201, True)
    assert Consent.objects.get().choice == "deny"


def test_every_answer_says_whether_the_decision_is_in_force_now(api):
    first = {**DECISION, "choice": "allow", "source_id": "1"}
    new = send(api, first).json()
    late = send(api, {**DECISION, "source_id": "2", "decided_at": "2025-11-01T00:00:00Z"}).json()
    send(api, {**DECISION, "source_id": "3", "decided_at": "2025-11-04T00:00:00Z"})
    again = send(api, first).json()
    _, lines = send_lines(
        api,
        [
            first,
            {**DECISION, "source_id": "4", "choice": "allow"},
            {**DECISION, "source_id": "5", "account_ref": "acc-2"},
            {**DECISION, "source_id": "6", "channel": "signal"},
        ],
    )

    assert (new["in_force"], late["in_force"], again["in_force"]) == (True, False, False)
    assert [line["in_force"] for line in lines] == [False, False, True, False]
    assert {**new, "in_force": False} == again


@pytest.mark.parametrize(
    ("header", "signal"),
    [
        ("1", True),
        ("1, 1", True),
        ("1,1", True),
        (" 1 ,\t1", True),
        ("0", None),
        ("1, 0", None),
        ("11", None),
        ("true", None),
        ("", None),
    ],
)
def test_a_repeated_privacy_signal_is_one_and_anything_else_is_none(api, header, signal):
    send(api, DECISION, **{"Sec-GPC": header})

    assert Decision.objects.get().privacy_signal is signal


@pytest.mark.parametrize("headers", [({"Sec-GPC": "1"}, {}), ({}, {"Sec-GPC": "1"})])
def test_a_retry_with_or_without_the_privacy_header_gets_the_first_answer(api, headers):
    first, again = (send(api, DECISION, **one) for one in headers)

    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == first.json()


def test_all_that_is_missing_is_said_at_once(api):
    answer = send(api, {})

    assert {(e["field"], e["code"]) for e in answer.json()["errors"]} == {
        (field, "required") for field in DECISION
    }


def test_lines_are_answered_one_by_one_and_a_bad_one_stops_no_other(api):
    send(api, DECISION)

    response, answers = send_lines(
        api,
        [
            {**DECISION, "source_id": "evt-2"},
            DECISION,
            b"{broken",
            {**DECISION, "choice": "allow"},
            {**DECISION, "source_id": "evt-3", "purpose": "world-peace"},
            {**DECISION, "source_id": "evt-4", "account_ref": "acc-2"},
            {**DECISION, "source_id": "evt-5", "purpose": "safety"},
            b"[]",
            b"",
            {**DECISION, "source_id": "evt-6", "decided_at": "9999-12-31T23:59:59Z"},
            b"",
        ],
    )

    assert response.status_code == 200
    assert response["Content-Type"] == "application/x-ndjson"
    assert [(a["line"], a["status"], a.get("code")) for a in answers] == [
        (1, "recorded", None),
        (2, "replayed", None),
        (3, "refused", "bad_request"),
        (4, "refused", "source_id_reused"),
        (5, "refused", "invalid"),
        (6, "recorded", None),
        (7, "refused", "ruled_by_objection"),
        (8, "refused", "invalid"),
        (9, "refused", "bad_request"),
        (10, "recorded", None),
    ]
    assert answers[0]["entry"] == answers[5]["entry"] == 2
    assert answers[4]["errors"][0]["field"] == "purpose"
    assert set(Decision.objects.values_list("source_id", flat=True)) == {
        "evt-1", "evt-2", "evt-4", "evt-6",
    }  # fmt: skip


def test_ten_thousand_lines_are_taken_and_one_more_is_not(api):
    lines = [
        {**DECISION, "account_ref": f"acc-{n}", "source_id": f"evt-{n}"} for n in range(10_001)
    ]

    too_many, problem = send_lines(api, lines)
    taken, answers = send_lines(api, lines[:10_000])

    assert too_many.status_code == 413
    assert problem[0]["code"] == "too_many_lines"
    assert taken.status_code == 200
    assert {answer["status"] for answer in answers} == {"recorded"}
    assert Entry.objects.count() == 1
    assert Decision.objects.count() == 10_000


@pytest.mark.parametrize(
    "line",
    [
        b'{"account_ref": "a", "choice": "deny", "choice": "allow"}',
        b'{"account_ref": NaN}',
        b"[" * 100_000,
        b'{"account_ref": "\\ud800"}',
        b'{"account_ref": "caf\xe9"}',
        b'{"a": 1}\r{"a": 2}',
    ],
)
def test_a_line_without_one_meaning_is_refused_and_the_others_are_recorded(api, line):
    mark = "\ufeff".encode()

    _, answers = send_lines(api, [mark + json.dumps(DECISION).encode() + b"\r", line])

    assert [(a["status"], a.get("code")) for a in answers] == [
        ("recorded", None),
        ("refused", "bad_request"),
    ]
    assert answers[1]["detail"].startswith("The line cannot be read as JSON")


@pytest.mark.parametrize("text", [b"", b"\n"])
def test_no_lines_are_an_error(api, text):
    response = api.post("/api/v1/decisions/bulk", text, content_type="application/x-ndjson")

    assert response.status_code == 400
    assert response.json()["code"] == "no_lines"
