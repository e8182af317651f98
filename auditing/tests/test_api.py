"""What an auditor gets by the API, and that every read of it is on record."""

import json

import pytest
from django.urls import reverse

from auditing.api import views
from common.files import made_files
from common.identity import tokens
from ledger import entries
from ledger.checkpoints import signing
from ledger.checkpoints.notes import TreeHead, open_note
from ledger.models import AccessRecord, Checkpoint, CheckpointDelivery, Entry

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.one_engine]


@pytest.fixture
def ask(auditor, client_of):
    """GET an address of the API as the auditor."""
    client = client_of(auditor)

    def ask(name, *args, **query):
        return client.get(reverse(f"api:{name}", args=args), query)

    ask.client = client
    return ask


def text_of(answer):
    body = b"".join(answer.streaming_content) if answer.streaming else answer.content
    return body.decode()


def write(count=1):
    for _ in range(count):
        with entries.entry("test.act", actor="test"):
            pass


def test_the_newest_checkpoint_is_a_note_to_keep(manifest, ask):
    answer = ask("checkpoint")

    checkpoint = Checkpoint.objects.get()
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert text_of(answer) == checkpoint.note
    assert AccessRecord.objects.get().subject == f"checkpoint:{checkpoint.size}"
    delivery = CheckpointDelivery.objects.get(channel="api")
    assert (delivery.checkpoint, delivery.holder) == (checkpoint, "ada")


def test_asking_twice_is_one_delivery_and_two_reads(manifest, ask):
    ask("checkpoint")
    ask("checkpoint")

    assert CheckpointDelivery.objects.filter(channel="api").count() == 1
    assert AccessRecord.objects.filter(kind="checkpoint.read").count() == 2


def test_a_witness_gets_the_proof_that_the_new_one_continues_the_old_one(manifest, ask):
    old = Checkpoint.objects.get()
    write(3)
    new = signing.sign_now()

    answer = ask("consistency", old=old.size)

    assert text_of(answer) == signing.prove_consistency(old.size, new)


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ({}, 400, "invalid"),
        ({"old": 0}, 400, "invalid"),
        ({"old": "x"}, 400, "invalid"),
        ({"old": 999_999}, 404, "no_proof"),
        ({"old": 1, "new": 2}, 404, "no_proof"),
        ({"old": 1, "fresh": 2}, 400, "invalid"),
    ],
)
def test_what_cannot_be_proved_is_said(manifest, ask, query, status, code):
    answer = ask("consistency", **query)

    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_before_anything_is_signed_there_is_nothing_to_get(ask):
    answer = ask("checkpoint")

    assert (answer.status_code, answer.json()["detail"]) == (
        404,
        "No checkpoint has been signed yet.",
    )


def test_checkpoints_are_listed_the_newest_first(manifest, ask):
    write()
    signing.sign_now()

    sizes = [row["size"] for row in ask("checkpoints").json()["results"]]

    assert sizes == sorted(sizes, reverse=True)
    assert len(sizes) == 2


def test_the_ledger_comes_as_the_bytes_that_were_hashed(manifest, ask):
    lines = text_of(ask("ledger")).splitlines()

    assert len(lines) == Checkpoint.objects.get().size
    assert [json.loads(line)["sequence"] for line in lines] == list(range(1, len(lines) + 1))


def test_a_part_of_the_ledger_goes_on_where_another_ended(manifest, ask):
    whole = text_of(ask("ledger"))

    parts = text_of(ask("ledger", upto=5)) + text_of(ask("ledger", after=5))

    assert parts == whole


def test_more_than_is_signed_is_not_given_out(manifest, ask):
    answer = ask("ledger", upto=Entry.objects.count() + 1)

    assert answer.status_code == 404


def test_the_reads_come_with_those_of_getting_them(manifest, ask):
    ask("checkpoint")

    lines = [json.loads(line) for line in text_of(ask("reads")).splitlines()]

    assert [line["kind"] for line in lines] == ["checkpoint.read", "export.reads"]


@pytest.mark.parametrize("sequence", [0, 10**9, 10**30])
def test_an_entry_that_is_not_there_is_neither_proved_nor_recorded(manifest, ask, sequence):
    assert ask("entry-proof", sequence).status_code == 404
    assert not AccessRecord.objects.exists()


def test_an_entry_is_proved(manifest, ask):
    answer = ask("entry-proof", 3)

    assert text_of(answer) == signing.prove_entry(3, Checkpoint.objects.get())


def test_the_keys_are_named(manifest, ask):
    answer = ask("checkpoint-keys").json()

    assert answer == {
        "name": "portal.example/ledger",
        "verifier_keys": [verifier.text for verifier in signing.verifiers()],
    }


def test_a_manifests_tree_is_signed(manifest, ask):
    text = open_note(
        text_of(ask("manifest-checkpoint", manifest.run.reference)), signing.verifiers()
    )

    assert TreeHead.parse(text).origin == f"portal.example/ledger/{manifest.run.reference}"


def test_a_member_is_proved_to_be_out_and_the_question_is_on_record(
    manifest, opted_out, auditor, client_of
):
    number = opted_out()

    answer = client_of(auditor).post(
        reverse("api:member-proof", args=[manifest.run.reference]),
        {"member_number": number},
        content_type="application/json",
    )

    assert answer.content.startswith(b"c2sp.org/tlog-proof@v1\nextra ")
    record = AccessRecord.objects.get()
    assert (record.kind, record.subject, record.purpose) == (
        "member.proved",
        f"member:{number}",
        manifest.run.reference,
    )


def test_a_number_without_a_member_at_the_cut_is_proved_to_have_none(manifest, auditor, client_of):
    answer = client_of(auditor).post(
        reverse("api:member-proof", args=[manifest.run.reference]),
        {"member_number": manifest.population + 1},
        content_type="application/json",
    )

    assert b"\nindex 0\n" in answer.content


def test_a_token_needs_the_scope(manifest, auditor, administrator, client):
    for scope, status in (("runs:read", 403), ("audit:read", 200)):
        _, secret = tokens.issue_token(
            user=auditor, name=scope, scopes=[scope], days=1, actor=administrator
        )
        answer = client.get(
            reverse("api:checkpoint"), headers={"Authorization": f"Bearer {secret}"}
        )
        assert answer.status_code == status


@pytest.mark.parametrize(("name", "setting"), [("ledger", "MAX_ENTRIES"), ("reads", "MAX_READS")])
def test_a_long_export_is_made_by_a_worker_and_stays_what_was_asked_for(
    manifest, ask, monkeypatch, name, setting
):
    monkeypatch.setattr(views, setting, 1)
    for _ in range(3):
        ask("checkpoint")

    waiting = ask(name)
    # What comes later is not in it.
    write()
    signing.sign_now()
    ask("checkpoint")
    made_files.make_due()
    answer = ask.client.get(waiting["Location"])

    body = b"".join(answer.streaming_content)
    upto = int(waiting["Location"].rpartition("upto=")[2])
    assert waiting.status_code == 202
    assert int(waiting["Retry-After"]) > 0
    assert answer.status_code == 200
    assert answer["Content-Length"] == str(len(body))
    last = json.loads(body.splitlines()[-1])
    assert upto == (last["sequence"] if name == "ledger" else last["id"])
    assert len(body.splitlines()) == (upto if name == "ledger" else 4)
    part = ask.client.get(waiting["Location"], headers={"Range": "bytes=5-9"})
    assert (part.status_code, b"".join(part.streaming_content)) == (206, body[5:10])
