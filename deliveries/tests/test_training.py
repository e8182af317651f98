"""What a pipeline reports of a training, and the gate that it asks."""

import datetime as dt

import pytest

from consent import accounts
from deliveries import recipients
from deliveries.made import ending, requesting
from deliveries.models import Acknowledgement, TrainingPulse, TrainingStart
from deliveries.receipts import waivers
from deliveries.use import starting
from ledger.checkpoints import signing
from ledger.models import Entry
from tools import factories
from training_runs import teams
from training_runs.choices import FindingKind
from training_runs.models import Finding, Run

pytestmark = pytest.mark.django_db(transaction=True)


def code_of(answer):
    return answer.status_code, answer.json().get("code")


def test_training_begins_on_a_valid_delivery_only(run, engineer, post):
    assert code_of(post(f"runs/{run.reference}/training")) == (409, "no_valid_delivery")
    delivery = factories.deliver(run, engineer)

    begun = post(f"runs/{run.reference}/training")
    again = post(f"runs/{run.reference}/training", {"delivery": delivery.reference})

    assert begun.json()["delivery"] == delivery.reference
    assert again.json() == begun.json()
    assert TrainingStart.objects.filter(run=run).count() == 1
    assert Run.objects.get(pk=run.pk).state == "training"


def test_training_on_another_runs_delivery_is_refused(run, engineer, post):
    factories.deliver(run, engineer)
    other = factories.deliver(factories.freeze(engineer).run, engineer)

    refused = post(f"runs/{run.reference}/training", {"delivery": other.reference})

    assert refused.status_code == 400
    assert refused.json()["errors"][0]["field"] == "delivery"


def test_training_after_the_lease_is_refused(run, engineer, api, post, time_machine):
    delivery = factories.deliver(run, engineer)
    time_machine.move_to(delivery.leased_until)
    api.force_login(engineer)

    assert code_of(post(f"runs/{run.reference}/training")) == (409, "lease_over")


def test_heartbeats_say_when_data_was_first_read(run, engineer, post):
    factories.training(run, engineer)

    quiet = post(f"runs/{run.reference}/heartbeat").json()
    reading = post(f"runs/{run.reference}/heartbeat", {"is_reading": True}).json()
    later = post(f"runs/{run.reference}/heartbeat", {"is_reading": True}).json()

    assert quiet["first_read_at"] is None
    assert reading["first_read_at"] == later["first_read_at"] is not None
    assert later["heartbeat_at"] > quiet["heartbeat_at"]


def test_a_heartbeat_after_the_lease_is_refused_and_a_finding(
    run, engineer, api, post, time_machine
):
    delivery = factories.training(run, engineer)
    time_machine.move_to(delivery.leased_until + dt.timedelta(seconds=1))
    api.force_login(engineer)

    for _ in range(2):
        assert code_of(post(f"runs/{run.reference}/heartbeat")) == (409, "lease_over")

    found = Finding.objects.get(run=run)
    assert (found.kind, found.detail["delivery"]) == (FindingKind.LEASE_OVER, delivery.reference)


def test_a_failed_run_keeps_its_manifest_and_is_trained_again(run, engineer, post):
    delivery = factories.training(run, engineer)

    failed = post(f"runs/{run.reference}/fail", {"reason": "out of memory"}).json()
    again = post(f"runs/{run.reference}/training").json()

    assert (failed["state"], failed["manifest"]["digest"]) == ("failed", run.manifest.digest)
    assert again["delivery"] == delivery.reference
    assert TrainingStart.objects.filter(run=run).count() == 2
    assert TrainingPulse.objects.get(run=run).first_read_at is None


def test_failing_needs_a_training_and_a_reason(run, engineer, post):
    assert code_of(post(f"runs/{run.reference}/fail", {"reason": "x"})) == (409, "forbidden_move")
    factories.training(run, engineer)
    assert post(f"runs/{run.reference}/fail", {"reason": " "}).status_code == 400


def test_another_team_reports_nothing(run, engineer, second_engineer, client_of, post):
    factories.training(run, engineer)
    stranger = client_of(second_engineer)
    for path, body in [
        ("training", {}),
        ("heartbeat", {}),
        ("fail", {"reason": "x"}),
        ("deliveries", {}),
        ("complete", {}),
        ("receipts", {}),
        ("withdrawn/acknowledgements", {"digest": "0" * 64}),
        ("waivers", {"reasons": "there is no receipt at all"}),
    ]:
        answer = post(f"runs/{run.reference}/{path}", body, client=stranger)
        assert code_of(answer) == (403, "not_your_run"), path


# --- Withdrawals --------------------------------------------------------------------------------


def test_withdrawals_are_acknowledged_by_the_digest_of_the_answer(
    run, engineer, product, api, post
):
    delivery = factories.training(run, engineer)
    factories.decide("acc-1", "deny", actor=product)
    said = api.get(f"/api/v1/runs/{run.reference}/withdrawn").json()

    path = f"runs/{run.reference}/withdrawn/acknowledgements"
    factories.decide("acc-2", "deny", actor=product)
    known = post(path, {"digest": said["digest"]}).json()
    again = post(path, {"digest": said["digest"]}).json()
    unknown = post(path, {"digest": "0" * 64})

    assert (known["withdrawn"], known["digest"]) == (1, said["digest"])
    assert known == again
    assert code_of(unknown) == (409, "answer_unknown")
    row = Acknowledgement.objects.get(run=run)
    assert (row.delivery, row.cut) == (delivery, said["cut"])


def test_a_run_completed_without_acknowledging_has_a_finding(run, engineer, product, time_machine):
    delivery = factories.training(run, engineer)
    runner = factories.registered_runner(engineer)
    factories.decide("acc-1", "deny", actor=product)
    factories.send_receipt(runner, delivery, engineer)

    from deliveries.receipts import completing  # noqa: PLC0415

    completing.complete(run=Run.objects.get(pk=run.pk), actor=engineer)

    found = Finding.objects.get(run=run)
    assert found.kind == FindingKind.NOT_ACKNOWLEDGED
    assert found.detail == {
        "delivery": delivery.reference,
        "withdrawn_since_delivery": 1,
        "acknowledged_up_to": 0,
    }


@pytest.mark.parametrize("minutes", [10, 20])
def test_only_the_last_minutes_need_no_acknowledgement(
    run, engineer, product, api, post, time_machine, minutes
):
    now = dt.datetime.now(dt.UTC)
    time_machine.move_to(now, tick=False)
    delivery = factories.training(run, engineer)
    runner = factories.registered_runner(engineer)
    said = api.get(f"/api/v1/runs/{run.reference}/withdrawn").json()
    post(f"runs/{run.reference}/withdrawn/acknowledgements", {"digest": said["digest"]})
    time_machine.move_to(now + dt.timedelta(minutes=minutes), tick=False)
    factories.decide("acc-1", "deny", actor=product)
    factories.send_receipt(runner, delivery, engineer)

    answer = post(f"runs/{run.reference}/complete")

    assert answer.json()["state"] == "completed"
    assert len(answer.json()["findings"]) == (minutes > 15)


# --- The gate -----------------------------------------------------------------------------------


def gate(api, run, **query):
    return api.get(f"/api/v1/runs/{run.reference}/gate", query)


def test_the_gate_opens_with_a_valid_delivery_and_closes_with_its_lease(
    run, engineer, api, post, time_machine
):
    assert code_of(gate(api, run)) == (409, "no_valid_delivery")
    delivery = factories.deliver(run, engineer)
    opened = gate(api, run)
    time_machine.move_to(delivery.leased_until)
    api.force_login(engineer)
    closed = gate(api, run)

    assert opened.json() == {
        "run": run.reference,
        "state": "frozen",
        "delivery": delivery.reference,
        "leased_until": opened.json()["leased_until"],
    }
    assert code_of(closed) == (409, "lease_over")
    assert opened["ETag"] != closed["ETag"]


def test_the_gate_answers_304_to_those_who_know(run, engineer, api):
    factories.deliver(run, engineer)
    first = gate(api, run)

    again = api.get(f"/api/v1/runs/{run.reference}/gate", headers={"if-none-match": first["ETag"]})

    assert (again.status_code, again.content) == (304, b"")


def test_the_gate_is_asked_about_one_delivery_or_manifest(run, engineer, api, product):
    old = factories.deliver(run, engineer)
    from deliveries.made import requesting  # noqa: PLC0415

    new = factories.made(requesting.renew(delivery=old, actor=engineer)[0])

    assert gate(api, run, delivery=new.reference).status_code == 200
    assert code_of(gate(api, run, delivery=old.reference)) == (409, "lease_over")
    assert gate(api, run, manifest=run.manifest.digest).status_code == 200
    assert code_of(gate(api, run, manifest="0" * 64)) == (409, "digest_mismatch")


def test_the_gate_names_every_other_reason(world, engineer, api):
    factories.add_members(2)
    registered = factories.register(engineer)
    assert code_of(gate(api, registered)) == (409, "manifest_not_ready")
    unverified = factories.freeze(engineer, verified=False).run
    assert code_of(gate(api, unverified)) == (409, "manifest_not_ready")
    done = factories.complete(factories.freeze(engineer).run, engineer)
    assert code_of(gate(api, done)) == (409, "run_completed")
    assert api.get("/api/v1/runs/TR-2026-999999/gate").status_code == 404


def test_the_gate_costs_few_queries(run, engineer, api, django_assert_max_num_queries):
    factories.deliver(run, engineer)
    gate(api, run)
    with django_assert_max_num_queries(7):
        gate(api, run)


def test_an_erasure_ends_no_training_and_is_no_late_use(run, engineer, officer, post):
    """The list is gone at once; the member is among those who have withdrawn."""
    delivery = factories.training(run, engineer)
    accounts.erase_member(account_ref="acc-1", actor=officer, reason="test")
    delivery.refresh_from_db()
    assert delivery.state == "cancelled"

    assert post(f"runs/{run.reference}/heartbeat").status_code == 200

    assert not Finding.objects.exists()


def test_completing_after_the_lease_is_a_finding(run, engineer, api, post, time_machine):
    delivery = factories.training(run, engineer)
    factories.send_receipt(factories.registered_runner(engineer), delivery, engineer)
    time_machine.move_to(delivery.leased_until + dt.timedelta(days=1))
    api.force_login(engineer)

    post(f"runs/{run.reference}/complete")

    kinds = {(one.kind, one.detail.get("how")) for one in Finding.objects.all()}
    assert (FindingKind.LEASE_OVER, "completion") in kinds


def test_a_renewal_alone_does_not_go_on_with_the_old_list(
    run, engineer, product, api, post, time_machine
):
    """The members who left are in the data that the training holds, until it says that it knows them."""
    old = factories.training(run, engineer)
    factories.decide("acc-1", "deny", actor=product)
    time_machine.move_to(old.leased_until - dt.timedelta(minutes=1))
    renewed = factories.made(requesting.renew(delivery=old, actor=engineer)[0])
    api.force_login(engineer)
    # Until the lease of the list that it holds ends, it may.
    assert post(f"runs/{run.reference}/heartbeat").status_code == 200
    time_machine.move_to(old.leased_until + dt.timedelta(minutes=1))
    assert code_of(post(f"runs/{run.reference}/heartbeat")) == (409, "lease_over")
    assert "acknowledge" in post(f"runs/{run.reference}/heartbeat").json()["detail"]

    withdrawn = api.get(f"/api/v1/runs/{run.reference}/withdrawn").json()
    post(f"runs/{run.reference}/withdrawn/acknowledgements", {"digest": withdrawn["digest"]})

    assert post(f"runs/{run.reference}/heartbeat").status_code == 200
    time_machine.move_to(renewed.leased_until + dt.timedelta(minutes=1))
    api.force_login(engineer)
    assert code_of(post(f"runs/{run.reference}/heartbeat")) == (409, "lease_over")


def test_an_acknowledgement_from_before_the_renewal_does_not_go_on_with_the_old_list(
    run, engineer, product, api, post, time_machine
):
    old = factories.training(run, engineer)
    withdrawn = api.get(f"/api/v1/runs/{run.reference}/withdrawn").json()
    post(f"runs/{run.reference}/withdrawn/acknowledgements", {"digest": withdrawn["digest"]})
    factories.decide("acc-1", "deny", actor=product)
    time_machine.move_to(old.leased_until - dt.timedelta(minutes=1))
    factories.made(requesting.renew(delivery=old, actor=engineer)[0])
    time_machine.move_to(old.leased_until + dt.timedelta(minutes=1))
    api.force_login(engineer)

    assert code_of(post(f"runs/{run.reference}/heartbeat")) == (409, "lease_over")


def test_a_receipt_of_the_renewed_delivery_goes_on(run, engineer, product, api, post, time_machine):
    old = factories.training(run, engineer)
    factories.decide("acc-1", "deny", actor=product)
    time_machine.move_to(old.leased_until - dt.timedelta(minutes=1))
    renewed = factories.made(requesting.renew(delivery=old, actor=engineer)[0])
    factories.send_receipt(factories.registered_runner(engineer), renewed, engineer)
    time_machine.move_to(old.leased_until + dt.timedelta(minutes=1))
    api.force_login(engineer)

    assert post(f"runs/{run.reference}/heartbeat").status_code == 200


def test_a_training_on_the_list_of_a_recipient_lasts_as_long_as_that(
    run, engineer, administrator, post
):
    processor = recipients.record(
        actor=administrator, name="trainer", title="Trainer Ltd", kind="processor", country="IE"
    )
    given = factories.deliver(run, engineer, recipient=processor)
    assert post(f"runs/{run.reference}/training", {"delivery": given.reference}).status_code == 200

    assert post(f"runs/{run.reference}/heartbeat").status_code == 200


def test_what_a_recipient_was_given_opens_nothing_for_the_runs_own_training(
    run, engineer, administrator, api, post
):
    affiliate = recipients.record(
        actor=administrator, name="affiliate", title="Affiliate Ltd", kind="affiliate", country="IE"
    )
    factories.deliver(run, engineer, recipient=affiliate)

    gate = api.get(f"/api/v1/runs/{run.reference}/gate")
    led = api.get(f"/api/v1/runs/{run.reference}/manifest/members.parquet")

    assert code_of(gate) == code_of(led) == (409, "no_valid_delivery")
    assert code_of(post(f"runs/{run.reference}/training")) == (409, "no_valid_delivery")
    assert recipients.names_for(run.purpose) == ["Affiliate Ltd"]


def test_a_file_says_how_many_have_a_first_day_and_where_its_proof_is(run, engineer, api):
    factories.add_member("young", adult_on=dt.date(2025, 5, 6))
    child = factories.freeze(engineer).run
    delivery = factories.deliver(child, engineer)
    signing.sign_now()

    said = api.get(f"/api/v1/deliveries/{delivery.reference}").json()
    file = api.get(f"/api/v1/deliveries/{delivery.reference}/files/members.parquet")

    assert file.status_code == 200
    assert file["Members-With-Use-From"] == "1"
    proof = f"/api/v1/runs/{child.reference}/entries/{said['entry']}/proof"
    assert file["Link"] == f'<{proof}>; rel="describedby"; type="text/plain"'
    assert api.get(proof).text.startswith("c2sp.org/tlog-proof@v1")
    assert Entry.objects.get(pk=said["entry"]).kind == "delivery.made"


def test_the_team_of_a_recipient_fetches_what_it_was_given(
    run, engineer, second_engineer, administrator, client_of
):
    colleagues = teams.create(name="others", responsible=second_engineer, actor="test")
    others = recipients.record(
        actor=administrator, name="others", title="Others", kind="team", team=colleagues
    )
    given = factories.deliver(run, engineer, recipient=others)
    own = factories.deliver(run, engineer)
    client = client_of(second_engineer)

    answers = [
        client.get(f"/api/v1/deliveries/{one.reference}/files/members.parquet").status_code
        for one in (given, own)
    ]

    assert answers == [200, 403]


def test_the_gate_finds_a_valid_delivery_behind_many_that_ended(run, engineer, api):
    valid = factories.deliver(run, engineer)
    for _ in range(11):
        other = factories.deliver(run, engineer, form="set")
        ending.cancel(delivery=other, reason="test", actor=engineer)

    answer = api.get(f"/api/v1/runs/{run.reference}/gate")

    assert (answer.status_code, answer.json()["delivery"]) == (200, valid.reference)


def test_a_renewal_that_came_to_nothing_is_asked_for_again(run, engineer):
    first = factories.deliver(run, engineer)
    renewal, _ = requesting.renew(delivery=first, actor=engineer)
    ending.cancel(delivery=renewal, reason="test", actor=engineer)

    again, is_new = requesting.renew(delivery=first, actor=engineer)

    assert is_new and again.pk != renewal.pk and again.renews == first
    assert factories.made(again).state == "delivered"
    first.refresh_from_db()
    assert first.state == "replaced"


def test_a_waiver_of_a_training_that_failed_completes_no_later_one(run, engineer, officer, post):
    factories.training(run, engineer)
    waiver, _ = waivers.ask(run=run, reasons="There is no receipt of this run.", actor=engineer)
    waivers.decide(waiver=waiver, approve=True, decision="Checked by hand.", actor=officer)
    starting.fail(run=Run.objects.get(pk=run.pk), actor=engineer, reason="out of memory")
    starting.begin(run=Run.objects.get(pk=run.pk), actor=engineer)

    assert code_of(post(f"runs/{run.reference}/complete")) == (409, "receipt_missing")
