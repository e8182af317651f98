"""Runs over HTTP: register, preview, start, follow, complete, cancel."""

import base64
import threading
import time

import pytest
from django.conf import settings
from django.db import connection

from common.processes import hints
from consent.models import Decision
from ledger.models import AccessRecord, Entry
from tools import factories
from training_runs.errors import TooManyWaiting
from training_runs.manifests import archives
from training_runs.models import Run
from training_runs.runs import explaining, registering, sweeping

pytestmark = pytest.mark.django_db(transaction=True)

RUN = {
    "tracker_run_id": "mlflow-1",
    "purpose": "generative-ai",
    "data_categories": ["posts", "profile"],
}


@pytest.fixture
def api(client_of, engineer):
    return client_of(engineer)


@pytest.fixture
def world(officer, second_officer):
    factories.open_world(officer, second_officer)
    return factories.add_members(3)


def post(client, path, body=None):
    return client.post(f"/api/v1/{path}", body, content_type="application/json")


def test_all_faults_of_a_body_are_named_at_once(api):
    odd = {"purpose": "fun", "data_categories": ["odd"], "parent": "TR-1", "team": "none"}

    answer = post(api, "runs", odd)

    assert answer.status_code == 400
    assert {fault["field"] for fault in answer.json()["errors"]} == {
        "tracker_run_id", "purpose", "data_categories.0", "parent", "team",
    }  # fmt: skip
    assert not Run.objects.exists()


def test_a_run_is_registered_once_however_often_it_is_sent(api):
    first = post(api, "runs", RUN)
    again = post(api, "runs", RUN)

    assert first.status_code == 201
    assert first["Location"] == f"/api/v1/runs/{first.json()['reference']}"
    assert again.status_code == 200
    assert again.json() == first.json()
    assert first.json()["state"] == "registered"
    assert first.json()["manifest"] is None
    assert Run.objects.count() == 1


def test_a_tracker_id_with_other_facts_is_refused(api):
    post(api, "runs", RUN)

    answer = post(api, "runs", {**RUN, "purpose": "safety"})

    assert answer.status_code == 422
    assert answer["Content-Type"] == "application/problem+json"
    assert answer.json()["code"] == "tracker_id_reused"


def test_a_parent_that_does_not_exist_is_named_in_the_error(api):
    answer = post(api, "runs", {**RUN, "parent": "TR-1999-000001"})

    assert answer.status_code == 400
    assert answer.json()["errors"] == [
        {"field": "parent", "code": "unknown_run", "detail": "There is no such run."}
    ]


def test_a_start_without_a_notice_says_every_gap(api, engineer):
    run = factories.register(engineer)

    answer = post(api, f"runs/{run.reference}/start")

    assert answer.status_code == 409
    assert answer.json()["code"] == "start_refused"
    assert {reason["code"] for reason in answer.json()["reasons"]} == {
        "no_country_allowed",
        "no_notice_in_force",
    }


def test_a_start_without_data_categories_says_the_other_gaps_too(api, engineer):
    reference = post(api, "runs", {**RUN, "data_categories": []}).json()["reference"]

    answer = post(api, f"runs/{reference}/start")

    assert answer.status_code == 409
    assert [reason["code"] for reason in answer.json()["reasons"]] == [
        "no_data_categories",
        "no_country_allowed",
        "no_notice_in_force",
    ]


def test_the_preview_counts_and_writes_nothing(api, engineer, world):
    factories.decide("acc-0", "deny", actor="test")
    run = factories.register(engineer)
    entries = Entry.objects.count()

    answer = api.get(f"/api/v1/runs/{run.reference}/preview").json()

    assert answer["included"] == 2
    # Three members and a canary for each of the ten exclusions.
    assert answer["population"] == 13
    out = {row["code"]: row["members"] for row in answer["excluded"]}
    # acc-0 and the canary.
    assert out["opted_out"] == 2
    assert Entry.objects.count() == entries


def test_a_run_goes_from_registered_to_frozen(api, engineer, world):
    reference = post(api, "runs", RUN).json()["reference"]

    started = post(api, f"runs/{reference}/start")

    assert started.status_code == 202
    assert started["Location"] == f"/api/v1/runs/{reference}"
    assert started.json()["state"] == "requested"

    sweeping.sweep()
    frozen = api.get(f"/api/v1/runs/{reference}").json()

    assert frozen["state"] == "frozen"
    assert frozen["manifest"]["included"] == 3
    assert frozen["manifest"]["verification"] == "agrees"
    assert frozen["findings"] == []
    assert frozen["use"]["delivery"] is None


def test_more_waiting_runs_of_one_owner_than_the_setting_says_are_refused(
    api, engineer, second_engineer, world, settings
):
    settings.MAX_WAITING_RUNS = 2
    others = factories.register(second_engineer)
    runs = [factories.register(engineer) for _ in range(3)]
    first, second, third = (run.reference for run in runs)

    answers = [post(api, f"runs/{reference}/start") for reference in (first, second, third)]

    assert [answer.status_code for answer in answers] == [202, 202, 409]
    assert answers[2].json()["code"] == "too_many_waiting_runs"
    # One that waits already is no new one, and concerns no other member.
    assert post(api, f"runs/{first}/start").status_code == 202
    registering.start(run=others, actor=second_engineer)
    sweeping.sweep()
    assert post(api, f"runs/{third}/start").status_code == 202


def test_starts_at_once_are_counted_one_after_the_other(engineer, world, settings):
    settings.MAX_WAITING_RUNS = 2
    runs = [factories.register(engineer) for _ in range(6)]
    together = threading.Barrier(6)
    refused = []

    def start(run):
        try:
            together.wait()
            registering.start(run=run, actor=engineer)
        except TooManyWaiting as refusal:
            refused.append(refusal.code)
        finally:
            connection.close()

    threads = [threading.Thread(target=start, args=(run,)) for run in runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert refused == ["too_many_waiting_runs"] * 4
    assert Run.objects.requested().count() == 2


def test_a_cancelled_run_does_not_start(api, engineer, world):
    run = factories.register(engineer)

    cancelled = post(api, f"runs/{run.reference}/cancel", {"reason": "wrong data"})
    started = post(api, f"runs/{run.reference}/start")

    assert cancelled.json()["state"] == "cancelled"
    assert started.status_code == 409
    assert started.json()["code"] == "forbidden_move"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("start", None),
        ("complete", {}),
        ("cancel", {"reason": "not mine"}),
        ("explanation", {"account_ref": "acc-0"}),
    ],
)
def test_an_engineer_sees_a_colleagues_run_and_cannot_act_on_it(
    client_of, engineer, second_engineer, world, path, body
):
    manifest = factories.freeze(engineer)
    colleague = client_of(second_engineer)

    seen = colleague.get(f"/api/v1/runs/{manifest.run.reference}")
    answer = post(colleague, f"runs/{manifest.run.reference}/{path}", body)

    assert seen.status_code == 200
    assert answer.status_code == 403
    assert answer.json()["code"] == "not_your_run"


def test_an_unknown_run_is_a_404_in_json(api):
    answer = api.get("/api/v1/runs/TR-2026-999999")

    assert answer.status_code == 404
    assert answer.json()["code"] == "not_found"


def test_runs_are_listed_by_state_and_purpose_in_pages(api, engineer):
    runs = [factories.register(engineer) for _ in range(3)]
    factories.register(engineer, purpose="safety")
    registering.cancel(run=runs[0], actor=engineer, reason="test")

    first = api.get("/api/v1/runs?state=registered&purpose=generative-ai&page_size=1").json()
    second = api.get(first["next"]).json()

    assert [run["reference"] for run in first["results"]] == [runs[2].reference]
    assert [run["reference"] for run in second["results"]] == [runs[1].reference]
    assert second["next"] is None


@pytest.mark.parametrize("count", [1, 3])
def test_a_list_of_runs_asks_as_many_queries_for_one_as_for_three(
    api, engineer, world, count, django_assert_num_queries
):
    for _ in range(count):
        factories.freeze(engineer)

    # Session, user, two for permissions, runs with all beside them, verifications, findings, and four of their use.
    with django_assert_num_queries(11):
        answer = api.get("/api/v1/runs")

    assert len(answer.json()["results"]) == count


@pytest.mark.parametrize(
    "query",
    ["state=bogus", "ordering=team", "page_size=0", "page_size=501", "state=frozen&state=frozen"],
)
def test_a_query_that_is_not_understood_is_refused(api, query):
    answer = api.get(f"/api/v1/runs?{query}")

    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == query.split("=")[0]


@pytest.mark.parametrize("position", ["abc", "99999999999999999999999", "-1"])
def test_a_forged_cursor_is_refused(api, position):
    cursor = base64.b64encode(f"p={position}".encode()).decode()

    assert api.get("/api/v1/runs", {"cursor": cursor}).status_code == 404


def test_a_broker_that_is_away_costs_no_more_than_a_moment(api, engineer, world, caplog):
    run = factories.register(engineer)
    # Nothing of these tests listens there.
    assert not settings.BROKER_SOCKET.exists()

    started = time.monotonic()
    answer = post(api, f"runs/{run.reference}/start")

    assert answer.status_code == 202
    assert time.monotonic() - started < 1.5
    assert hints.flush(10)
    assert [record.name for record in caplog.records if record.levelname == "ERROR"]
    assert Run.objects.get().state == "requested"


def test_a_member_is_explained_as_frozen_and_as_now(api, engineer, world):
    factories.decide("acc-0", "deny", actor="test")
    manifest = factories.freeze(engineer)
    factories.decide("acc-1", "deny", actor="test")
    path = f"runs/{manifest.run.reference}/explanation"

    left_out = post(api, path, {"account_ref": "acc-0"}).json()
    went_later = post(api, path, {"account_ref": "acc-1"}).json()

    assert not left_out["frozen"]["is_in"]
    assert [reason["code"] for reason in left_out["frozen"]["reasons"]] == ["opted_out"]
    assert went_later["frozen"] == {"is_in": True, "reasons": []}
    assert not went_later["now"]["is_in"]
    assert went_later["sentences"] == [
        f"The member was in {manifest.run.reference}.",
        "The member would be out of a run started now because"
        " the member's setting for the purpose is off.",
    ]
    assert Decision.objects.exclude(source_id__startswith="canary").count() == 2


def test_what_asks_an_archive_about_one_member_reads_none_as_a_whole(
    api, engineer, world, monkeypatch
):
    factories.decide("acc-0", "deny", actor="test")
    manifest = factories.freeze(engineer)
    child = factories.freeze(engineer, parent=manifest.run)
    path = f"runs/{child.run.reference}/explanation"

    def as_a_whole(digest):
        raise AssertionError("An archive was read as a whole to ask about one member.")

    monkeypatch.setattr(archives, "load", as_a_whole)
    left_out, included = (
        post(api, path, {"account_ref": account}).json() for account in ("acc-0", "acc-1")
    )

    assert (left_out["frozen"]["is_in"], included["frozen"]["is_in"]) == (False, True)
    assert (left_out["now"]["is_in"], included["now"]["is_in"]) == (False, True)
    used = explaining.runs_including(world[1], ["generative-ai"])
    assert [one.pk for one in used] == [child.pk, manifest.pk]


def test_a_member_who_joined_after_the_cut_was_unknown_to_the_manifest(api, engineer, world):
    manifest = factories.freeze(engineer)
    factories.add_member("late")

    answer = post(api, f"runs/{manifest.run.reference}/explanation", {"account_ref": "late"}).json()

    assert [reason["code"] for reason in answer["frozen"]["reasons"]] == ["unknown_at_cut"]
    assert answer["now"] == {"is_in": True, "reasons": []}
    assert "unknown_at_cut" not in manifest.header["reasons"]


@pytest.mark.parametrize(
    ("account_ref", "status", "subject"),
    [("acc-0", 200, "member:1"), ("unknown", 404, "member:unknown")],
)
def test_an_explanation_is_recorded_as_a_read_even_of_an_unknown_member(
    api, engineer, world, account_ref, status, subject
):
    run = factories.register(engineer)

    answer = post(api, f"runs/{run.reference}/explanation", {"account_ref": account_ref})

    record = AccessRecord.objects.get()
    assert answer.status_code == status
    assert (record.kind, record.subject, record.purpose) == (
        "run.explained",
        subject,
        run.reference,
    )
