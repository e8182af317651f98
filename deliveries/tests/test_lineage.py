"""OpenLineage as evidence: every well-formed event is taken, and a use that was not allowed is a finding."""

import datetime as dt
import gzip
import json

import pytest

from common.identity import tokens
from deliveries.lineage import accepting
from deliveries.models import DataSet, LineageBody, LineageEvent
from tools import factories
from training_runs.choices import FindingKind
from training_runs.models import Finding, Run

pytestmark = pytest.mark.django_db(transaction=True)

RUN_ID = "0192e4c5-3c4e-7a1b-9d2f-000000000001"


def event(**changed):
    return {
        "eventType": "START",
        "eventTime": "2026-11-01T10:00:00.123+01:00",
        "run": {"runId": RUN_ID, "facets": {"tags": {"_producer": "x", "ratio": 0.5, "n": 2**70}}},
        "job": {"namespace": "airflow", "name": "train.posts"},
        "inputs": [{"namespace": "s3://lake", "name": "raw/posts"}],
        "producer": "https://example.org/emitter",
        "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json",
        **changed,
    }


@pytest.fixture
def raw(settings):
    settings.RAW_DATA_PREFIXES = ["s3://lake/raw/"]


@pytest.fixture
def send(api):
    def post(body, **headers):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return api.post("/api/v1/lineage", data, content_type="application/json", headers=headers)

    return post


def test_an_event_is_kept_once_however_often_and_in_whatever_order_it_comes(send):
    done = event(eventType="COMPLETE")
    answers = [send(one) for one in (done, event(), done, event(), event(eventType="RUNNING"))]

    assert [(one.status_code, one.content) for one in answers] == [(201, b"")] * 5
    assert LineageEvent.objects.count() == LineageBody.objects.count() == 3
    assert LineageBody.objects.earliest("pk").body == done


def test_gzip_is_unpacked_within_bounds(send):
    packed = gzip.compress(json.dumps(event()).encode())
    bomb = gzip.compress(b" " * 20_000_000)

    assert send(packed, **{"Content-Encoding": "gzip"}).status_code == 201
    assert send(bomb, **{"Content-Encoding": "gzip"}).status_code == 400
    assert send(packed[:-9], **{"Content-Encoding": "gzip"}).status_code == 400
    assert send(b"x", **{"Content-Encoding": "br"}).status_code == 400
    assert LineageEvent.objects.count() == 1


@pytest.mark.parametrize(
    "body",
    [b"{", b"[]", b"{}", b"\xff", b"[" * 5000, b'{"run": {}}', b'{"run":{"a":NaN},"job":{"b":1}}',
     json.dumps({"run": {"runId": "x"}, "eventTime": "yesterday"}).encode()],
)  # fmt: skip
def test_what_is_no_event_is_refused_and_never_an_error_of_ours(send, body):
    assert send(body).status_code == 400


@pytest.mark.parametrize(
    "body",
    [
        {"eventTime": "2026-11-01T10:00:00Z", "dataset": {"namespace": "a", "name": "b"}},
        {"eventTime": "2026-11-01T10:00:00Z", "job": {"namespace": "a", "name": "b"}},
        {"eventTime": "2026-11-01T10:00:00Z", "run": {"runId": 7, "facets": []}, "inputs": {}},
    ],
)
def test_events_of_every_kind_are_taken(send, body):
    assert send(body).status_code == (201 if body.get("run") != {} else 400)


def test_a_job_that_reads_raw_data_without_a_run_is_one_finding(send, raw):
    for kind in ("START", "RUNNING", "COMPLETE"):
        send(event(eventType=kind))

    found = Finding.objects.get()
    assert (found.run, found.kind) == (None, FindingKind.NO_RUN)
    assert found.detail == {"job": "airflow/train.posts", "data": "s3://lake/raw/posts"}


def test_an_event_that_names_a_run_is_joined_to_it_and_no_finding(world, engineer, send, raw):
    run = factories.register(engineer)
    ours = {"trainingPortal_run": {"reference": run.reference}}
    parent = {"parent": {"run": {"runId": "x"}, "root": {"run": {"runId": run.tracker_run_id}}}}
    for facets in (ours, parent):
        send(event(run={"runId": RUN_ID, "facets": facets}))
    send(event(run={"runId": run.tracker_run_id}))

    assert [row.run for row in LineageEvent.objects.all()] == [run] * 3
    assert not Finding.objects.exists()
    assert Run.objects.get(pk=run.pk).state == "registered"


def test_a_data_set_read_after_its_lease_is_a_finding_of_its_run(
    run, engineer, send, api, time_machine
):
    delivery = factories.training(run, engineer)
    factories.send_receipt(factories.registered_runner(engineer), delivery, engineer)
    data_set = DataSet.objects.get()
    late = (delivery.leased_until + dt.timedelta(hours=1)).isoformat()
    by_digest = {
        "namespace": "s3://clean", "name": "elsewhere",
        "facets": {"trainingPortal_dataSet": {"sha256": data_set.sha256}},
    }  # fmt: skip

    send(event(inputs=[{"namespace": "s3://clean", "name": data_set.name}]))
    # Nothing is late before its time, whatever an event says.
    send(event(eventTime="2090-01-01T00:00:00Z", inputs=[by_digest]))
    assert not Finding.objects.exists()
    time_machine.move_to(delivery.leased_until + dt.timedelta(hours=2))
    api.force_login(engineer)
    for kind in ("START", "COMPLETE"):
        send(event(eventType=kind, eventTime=late, inputs=[by_digest]))

    found = Finding.objects.get()
    assert (found.run, found.kind) == (run, FindingKind.LEASE_OVER)
    assert found.detail["delivery"] == delivery.reference


def test_a_text_with_nul_is_kept_with_its_body(send):
    sql = {"sql": {"query": "select \0"}}

    assert send(event(job={"namespace": "a", "name": "b", "facets": sql})).status_code == 201
    assert "select \ufffd" in json.dumps(LineageBody.objects.get().body, ensure_ascii=False)


def test_a_job_that_named_its_run_once_belongs_to_it(world, engineer, send, raw):
    run = factories.register(engineer)
    ours = {"trainingPortal_run": {"reference": run.reference}}
    send(event(run={"runId": RUN_ID, "facets": ours}))
    send(event(eventType="COMPLETE", run={"runId": RUN_ID}))

    assert [row.run for row in LineageEvent.objects.all()] == [run] * 2
    assert not Finding.objects.exists()


def test_a_name_is_of_the_newest_receipt_that_claims_it(world, engineer, client, time_machine):
    factories.add_members(2)
    runner = factories.registered_runner(engineer)
    first = factories.training(factories.freeze(engineer).run, engineer)
    factories.send_receipt(runner, first, engineer)
    time_machine.move_to(first.leased_until + dt.timedelta(days=1))
    second = factories.training(factories.freeze(engineer).run, engineer)
    factories.send_receipt(runner, second, engineer)
    token = tokens.issue_token(
        user=engineer, name="emitter", scopes=["lineage:write"], days=1, actor="test"
    )[1]
    old, new = DataSet.objects.order_by("pk")
    read = event(
        eventTime=(first.leased_until + dt.timedelta(days=2)).isoformat(),
        inputs=[{"namespace": "s3://clean", "name": new.name}],
    )

    answer = client.post(
        "/api/v1/lineage",
        json.dumps(read),
        content_type="application/json",
        headers={"Authorization": f"Bearer {token}"},
    )

    assert (answer.status_code, old.name) == (201, new.name)
    assert not Finding.objects.exists()


def test_the_start_page_shows_a_finding_without_a_run(send, raw, client, auditor):
    send(event())
    client.force_login(auditor)

    answer = client.get("/admin/")

    assert answer.status_code == 200
    assert f"/admin/training_runs/finding/{Finding.objects.get().pk}/change/" in answer.text


def test_a_name_that_could_be_a_persons_is_kept_as_a_digest(send, raw):
    send(event(inputs=[{"namespace": "s3://lake", "name": "raw/paula@example.org"}]))

    assert "paula" not in json.dumps(Finding.objects.get().detail)


@pytest.mark.parametrize("place", ["job", "data"])
def test_a_name_that_is_an_account_is_kept_as_a_digest(run, send, raw, place):
    if place == "job":
        send(event(job={"namespace": "airflow", "name": "acc-1/export"}))
    else:
        send(event(inputs=[{"namespace": "s3://lake", "name": "raw/author=acc-1/part-0.parquet"}]))

    detail = Finding.objects.get().detail
    assert "acc-1" not in json.dumps(detail)
    assert detail[place].startswith("sha256:")


def test_a_text_that_was_cut_in_a_pair_is_kept(send, raw):
    """Emitters cut long queries by UTF-16 units, also in the middle of a character."""
    half = "\ud83d"
    cut = event(
        eventType=half,
        run={"runId": half, "facets": {half: half}},
        job={"namespace": half, "name": "b", "facets": {"sql": {"query": f"cut {half}"}}},
        inputs=[{"namespace": "s3://lake", "name": f"raw/{half}"}],
    )

    answers = [send(cut).status_code for _ in range(2)]

    assert answers == [201, 201]
    assert LineageBody.objects.get().body["job"]["facets"]["sql"]["query"] == "cut \ufffd"
    assert Finding.objects.get().detail == {"job": "\ufffd/b", "data": "s3://lake/raw/\ufffd"}


def test_bodies_go_after_their_time_and_the_joins_stay(send, time_machine):
    send(event())
    assert accepting.delete_old_bodies() == 0
    time_machine.move_to(dt.datetime.now(dt.UTC) + dt.timedelta(days=91))

    assert accepting.delete_old_bodies() == 1
    assert LineageEvent.objects.count() == 1


def test_data_sets_are_listed_by_lease_in_pages(world, engineer, api):
    factories.add_members(2)
    runner = factories.registered_runner(engineer)
    names = set()
    for _ in range(3):
        run = factories.freeze(engineer).run
        factories.send_receipt(runner, factories.training(run, engineer), engineer)
        names.add(run.reference)
    done = factories.complete(factories.freeze(engineer).run, engineer)

    found, following = [], "/api/v1/datasets?lease=valid&page_size=2"
    while following:
        page = api.get(following).json()
        found += [row["run"] for row in page["results"]]
        following = page["next"]
    ended = api.get("/api/v1/datasets?lease=ended").json()["results"]

    assert len(found) == 3 and set(found) == names
    assert [row["run"] for row in ended] == [done.reference]
    assert api.get("/api/v1/datasets?prefix=clean/").json()["results"]
    assert not api.get("/api/v1/datasets?prefix=raw/").json()["results"]
