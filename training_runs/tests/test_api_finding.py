"""How a pipeline finds its run, is told every fault at once, and proves what the ledger says of its run."""

import json

import pytest
from django.test import Client

from auditing.exports.exporting import ledger_lines
from common.api.problems import MAX_ERRORS
from common.identity import tokens
from ledger.checkpoints import signing
from ledger.models import AccessRecord, CheckpointDelivery, Entry
from outsider import verify
from tools import factories
from training_runs.runs import registering

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.one_engine]

RUN = {"tracker_run_id": "mlflow-1", "purpose": "generative-ai", "data_categories": ["posts"]}


@pytest.fixture
def api(client_of, engineer):
    return client_of(engineer)


@pytest.fixture
def frozen(officer, second_officer, engineer):
    """A frozen run, its child, and the run of another team."""
    factories.open_world(officer, second_officer)
    factories.add_members(2)
    return factories.freeze(engineer)


def found(api, query):
    answer = api.get(f"/api/v1/runs?{query}")
    assert answer.status_code == 200, answer.content
    return [run["reference"] for run in answer.json()["results"]]


# --- Filters ------------------------------------------------------------------------------------


def test_a_run_is_found_by_what_a_pipeline_knows(api, frozen, engineer, second_engineer):
    run = frozen.run
    child = factories.register(engineer, parent=run)
    other = factories.register(second_engineer, purpose="safety")

    assert found(api, f"tracker_run_id={run.tracker_run_id}") == [run.reference]
    assert found(api, f"parent={run.reference}") == [child.reference]
    assert found(api, f"digest={frozen.digest}") == [run.reference]
    assert found(api, "team=team-of-edda") == [other.reference]
    assert found(api, "responsible=emil") == [child.reference, run.reference]
    assert found(api, "responsible=emil&state=frozen") == [run.reference]
    assert found(api, f"parent={run.reference}&purpose=safety") == []
    assert found(api, f"tracker_run_id={run.tracker_run_id}&state=registered") == []


@pytest.mark.parametrize(
    "query",
    [
        "tracker_run_id=unknown",
        f"digest={'0' * 64}",
    ],
)
def test_what_no_run_has_gives_an_empty_page(api, frozen, query):
    assert found(api, query) == []


@pytest.mark.parametrize(
    "query",
    [
        f"tracker_run_id={'x' * 101}",
        "tracker_run_id=",
        "digest=abc",
        f"digest={'A' * 64}",
        f"digest={'g' * 64}",
        "parent=12",
        "parent=OBJ-2026-000001",
        f"responsible={'x' * 151}",
        "state=gone",
    ],
)
def test_a_malformed_value_is_refused_with_its_field(api, query):
    answer = api.get(f"/api/v1/runs?{query}")

    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == [query.split("=")[0]]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("responsible=unknown", "unknown_responsible"),
        ("responsible=ada", "unknown_responsible"),
        ("team=unknown", "unknown_team"),
        ("parent=TR-1999-000001", "unknown_run"),
    ],
)
def test_a_name_that_the_portal_does_not_know_is_an_error_and_no_empty_page(
    api, frozen, auditor, query, code
):
    answer = api.get(f"/api/v1/runs?{query}")

    (error,) = answer.json()["errors"]
    assert answer.status_code == 400
    assert (error["field"], error["code"]) == (query.split("=")[0], code)
    assert error["detail"].startswith("There is no such")


# --- Every fault at once ------------------------------------------------------------------------


def faults(api, body):
    answer = api.post("/api/v1/runs", body, content_type="application/json")
    assert answer.status_code == 400
    return [(error["field"], error["code"]) for error in answer.json()["errors"]]


def test_the_faults_of_known_and_unknown_fields_come_in_one_answer(api):
    body = {**RUN, "foo": 1, "purpose": "fun", "data_categories": ["posts", "thoughts"]}

    assert sorted(faults(api, body)) == [
        ("data_categories.1", "unknown_word"),
        ("foo", "unknown_field"),
        ("purpose", "unknown_word"),
    ]


def test_many_unknown_fields_do_not_hide_the_faults_of_the_known_ones(api):
    unknown = {f"unknown_{number:02}": 1 for number in range(50)}

    told = faults(api, {**RUN, **unknown, "purpose": "fun"})

    assert len(told) <= MAX_ERRORS
    assert ("purpose", "unknown_word") in told
    assert ("unknown_00", "unknown_field") in told


def test_many_faults_of_known_fields_do_not_hide_an_unknown_one(api):
    told = faults(api, {**RUN, "foo": 1, "data_categories": ["thoughts"] * 50})

    assert len(told) == MAX_ERRORS
    assert ("foo", "unknown_field") in told


# --- Entries of a run, and their proofs ---------------------------------------------------------


def token_for(user, *scopes):
    _, plain = tokens.issue_token(user=user, name="trainer", scopes=scopes, days=1, actor="test")
    return {"Authorization": f"Bearer {plain}"}


def test_the_entries_of_a_run_are_those_about_it_the_newest_first(api, frozen, engineer):
    factories.register(engineer)
    own = list(Entry.objects.filter(subject=frozen.run.reference).order_by("-sequence"))
    path = f"/api/v1/runs/{frozen.run.reference}/entries"

    first = api.get(f"{path}?page_size=2").json()
    rest = api.get(f"{first['next']}").json()

    told = first["results"] + rest["results"]
    assert [row["sequence"] for row in told] == [entry.sequence for entry in own]
    assert [row["kind"] for row in told] == [entry.kind for entry in own]
    assert [row["leaf"] for row in told] == [entry.leaf for entry in own]
    assert {"run.registered", "run.requested"} <= {row["kind"] for row in told}
    assert told[0].keys() == {"sequence", "kind", "recorded_at", "leaf"}


def test_a_token_proves_every_entry_of_its_own_run_to_an_outsider(frozen, engineer, tmp_path):
    signing.sign_now()
    bearer = token_for(engineer, "manifests:read", "runs:read")
    key = Client().get("/api/v1/me", headers=bearer).json()["verifier_keys"][0]
    path = f"/api/v1/runs/{frozen.run.reference}/entries"
    told = Client().get(path, headers=bearer).json()["results"]
    assert told

    for row in told:
        proof = Client().get(f"{path}/{row['sequence']}/proof", headers=bearer)

        assert proof.status_code == 200
        assert proof["Content-Type"] == "text/plain; charset=utf-8"
        kept = tmp_path / f"{row['sequence']}.tlog-proof"
        kept.write_bytes(proof.content)
        assert verify.main(["proof", str(kept), "--key", key]) == 0
    read = AccessRecord.objects.filter(kind="run.entry_proved").values_list("subject", flat=True)
    assert set(read) == {f"entry:{row['sequence']}" for row in told}


def test_an_entry_of_its_own_run_is_read_as_an_export_has_it(api, frozen):
    entry = Entry.objects.filter(subject=frozen.run.reference).latest("sequence")
    (line,) = ledger_lines(entry.sequence - 1, entry.sequence)

    answer = api.get(f"/api/v1/runs/{frozen.run.reference}/entries/{entry.sequence}")

    assert (answer.status_code, answer["Content-Type"]) == (200, "application/json")
    assert answer.content + b"\n" == line
    assert AccessRecord.objects.filter(kind="run.entry_read").count() == 1


def test_an_entry_that_is_not_about_the_run_is_not_proved_there(api, frozen, engineer):
    other = factories.register(engineer)
    signing.sign_now()
    sequence = Entry.objects.filter(subject=other.reference).latest("sequence").sequence

    answers = [
        api.get(f"/api/v1/runs/{frozen.run.reference}/entries/{number}{more}")
        for number in (sequence, 1, 0, 999_999)
        for more in ("", "/proof")
    ]

    assert [answer.status_code for answer in answers] == [404] * 8


def test_an_entry_newer_than_the_newest_checkpoint_waits_for_the_next(api, frozen, engineer):
    signing.sign_now()
    registering.cancel(run=factories.register(engineer), actor=engineer, reason="test")
    newest = Entry.objects.latest("sequence")
    path = f"/api/v1/runs/{newest.subject}/entries/{newest.sequence}/proof"

    early = api.get(path)
    signing.sign_now()
    signed = api.get(path)

    assert (early.status_code, early.json()["code"]) == (404, "no_proof")
    assert signed.status_code == 200


@pytest.mark.parametrize("what", ["entries", "entries/1", "entries/1/proof"])
def test_the_entries_of_another_teams_run_are_for_auditors(
    client_of, frozen, second_engineer, auditor, what
):
    url = f"/api/v1/runs/{frozen.run.reference}/{what}"

    refused = client_of(second_engineer).get(url)

    assert (refused.status_code, refused.json()["code"]) == (403, "not_your_run")
    assert client_of(auditor).get(url).status_code in (200, 404)


def test_entries_of_a_run_need_the_scope_of_manifests(frozen, engineer):
    bearer = token_for(engineer, "runs:read")

    answer = Client().get(f"/api/v1/runs/{frozen.run.reference}/entries", headers=bearer)

    assert (answer.status_code, answer.json()["code"]) == (403, "scope_missing")


# --- The newest checkpoint ----------------------------------------------------------------------


def test_the_newest_checkpoint_is_given_to_those_who_read_manifests(frozen, engineer, tmp_path):
    checkpoint = signing.sign_now()
    bearer = token_for(engineer, "manifests:read")

    answer = Client().get("/api/v1/me/checkpoint", headers=bearer)

    assert answer.status_code == 200
    assert answer["Content-Type"] == "text/plain; charset=utf-8"
    assert answer.content.decode() == checkpoint.note
    assert AccessRecord.objects.filter(kind="checkpoint.read").count() == 1
    assert CheckpointDelivery.objects.filter(holder="emil", checkpoint=checkpoint).count() == 1


def test_those_who_read_manifests_get_proof_that_a_checkpoint_continues_theirs(frozen, engineer):
    old = signing.sign_now()
    registering.cancel(run=factories.register(engineer), actor=engineer, reason="test")
    new = signing.sign_now()
    bearer = token_for(engineer, "manifests:read")

    answer = Client().get(f"/api/v1/me/consistency?old={old.size}&new={new.size}", headers=bearer)

    assert answer.status_code == 200
    assert answer.content.decode() == signing.prove_consistency(old.size, new)


def test_the_proof_that_a_checkpoint_continues_another_needs_the_scope_of_manifests(engineer):
    answer = Client().get("/api/v1/me/consistency?old=1", headers=token_for(engineer, "runs:read"))

    assert (answer.status_code, answer.json()["code"]) == (403, "scope_missing")


def test_before_the_first_checkpoint_there_is_none_to_give(api):
    answer = api.get("/api/v1/me/checkpoint")

    assert (answer.status_code, answer.json()["code"]) == (404, "no_proof")


def test_the_checkpoint_needs_the_scope_of_manifests(engineer):
    answer = Client().get("/api/v1/me/checkpoint", headers=token_for(engineer, "runs:read"))

    assert (answer.status_code, answer.json()["code"]) == (403, "scope_missing")


# --- Who has withdrawn: a feed that costs little ------------------------------------------------


def test_a_feed_of_who_withdrew_is_sent_again_only_when_it_changes(api, frozen):
    factories.decide("acc-0", "deny", actor="test")
    path = f"/api/v1/runs/{frozen.run.reference}/withdrawn"

    first = api.get(path)
    # An act that changes no member's state moves the cut, and not who has withdrawn.
    signing.add_key(actor="test")
    same = api.get(path, headers={"If-None-Match": first["ETag"]})
    factories.decide("acc-1", "deny", actor="test")
    changed = api.get(path, headers={"If-None-Match": first["ETag"]})

    # Weak: the digest is of the set, and the cut beside it moves.
    assert first["ETag"] == f'W/"{first.json()["digest"]}"'
    assert (same.status_code, same.content, same["ETag"]) == (304, b"", first["ETag"])
    assert changed.status_code == 200
    assert [row["account_ref"] for row in changed.json()["results"]] == ["acc-0", "acc-1"]


def test_pages_of_who_withdrew_fit_together_beside_their_etag(api, frozen):
    for name in ("acc-0", "acc-1"):
        factories.decide(name, "deny", actor="test")
    path = f"/api/v1/runs/{frozen.run.reference}/withdrawn?page_size=1"

    first = api.get(path)
    known = api.get(path, headers={"If-None-Match": first["ETag"]})
    following = first.json()["next"]
    # A later page is sent whatever the caller knows of the set.
    second = api.get(following, headers={"If-None-Match": first["ETag"]})

    assert known.status_code == 304
    assert second.status_code == 200
    pages = [*first.json()["results"], *second.json()["results"]]
    assert [row["account_ref"] for row in pages] == ["acc-0", "acc-1"]
    assert len({page.json()["digest"] for page in (first, second)}) == 1


def test_a_training_acknowledges_what_it_knew_already(api, frozen):
    factories.decide("acc-0", "deny", actor="test")
    path = f"/api/v1/runs/{frozen.run.reference}/withdrawn"
    first = api.get(path)

    api.get(path, headers={"If-None-Match": first["ETag"]})

    digest = json.loads(first.content)["digest"]
    assert frozen.run.withdrawn_answers.get(digest=digest).withdrawn == 1
