"""The examples of the gate, as handlers with recorded requests against the real portal."""

import importlib
import sys
from pathlib import Path

import pytest
from django.conf import settings

from common.identity import tokens
from tools import factories

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.one_engine]

EXAMPLES = Path(settings.BASE_DIR) / "examples" / "gate"


@pytest.fixture
def example(monkeypatch):
    monkeypatch.syspath_prepend(str(EXAMPLES))

    def load(name):
        sys.modules.pop(name, None)
        return importlib.import_module(name)

    yield load
    for name in ("kueue_admission_check", "airflow_sensor"):
        sys.modules.pop(name, None)


@pytest.fixture
def token(engineer):
    return tokens.issue_token(
        user=engineer, name="gate", scopes=["runs:read"], days=1, actor="test"
    )[1]


# A workload as Kueue 0.9 writes it, shortened to what the handler reads.
def workload(run):
    return {
        "apiVersion": "kueue.x-k8s.io/v1beta1",
        "kind": "Workload",
        "metadata": {"name": "pytorchjob-posts-1f3c7", "labels": {"training-portal/run": run}},
        "spec": {"queueName": "training", "podSets": [{"name": "master", "count": 1}]},
    }


def test_a_workload_is_ready_retried_or_rejected_as_the_gate_says(
    world, engineer, live_server, token, example
):
    kueue = example("kueue_admission_check")
    factories.add_members(2)
    registered = factories.register(engineer)
    run = factories.freeze(engineer).run

    def state(reference):
        return kueue.check_state(workload(reference), live_server.url, token)["state"]

    assert state(registered.reference) == "Retry"
    assert state(run.reference) == "Rejected"
    delivery = factories.deliver(run, engineer)
    ready = kueue.check_state(workload(run.reference), live_server.url, token)
    assert ready == {
        "state": "Ready",
        "message": f"{run.reference} may be trained on {delivery.reference}.",
    }
    assert kueue.check_state({"metadata": {}}, live_server.url, token)["state"] == "Rejected"
    assert (
        kueue.check_state(workload(run.reference), "http://127.0.0.1:9", token)["state"] == "Retry"
    )
    # A wrong token says nothing about the run: the workload waits.
    assert kueue.check_state(workload(run.reference), live_server.url, "x" * 64)["state"] == "Retry"


def test_a_pod_is_admitted_with_its_run_only(world, engineer, live_server, token, example):
    kueue = example("kueue_admission_check")
    factories.add_members(2)
    run = factories.freeze(engineer).run
    review = {
        "request": {
            "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
            "object": workload(run.reference),
        }
    }

    refused = kueue.mutate_pod(review, live_server.url, token)["response"]
    factories.deliver(run, engineer)
    allowed = kueue.mutate_pod(review, live_server.url, token)["response"]

    assert refused["allowed"] is False and "no_valid_delivery" in refused["status"]["message"]
    assert allowed == {"uid": review["request"]["uid"], "allowed": True}


def test_a_sensor_waits_for_what_passes_and_fails_for_the_rest(
    world, engineer, live_server, token, example
):
    airflow = example("airflow_sensor")
    factories.add_members(2)
    waiting = factories.register(engineer)
    run = factories.freeze(engineer).run

    def sensor(reference):
        return airflow.TrainingPortalSensor(
            task_id="gate", run=reference, portal=live_server.url, token=token
        )

    assert sensor(waiting.reference).poke({}) is False
    with pytest.raises(airflow.AirflowFailException, match="no_valid_delivery"):
        sensor(run.reference).poke({})
    factories.deliver(run, engineer)
    assert sensor(run.reference).poke({}) is True
    with pytest.raises(airflow.AirflowFailException, match="not_found"):
        sensor("TR-2026-999999").poke({})
    token = "x" * 64
    with pytest.raises(airflow.AirflowFailException, match="not_authenticated"):
        sensor(run.reference).poke({})
