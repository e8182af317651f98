"""Receipts: the runner's signed word, compared with what was delivered. A run completes on one, or on a waiver."""

import base64
import copy
import datetime as dt
import json

import hypothesis
import pytest
from django.core.exceptions import PermissionDenied
from hypothesis import given
from hypothesis import strategies as st

from common.text import strict_json
from deliveries.made import ending, requesting
from deliveries.models import Completion, DataSet, Receipt, RunnerKey
from deliveries.receipts import accepting, completing, envelopes, keys, statements, waivers
from deliveries.receipts.waivers import OwnWaiver, WaiverDecided
from ledger.checkpoints import signing
from ledger.errors import InvalidInput
from ledger.models import Entry
from objections.models import RedactionEntry, RedactionHits
from objections.redaction import lending
from objections.redaction.facts import is_list_applied, is_redaction_proven
from tools import factories
from tools.receipts import Runner
from tools.receipts import file as receipt_file
from training_runs import teams
from training_runs.choices import FindingKind
from training_runs.errors import ForbiddenMove
from training_runs.models import Finding, Run

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.one_engine]


@pytest.fixture
def delivery(run, engineer):
    return factories.training(run, engineer)


@pytest.fixture
def runner(engineer):
    return factories.registered_runner(engineer)


def send(post, run, envelope):
    return post(f"runs/{run.reference}/receipts", envelope)


def changed(envelope, **fields):
    return {**envelope, **fields}


def opened(envelope):
    return strict_json.read(base64.b64decode(envelope["payload"]))


def faults(answer):
    return {fault["field"]: fault["code"] for fault in answer.json()["errors"]}


def test_a_receipt_is_kept_sealed_and_given_back(run, delivery, runner, engineer, api, post):
    envelope = factories.receipt_of(runner, delivery)

    sent = send(post, run, envelope)
    again = send(post, run, envelope)
    read = api.get(f"/api/v1/receipts/{sent.json()['reference']}").json()

    assert (sent.status_code, again.status_code) == (201, 200)
    assert again.json() == sent.json()
    assert read["envelope"] == envelope
    assert (read["rows_in"], read["rows_kept"]) == (10, 8)
    assert Entry.objects.get(pk=read["entry"]).kind == "receipt.accepted"
    row = Receipt.objects.get()
    assert statements.predicate_of(row) == opened(envelope)["predicate"]
    assert DataSet.objects.get().receipt == row


def test_a_run_completes_on_its_receipt_and_its_deliveries_end(
    run, delivery, runner, engineer, post
):
    missing = post(f"runs/{run.reference}/complete")
    receipt = factories.send_receipt(runner, delivery, engineer)

    done = post(f"runs/{run.reference}/complete")
    again = post(f"runs/{run.reference}/complete", {"receipt": receipt.reference})

    assert (missing.status_code, missing.json()["code"]) == (409, "receipt_missing")
    assert done.json()["state"] == again.json()["state"] == "completed"
    assert done.json()["use"]["completed_on"] == receipt.reference
    assert Completion.objects.get(run=run).receipt == receipt
    delivery.refresh_from_db()
    assert delivery.state == "cancelled"


def test_data_is_prepared_before_training_begins(run, runner, engineer, api, post):
    delivery = factories.deliver(run, engineer)

    sent = send(post, run, factories.receipt_of(runner, delivery))
    ready = api.get("/api/v1/datasets?lease=valid").json()["results"]
    post(f"runs/{run.reference}/training")
    done = post(f"runs/{run.reference}/complete")

    assert sent.status_code == 201
    assert [one["receipt"] for one in ready] == [sent.json()["reference"]]
    assert done.json()["use"]["completed_on"] == sent.json()["reference"]


def test_a_second_try_on_the_same_delivery_completes_on_the_same_receipt(
    run, delivery, runner, engineer, post
):
    receipt = factories.send_receipt(runner, delivery, engineer)
    post(f"runs/{run.reference}/fail", {"reason": "out of memory"})
    post(f"runs/{run.reference}/training")

    done = post(f"runs/{run.reference}/complete")

    assert done.json()["use"]["completed_on"] == receipt.reference


def test_a_receipt_of_an_earlier_delivery_completes_no_training_on_a_later_one(
    run, delivery, runner, engineer, post
):
    receipt = factories.send_receipt(runner, delivery, engineer)
    post(f"runs/{run.reference}/fail", {"reason": "out of memory"})
    renewed = factories.made(requesting.renew(delivery=delivery, actor=engineer)[0])
    post(f"runs/{run.reference}/training")

    missing = post(f"runs/{run.reference}/complete")
    named = post(f"runs/{run.reference}/complete", {"receipt": receipt.reference})
    factories.send_receipt(runner, renewed, engineer)
    done = post(f"runs/{run.reference}/complete")

    assert (missing.status_code, missing.json()["code"]) == (409, "receipt_missing")
    assert (named.status_code, list(faults(named))) == (400, ["receipt"])
    assert done.json()["state"] == "completed"


WRONG_DIGESTS = {
    "manifest": "0" * 64,
    "delivery__archive": "0" * 64,
    "delivery__files": ["0" * 64],
    "delivery__subtraction": {"count": 1, "digest": "0" * 64, "cut": 1},
}


@pytest.mark.parametrize("field", WRONG_DIGESTS)
def test_a_wrong_digest_is_refused_with_a_finding_and_the_run_stays(
    run, delivery, runner, post, field
):
    envelope = factories.receipt_of(runner, delivery, **{field: WRONG_DIGESTS[field]})

    answers = [send(post, run, envelope) for _ in range(2)]

    assert [(one.status_code, one.json()["code"]) for one in answers] == [
        (409, "digest_mismatch")
    ] * 2
    found = Finding.objects.get(run=run)
    assert found.kind == FindingKind.DIGEST_MISMATCH
    assert list(found.detail) == [field.replace("__", ".")]
    assert Run.objects.get(pk=run.pk).state == "training"
    assert not Receipt.objects.exists()


def test_a_bit_in_the_payload_breaks_the_signature(run, delivery, runner, post):
    envelope = factories.receipt_of(runner, delivery)
    payload = bytearray(base64.b64decode(envelope["payload"]))
    payload[10] ^= 1

    answer = send(post, run, changed(envelope, payload=base64.b64encode(bytes(payload)).decode()))

    assert faults(answer) == {"signatures.sig": "wrong_signature"}


def test_another_key_under_the_same_name_does_not_sign(run, delivery, runner, post):
    stranger = Runner()
    envelope = factories.receipt_of(stranger, delivery)
    unknown = send(post, run, envelope)
    envelope["signatures"][0]["keyid"] = runner.keyid
    borrowed = send(post, run, envelope)

    assert unknown.json()["code"] == "key_not_valid"
    assert faults(borrowed) == {"signatures.sig": "wrong_signature"}


def test_an_ended_key_signs_nothing_new_and_its_receipts_stay(
    run, delivery, runner, engineer, api, post
):
    receipt = factories.send_receipt(runner, delivery, engineer)
    assert api.delete(f"/api/v1/me/keys/{runner.keyid}").status_code == 200

    later = send(post, run, factories.receipt_of(runner, delivery))

    assert later.json()["code"] == "key_not_valid"
    assert api.get(f"/api/v1/receipts/{receipt.reference}").status_code == 200
    assert post(f"runs/{run.reference}/complete").json()["state"] == "completed"


def test_a_key_ends_with_its_account(
    run, delivery, runner, engineer, second_engineer, client_of, post
):
    teams.add(team=run.team, user=second_engineer, actor="test")
    engineer.is_active = False
    engineer.save()

    answer = post(
        f"runs/{run.reference}/receipts",
        factories.receipt_of(runner, delivery),
        client=client_of(second_engineer),
    )

    assert answer.json()["code"] == "key_not_valid"


def test_a_key_of_another_team_does_not_sign(run, delivery, second_engineer, post):
    outsider = factories.registered_runner(second_engineer)

    assert (
        send(post, run, factories.receipt_of(outsider, delivery)).json()["code"] == "key_not_valid"
    )


def test_another_runs_delivery_is_refused(run, delivery, runner, engineer, post):
    other = factories.training(factories.freeze(engineer).run, engineer)

    answer = send(post, run, factories.receipt_of(runner, other))

    assert faults(answer) == {"delivery.reference": "invalid"}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"rows": {"in": 11, "kept": 8, "dropped": {"excluded": 2}}}, "rows"),
        ({"rows": {"in": 9, "kept": 7, "dropped": {"excluded": 2}}}, "outputs"),
        ({"rows": {"in": 11, "kept": 8, "dropped": {"excluded": 3}}}, "inputs"),
        ({"rows__dropped": {"because": 2}}, "rows.dropped"),
        ({"started_at": "2026-01-01T00:00:00Z"}, "started_at"),
        ({"ended_at": "2020-01-01T00:00:00Z"}, "ended_at"),
        ({"distinct_members": "4711"}, "distinct_members"),
        ({"member_column__name": "paula@example.org"}, "member_column.name"),
        ({"tool__name": "Paula Example"}, "tool.name"),
        ({"unknown_per_mille": 1001}, "unknown_per_mille"),
        ({"accounts": ["acc-1"]}, "accounts"),
        ({"rows__in": True}, "rows.in"),
        ({"delivery__leased_until": "2030-01-01T00:00:00Z"}, "delivery.leased_until"),
        ({"content": {"earliest": "2026-01-02", "latest": "2026-01-01"}}, "content"),
        ({"redaction": {"engine": "own", "version": "1", "hits_by_kind": {"email": 1},
                        "hits_by_entry": {"Paula": 2}}}, "redaction.hits_by_entry"),
        ({"redaction": {"engine": "own", "version": "1", "hits_by_kind": {"email": 1},
                        "hits_by_entry": {"1": 2}}}, "redaction"),
        ({"inputs": [], "outputs": [], "rows": {"in": 0, "kept": 0, "dropped": {}}}, "inputs"),
        ({"purpose": "safety"}, "purpose"),
        ({"data_categories": ["profile"]}, "data_categories"),
    ],
)  # fmt: skip
def test_what_does_not_add_up_or_could_name_a_person_is_refused(
    run, delivery, runner, post, change, field
):
    answer = send(post, run, factories.receipt_of(runner, delivery, **change))

    assert answer.status_code == 400, answer.json()
    assert field in faults(answer)
    assert "paula" not in answer.content.decode().lower()
    assert not Receipt.objects.exists()


def test_all_that_is_not_the_deliverys_is_named_at_once(run, delivery, runner, post):
    said = {
        "purpose": "safety",
        "data_categories": ["profile"],
        "started_at": "2026-01-01T00:00:00Z",
        "ended_at": "2999-01-01T00:00:00Z",
        "delivery__leased_until": "2030-01-01T00:00:00Z",
    }

    answer = send(post, run, factories.receipt_of(runner, delivery, **said))

    assert faults(answer).keys() == {
        "purpose", "data_categories", "started_at", "ended_at", "delivery.leased_until",
    }  # fmt: skip


@pytest.mark.parametrize(
    "name",
    ["clean/acc-1.parquet", "clean/author=acc-1/part-0.parquet", "acc-1"],
)
def test_no_file_is_named_after_an_account(run, delivery, runner, post, name):
    file = receipt_file(name, b"clean", 8)

    answer = send(post, run, factories.receipt_of(runner, delivery, outputs=[file]))

    assert (answer.status_code, faults(answer)) == (400, {"outputs": "names_an_account"})
    assert "acc-1" not in answer.content.decode().lower()


@pytest.mark.parametrize("name", ["clean/anna.b1.parquet", "by=anna.b1", "anna.b1.zst.parquet"])
def test_no_file_is_named_after_an_account_that_has_a_dot(run, delivery, runner, post, name):
    factories.add_member("anna.b1")
    file = receipt_file(name, b"clean", 8)

    answer = send(post, run, factories.receipt_of(runner, delivery, outputs=[file]))

    assert (answer.status_code, faults(answer)) == (400, {"outputs": "names_an_account"})


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("clean/posts-acct_00017-2024.parquet", 400),
        ("clean/posts.acct-00017.zst.parquet", 400),
        ("clean/posts-c000.parquet", 201),
        ("clean/posts-acct-000170.parquet", 201),
    ],
)
def test_an_account_inside_of_a_longer_name_is_refused(run, delivery, runner, post, name, code):
    """A short one is not: the random parts of names by Spark would often be the account of a member."""
    for account in ("acct_00017", "acct-00017", "c000"):
        factories.add_member(account)
    file = receipt_file(name, b"clean", 8)

    answer = send(post, run, factories.receipt_of(runner, delivery, outputs=[file]))

    assert answer.status_code == code, answer.json()


@pytest.mark.parametrize("field", ["inputs", "member_column"])
def test_no_column_is_named_after_an_account(run, delivery, runner, post, field):
    raw = receipt_file("raw/posts.parquet", b"raw", 10)
    changed = (
        {"inputs": [{**raw, "schema": {"body": "string", "by_acc-1": "string", "acc-1": "string"}}]}
        if field == "inputs"
        else {"member_column": {"name": "acc-1", "type": "string"}}
    )

    answer = send(post, run, factories.receipt_of(runner, delivery, **changed))

    assert (answer.status_code, faults(answer)) == (400, {field: "names_an_account"})


def test_a_checkpoint_is_one_that_the_portal_signed(run, delivery, runner, post):
    note = signing.sign_now().note
    size = note.split("\n")[1]
    odd = [
        "paula@example.org objected",
        note.rstrip("\n"),
        f"{note}Paula",
        note.replace(f"\n{size}\n", f"\n0{size}\n"),
        f"a\n{'9' * 30}\nb",
        "a\n\N{ARABIC-INDIC DIGIT ONE}\nb",
        "",
    ]

    for text in odd:
        answer = send(post, run, factories.receipt_of(runner, delivery, checkpoint=text))
        assert answer.status_code == 400
        assert faults(answer).keys() == {"checkpoint"}
        assert "Paula" not in answer.text
    assert not Receipt.objects.exists()
    sent = send(post, run, factories.receipt_of(runner, delivery, checkpoint=note))
    assert sent.status_code == 201


def test_a_file_is_named_by_a_number_or_a_date(run, delivery, runner, post):
    factories.add_member("20261126")
    file = receipt_file("clean/date=20261126/part-00001.parquet", b"clean", 8)

    answer = send(post, run, factories.receipt_of(runner, delivery, outputs=[file]))

    assert answer.status_code == 201


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=5,
)


def places_in(value, path=()):
    """The path of every value inside a JSON value."""
    inside = value if isinstance(value, dict) else dict(enumerate(value))
    for name, one in inside.items():
        yield (*path, name)
        if isinstance(one, dict | list):
            yield from places_in(one, (*path, name))


def test_a_statement_that_was_changed_anywhere_is_kept_whole_or_refused(
    run, delivery, runner, api, post
):
    sent = opened(factories.receipt_of(runner, delivery))
    places = list(places_in(sent))

    @given(place=st.sampled_from(places), value=JSON_VALUES)
    @hypothesis.settings(max_examples=80, database=None)
    def try_one(place, value):
        body = copy.deepcopy(sent)
        holder = body
        for name in place[:-1]:
            holder = holder[name]
        holder[place[-1]] = value
        before = (Receipt.objects.count(), DataSet.objects.count(), Entry.objects.count())

        answer = send(post, run, runner.sign(body))

        after = (Receipt.objects.count(), DataSet.objects.count(), Entry.objects.count())
        if answer.status_code in (200, 201):
            assert statements_of(Receipt.objects.latest("pk")) == body
        elif answer.status_code == 409:
            # A digest that is not the delivered one: a finding.
            assert after[:2] == before[:2]
        else:
            assert (answer.status_code, after) == (400, before)

    try_one()


def statements_of(receipt):
    return opened(strict_json.read(receipt.envelope))


def test_faults_are_named_all_at_once(run, delivery, runner, post):
    answer = send(post, run, factories.receipt_of(runner, delivery, manifest="x", tool__version=""))

    assert set(faults(answer)) == {"manifest", "tool.version"}


def test_subjects_are_the_outputs(run, delivery, runner, post):
    body = opened(factories.receipt_of(runner, delivery))
    body["subject"][0]["digest"]["sha256"] = "0" * 64

    assert faults(send(post, run, runner.sign(body))) == {"subject": "invalid"}


SAME_FILE = [receipt_file("clean/posts.parquet", b"the same posts", 8)]


def claims_of_the_same_file(runner, deliveries, engineer):
    return [
        factories.send_receipt(runner, delivery, engineer, outputs=SAME_FILE)
        for delivery in deliveries
    ]


def test_a_file_is_claimed_once_for_a_delivery(run, delivery, runner, engineer, post):
    first = factories.receipt_of(runner, delivery)
    send(post, run, first)
    body = opened(first)
    body["predicate"]["tokens"] = {"text": 1}

    answer = send(post, run, runner.sign(body))

    assert (answer.status_code, answer.json()["code"]) == (409, "output_claimed")


def test_a_file_of_another_run_is_not_claimed(run, delivery, runner, engineer):
    other = factories.training(factories.freeze(engineer).run, engineer)

    with pytest.raises(accepting.OutputClaimed):
        claims_of_the_same_file(runner, [delivery, other], engineer)
    assert DataSet.objects.count() == 1


def test_the_same_bytes_from_a_renewed_delivery_have_the_new_lease(
    run, delivery, runner, engineer, api
):
    claims_of_the_same_file(runner, [delivery], engineer)
    renewed = factories.made(requesting.renew(delivery=delivery, actor=engineer)[0])
    (second,) = claims_of_the_same_file(runner, [renewed], engineer)

    listed = [
        [row["receipt"] for row in api.get(f"/api/v1/datasets?lease={lease}").json()["results"]]
        for lease in ("valid", "ended")
    ]

    assert listed == [[second.reference], []]


def test_a_child_run_claims_what_its_parent_used(run, delivery, runner, engineer):
    factories.send_receipt(runner, delivery, engineer, outputs=SAME_FILE)
    completing.complete(run=Run.objects.get(pk=run.pk), actor=engineer)
    child = factories.freeze(engineer, parent=run).run

    claims_of_the_same_file(runner, [factories.training(child, engineer)], engineer)

    assert DataSet.objects.newest().get().receipt.run == child


def test_a_child_run_of_another_team_takes_no_data_set_away(
    run, delivery, runner, engineer, second_engineer, api
):
    receipt = factories.send_receipt(runner, delivery, engineer, outputs=SAME_FILE)
    child = factories.freeze(second_engineer, parent=run).run
    lent = factories.training(child, second_engineer)
    other = factories.registered_runner(second_engineer)
    second = factories.send_receipt(other, lent, second_engineer, outputs=SAME_FILE)
    ending.cancel(delivery=lent, reason="test", actor=second_engineer)

    listed = {
        lease: [
            row["receipt"] for row in api.get(f"/api/v1/datasets?lease={lease}").json()["results"]
        ]
        for lease in ("valid", "ended")
    }

    assert listed == {"valid": [receipt.reference], "ended": [second.reference]}


def test_an_empty_file_belongs_to_no_run(run, delivery, runner, engineer):
    other = factories.training(factories.freeze(engineer).run, engineer)
    empty = [receipt_file("clean/none.parquet", b"", 0)]
    for one in (delivery, other):
        mine = receipt_file("clean/posts.parquet", one.reference.encode(), 8)
        factories.send_receipt(runner, one, engineer, outputs=[mine, *empty])

    assert DataSet.objects.newest().count() == 3


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"payloadType": "application/json"}, "payloadType"),
        ({"signatures": []}, "signatures"),
        ({"payload": "e30"}, "payload"),
        ({"more": 1}, "envelope"),
    ],
)
def test_an_envelope_has_one_form(run, delivery, runner, post, change, field):
    envelope = factories.receipt_of(runner, delivery)

    assert field in faults(send(post, run, changed(envelope, **change)))


@pytest.mark.parametrize("keyid", ["", "\x00", "0" * 5_000, "A" * 64, 1, None, ["a"]])
def test_the_name_of_a_key_is_its_digest(run, delivery, runner, post, keyid):
    envelope = factories.receipt_of(runner, delivery)
    envelope["signatures"][0]["keyid"] = keyid

    answer = send(post, run, envelope)

    assert answer.status_code == 400
    assert faults(answer).keys() <= {"signatures", "signatures.keyid"}


@pytest.mark.parametrize("sig", ["", "AA==", "e31=", "\x00", None, {}])
def test_a_signature_has_one_form(run, delivery, runner, post, sig):
    envelope = factories.receipt_of(runner, delivery)
    envelope["signatures"][0]["sig"] = sig

    assert "signatures.sig" in faults(send(post, run, envelope))


def test_a_data_set_of_thousands_of_files_has_a_receipt_and_a_proof(run, delivery, runner, post):
    files = [
        receipt_file(f"clean/posts/part-{number:05d}.parquet", b"%d" % number, 1)
        for number in range(3_000)
    ]
    read = [{**one, "name": one["name"].replace("clean", "raw")} for one in files]
    extra = receipt_file("raw/posts/part-03000.parquet", b"3000", 2)
    envelope = factories.receipt_of(runner, delivery, outputs=files, inputs=[*read, extra])

    answer = send(post, run, envelope)

    assert answer.status_code == 201
    assert DataSet.objects.count() == len(files)
    entry = Receipt.objects.get().entry
    signing.sign_now()
    assert signing.prove_entry(entry.pk, signing.latest())


def test_a_statement_has_an_end(run, delivery, runner, post):
    large = runner.seal(b" " * (envelopes.MAX_BYTES + 1))

    assert "payload" in faults(send(post, run, large))


def test_two_signatures_are_refused_also_when_one_is_right(run, delivery, runner, post):
    envelope = factories.receipt_of(runner, delivery)
    envelope["signatures"].append({"keyid": "0" * 64, "sig": envelope["signatures"][0]["sig"]})

    assert "signatures" in faults(send(post, run, envelope))


@pytest.mark.parametrize(
    "payload", [b"[]", b'{"_type": 1}', b"{", b'{"a":1,"a":2}', b"\xff", b"[" * 50_000]
)
def test_a_signed_payload_that_is_no_statement_is_refused(run, delivery, runner, post, payload):
    answer = send(post, run, runner.seal(payload))

    assert answer.status_code == 400
    assert "payload" in faults(answer)


def test_a_run_that_was_completed_meanwhile_takes_no_receipt(run, delivery, runner, engineer, post):
    read_before = Run.objects.get(pk=run.pk)
    factories.send_receipt(runner, delivery, engineer)
    assert post(f"runs/{run.reference}/complete").json()["state"] == "completed"

    with pytest.raises(ForbiddenMove):
        accepting.accept(
            run=read_before, sent=factories.receipt_of(runner, delivery), actor=engineer
        )
    assert Receipt.objects.count() == 1


def test_use_after_the_lease_is_kept_and_a_finding(
    run, delivery, runner, engineer, api, post, time_machine
):
    late = delivery.leased_until + dt.timedelta(hours=1)
    envelope = factories.receipt_of(
        runner, delivery, ended_at=late.isoformat().replace("+00:00", "Z")
    )

    early = send(post, run, envelope)
    assert (early.status_code, set(faults(early))) == (400, {"ended_at"})
    time_machine.move_to(late)
    api.force_login(engineer)
    assert send(post, run, envelope).status_code == 201
    assert Finding.objects.get(run=run).kind == FindingKind.LEASE_OVER


# --- Redaction ----------------------------------------------------------------------------------


def redacted(**said):
    """The part of a receipt about redaction."""
    return {"engine": "own", "version": "1", "hits_by_kind": {"handle": 3}, **said}


@pytest.fixture
def loan(delivery, engineer):
    """The redaction list with two entries, lent for the delivery."""
    for _ in range(2):
        factories.objection(name="Quilla Zebrowski", email="quilla@zebrowski.example")
    purpose = delivery.run.purpose
    return lending.lend(delivery=delivery.reference, purpose=purpose, user=engineer).record


def test_hits_of_the_redaction_list_are_kept_by_the_numbers_of_entries(
    run, delivery, runner, loan, post
):
    first, second = sorted(lending.known_numbers(loan))
    said = redacted(list_version=loan.list_version, hits_by_entry={str(first): 3, str(second): 0})
    envelope = factories.receipt_of(runner, delivery, redaction=said)

    answers = [send(post, run, envelope).status_code for _ in range(2)]

    assert answers == [201, 200]
    kept = RedactionHits.objects.get()
    assert (kept.redaction_id, kept.loan, kept.hits) == (first, loan, 3)
    assert kept.entry_id == Receipt.objects.get().entry_id


def test_a_redaction_list_that_was_not_lent_for_the_delivery_is_refused(
    run, delivery, runner, loan, engineer, post
):
    number = str(max(lending.known_numbers(loan)))
    version = loan.list_version
    other = factories.training(factories.freeze(engineer).run, engineer)
    cases = [
        (delivery, {"hits_by_entry": {number: 1}}, "list_version", "not_lent"),
        (delivery, {"list_version": "0" * 64}, "list_version", "not_lent"),
        (other, {"list_version": version}, "list_version", "not_lent"),
        (delivery, {"list_version": version, "hits_by_entry": {f"{int(number) + 1}": 1}},
         "hits_by_entry", "not_lent"),
        (delivery, {"list_version": version, "hits_by_entry": {f"0{number}": 1}},
         "hits_by_entry", "not_a_number"),
    ]  # fmt: skip

    for used, said, field, code in cases:
        envelope = factories.receipt_of(runner, used, redaction=redacted(**said))
        answer = send(post, used.run, envelope)
        assert faults(answer) == {f"redaction.{field}": code}
    assert RedactionEntry.objects.count() == 2
    assert not RedactionHits.objects.exists()
    assert not Receipt.objects.exists()


# --- Keys ---------------------------------------------------------------------------------------


def test_a_key_is_registered_with_a_signature_over_a_challenge(engineer, post):
    runner = Runner()
    challenge = post("me/keys/challenges").json()["challenge"]

    first = post("me/keys", runner.answer(challenge))
    again = post("me/keys", runner.answer(challenge))

    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["fingerprint"] == runner.keyid
    assert RunnerKey.objects.get().user == engineer


def test_a_challenge_of_another_account_or_of_yesterday_is_refused(
    engineer, second_engineer, post, time_machine
):
    runner = Runner()
    others = runner.answer(keys.challenge_for(second_engineer))
    own = runner.answer(keys.challenge_for(engineer))
    assert faults(post("me/keys", others)) == {"challenge": "invalid"}
    time_machine.move_to(dt.datetime.now(dt.UTC) + dt.timedelta(minutes=11))
    assert faults(post("me/keys", own)) == {"challenge": "invalid"}


def test_a_signature_of_another_key_registers_nothing(engineer, post):
    challenge = keys.challenge_for(engineer)
    body = {**Runner().answer(challenge), "public_key": Runner().public_key}

    assert faults(post("me/keys", body)) == {"signature": "invalid"}


@pytest.mark.parametrize(
    "raw",
    [
        bytes(32),
        b"\x01" + bytes(31),
        b"\xec" + b"\xff" * 30 + b"\x7f",
        b"\xff" * 32,
        bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
        bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa"),
    ],
)
def test_a_key_that_proves_nothing_is_refused(raw):
    with pytest.raises(InvalidInput):
        keys.check_strength(raw)


def test_an_account_has_so_many_keys_and_ending_one_makes_room(engineer, api, post):
    first, *_ = [factories.registered_runner(engineer) for _ in range(keys.MAX_KEYS)]
    body = Runner().answer(keys.challenge_for(engineer))

    refused = post("me/keys", body)
    assert (refused.status_code, refused.json()["code"]) == (409, "too_many_keys")
    api.delete(f"/api/v1/me/keys/{first.keyid}")
    assert post("me/keys", body).status_code == 201


def test_a_key_belongs_to_one_account(engineer, second_engineer, client_of, post):
    runner = factories.registered_runner(engineer)
    body = runner.answer(keys.challenge_for(second_engineer))

    answer = post("me/keys", body, client=client_of(second_engineer))

    assert answer.json()["code"] == "key_taken"
    foreign = client_of(second_engineer).delete(f"/api/v1/me/keys/{runner.keyid}")
    assert foreign.status_code == 404


# --- Waivers ------------------------------------------------------------------------------------

REASONS = "The preparation ran before receipts could be made."


def test_a_run_completes_on_a_waiver_that_an_officer_approved(
    run, delivery, engineer, officer, post
):
    asked = post(f"runs/{run.reference}/waivers", {"reasons": REASONS})
    assert (asked.status_code, asked.json()["state"]) == (201, "asked")
    assert post(f"runs/{run.reference}/complete").json()["code"] == "receipt_missing"

    waivers.decide(waiver=run.waivers.get(), approve=True, decision="agreed", actor=officer)

    done = post(f"runs/{run.reference}/complete").json()
    assert (done["state"], done["use"]["completed_on"]) == ("completed", "waiver")


def test_a_refused_waiver_completes_nothing(run, delivery, engineer, officer, post):
    waiver, _ = waivers.ask(run=run, reasons=REASONS, actor=engineer)
    waivers.decide(waiver=waiver, approve=False, decision="make one", actor=officer)

    assert post(f"runs/{run.reference}/complete").json()["code"] == "receipt_missing"
    with pytest.raises(WaiverDecided):
        waivers.decide(waiver=waiver, approve=True, decision="agreed", actor=officer)


def test_a_team_does_not_decide_its_own_waiver(run, delivery, engineer, officer):
    waiver, _ = waivers.ask(run=run, reasons=REASONS, actor=engineer)
    with pytest.raises(PermissionDenied):
        waivers.decide(waiver=waiver, approve=True, decision="agreed", actor=engineer)
    teams.add(team=run.team, user=officer, actor="test")
    with pytest.raises(OwnWaiver):
        waivers.decide(waiver=waiver, approve=True, decision="agreed", actor=officer)


def test_bands_tell_a_size_and_no_number():
    assert [statements.band(n) for n in (0, 1, 9, 10, 99, 100, 10**9)] == [
        "0", "1-9", "1-9", "10-99", "10-99", "100-999", "1000000000-9999999999",
    ]  # fmt: skip
    assert json.dumps(statements.BANDS)


# --- People without an account ------------------------------------------------------------------


@pytest.fixture
def borrowed(run, delivery, officer, post):
    """The list as it is lent after a person without an account objected."""
    factories.objection(
        name="Paula Pepperkorn-Example", email="paula@example.org", purposes=[run.purpose]
    )
    return post(f"deliveries/{delivery.reference}/redaction-list").json()


def redaction(borrowed, **hits):
    return {
        "engine": "own",
        "version": "1",
        "list_version": borrowed["list_version"],
        "hits_by_kind": {"name": 2},
        "hits_by_entry": hits,
    }


def test_the_next_receipt_shows_that_an_objection_of_a_non_member_was_applied(
    run, delivery, runner, borrowed, post
):
    number = borrowed["lines"][0]["number"]
    assert {line["value"] for line in borrowed["lines"]} >= {"paula@example.org"}

    sent = send(
        post,
        run,
        factories.receipt_of(runner, delivery, redaction=redaction(borrowed, **{str(number): 2})),
    )

    assert sent.status_code == 201
    row = RedactionHits.objects.get()
    assert (row.redaction_id, row.hits, row.loan.delivery) == (number, 2, delivery.reference)
    stored = Receipt.objects.get().envelope + json.dumps(
        list(Entry.objects.values_list("reason", flat=True))
    )
    assert "paula" not in stored.lower()


def test_a_list_that_was_not_lent_for_the_delivery_is_refused(
    run, delivery, runner, engineer, borrowed, post
):
    wrong_version = {**borrowed, "list_version": "0" * 64}
    unknown = send(
        post, run, factories.receipt_of(runner, delivery, redaction=redaction(wrong_version))
    )
    strange = send(
        post,
        run,
        factories.receipt_of(runner, delivery, redaction=redaction(borrowed, **{"999": 1})),
    )

    assert faults(unknown) == {"redaction.list_version": "not_lent"}
    assert faults(strange) == {"redaction.hits_by_entry": "not_lent"}


def test_the_list_is_lent_with_a_valid_delivery_only(
    run, delivery, engineer, api, post, time_machine
):
    time_machine.move_to(delivery.leased_until)
    api.force_login(engineer)

    answer = post(f"deliveries/{delivery.reference}/redaction-list")

    assert (answer.status_code, answer.json()["code"]) == (409, "lease_over")


def test_pages_may_speak_of_redaction_once_every_completed_run_shows_it(
    run, delivery, runner, engineer, borrowed
):
    assert not is_redaction_proven([run.purpose]) and not is_list_applied([run.purpose])
    factories.send_receipt(runner, delivery, engineer, redaction=redaction(borrowed))
    run.refresh_from_db()
    completing.complete(run=run, actor=engineer)
    assert is_redaction_proven([run.purpose]) and is_list_applied([run.purpose])

    factories.complete(factories.freeze(engineer).run, engineer)
    assert not is_redaction_proven([run.purpose])


def test_a_letter_says_that_the_list_was_applied_only_where_each_receipt_names_it(
    run, delivery, runner, engineer, officer, borrowed
):
    def said():
        ticket = factories.objection(
            name="Ulla Vintervatten", email="ulla@example.org", purposes=[run.purpose]
        )
        letter = factories.confirmed(ticket, officer).letters.get(kind="acknowledgement")
        return "say that the list was applied" in " ".join(letter.text.body.split())

    assert not said()
    factories.send_receipt(runner, delivery, engineer, redaction=redaction(borrowed))
    completing.complete(run=Run.objects.get(pk=run.pk), actor=engineer)
    assert said()

    without = factories.freeze(engineer).run
    used = factories.training(without, engineer)
    factories.send_receipt(runner, used, engineer, redaction=redacted())
    completing.complete(run=Run.objects.get(pk=without.pk), actor=engineer)

    assert is_redaction_proven([run.purpose])
    assert not said()
