"""Current state is the last of its history, and every piece of history has an entry and an actor."""

import random

import pytest
from django.apps import apps
from django.db import connection, transaction
from django.db.models import F

from consent.models import Decision
from ledger import entries
from ledger.errors import AppendOnlyViolation, LedgerError, NoOpenEntry
from ledger.models import Entry, LedgerHistory, Sealed, Tracked
from ledger.verification.verifying import verify_ledger
from objections.models import Objection, Ticket
from tools import factories
from training_runs.models import Run
from training_runs.runs import freezing, verifying
from training_runs.runs import registering as runs


def _models(base: type) -> list[type]:
    return [model for model in apps.get_models() if issubclass(model, base)]


TRACKED, HISTORY, SEALED = _models(Tracked), _models(LedgerHistory), _models(Sealed)


def _live(officer, second_officer, engineer, product) -> None:
    """Sixty acts of every kind, in an order of chance."""
    chance = random.Random(8)
    factories.open_world(officer, second_officer)
    factories.add_members(20)
    factories.live(factories.freeze(engineer).run, engineer, officer, second_officer, product)
    open_runs, tickets = [], [factories.objection()]

    def decide():
        factories.decide(
            f"acc-{chance.randrange(20)}", chance.choice(["allow", "deny"]), actor=product
        )

    def register():
        open_runs.append(factories.register(engineer))

    def rename():
        if open_runs:
            run = Run.objects.get(pk=chance.choice(open_runs).pk)
            runs.rename(run=run, title=f"no {chance.random()}", version=run.version, actor=engineer)

    def freeze():
        if open_runs:
            run = runs.start(run=open_runs.pop(), actor=engineer)
            verifying.verify(freezing.freeze(run.pk))

    def cancel():
        if open_runs:
            runs.cancel(run=open_runs.pop(), actor=engineer, reason="test")

    def receive():
        tickets.append(factories.objection(f"acc-{chance.randrange(20)}"))

    def settle():
        if tickets and chance.random() < 1 / 2:
            factories.uphold(tickets.pop(), officer)
        elif tickets:
            factories.send_letters(factories.withdraw(tickets.pop(), officer, second_officer))

    incident, *_ = factories.late(factories.freeze(engineer).run)
    factories.assessed(incident, officer, second_officer)
    for _ in range(60):
        chance.choice([decide, register, rename, freeze, cancel, receive, settle])()


@pytest.mark.django_db(transaction=True)
def test_current_state_is_the_last_of_its_history(officer, second_officer, engineer, product):
    _live(officer, second_officer, engineer, product)

    for model in TRACKED:
        names = [field.attname for field in model._meta.concrete_fields]
        last = {}
        for row in model.history.model.objects.order_by("history_id").values(*names):
            last[row["id"]] = row
        assert last != {}, model
        assert {row["id"]: row for row in model.objects.values(*names)} == last
    assert verify_ledger().problems == []


@pytest.mark.django_db(transaction=True)
def test_every_piece_of_history_has_an_entry_and_an_actor(
    officer, second_officer, engineer, product
):
    _live(officer, second_officer, engineer, product)

    for model in HISTORY:
        rows = model.objects.select_related("entry")
        assert rows.exists(), model
        assert not rows.filter(entry=None).exists()
        assert not rows.filter(entry__actor_name="").exists()
        # The history's own user is the entry's, also where that is an actor without an account.
        assert (
            not rows.exclude(history_user_id=F("entry__actor_id"))
            .exclude(history_user_id=None, entry__actor=None)
            .exists()
        )


def test_there_is_no_tracked_or_sealed_model_this_file_does_not_know_how_to_judge():
    assert {model.__name__ for model in TRACKED} >= {"Member", "Objection", "Run", "Ticket"}
    assert {model.__name__ for model in HISTORY} == {f"Historical{m.__name__}" for m in TRACKED}
    assert all(hasattr(model, "history") for model in TRACKED)


# --- Outside an entry ---------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("model", [*TRACKED, *SEALED], ids=lambda model: model.__name__)
def test_saving_outside_an_entry_is_an_error_and_leaves_nothing(model):
    # In autocommit a row would be there for good the moment it is written.
    assert not connection.in_atomic_block

    row = Objection(ticket=Ticket()) if model is Objection else model()
    with pytest.raises(NoOpenEntry):
        row.save()

    assert not model._base_manager.exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("in_transaction", [False, True])
def test_changing_a_tracked_row_outside_an_entry_changes_nothing(in_transaction, engineer):
    run = factories.register(engineer)
    run.title = "changed"

    with pytest.raises(NoOpenEntry):
        if in_transaction:
            with transaction.atomic():
                run.save()
        else:
            run.save()

    assert Run.objects.get(pk=run.pk).title == ""
    assert run.history.count() == 1


@pytest.mark.django_db
def test_saving_some_fields_only_is_refused(engineer):
    run = factories.register(engineer)

    with entries.entry("test.act", actor="test"), pytest.raises(LedgerError):
        run.save(update_fields=["title"])


@pytest.mark.django_db
@pytest.mark.parametrize("model", TRACKED, ids=lambda model: model.__name__)
@pytest.mark.parametrize(
    "act",
    [
        pytest.param(lambda rows: rows.update(pk=1), id="update"),
        pytest.param(lambda rows: rows.delete(), id="delete"),
        pytest.param(lambda rows: rows.bulk_create([rows.model()]), id="bulk_create"),
        pytest.param(lambda rows: rows.bulk_update([], ["pk"]), id="bulk_update"),
        pytest.param(lambda rows: rows.update_or_create(pk=1), id="update_or_create"),
        pytest.param(lambda rows: rows.model(pk=1).delete(), id="delete one"),
    ],
)
def test_what_would_leave_no_history_is_refused(model, act):
    with pytest.raises(AppendOnlyViolation):
        act(model.objects.all())


@pytest.mark.django_db
@pytest.mark.parametrize("model", [*SEALED, Entry, *HISTORY], ids=lambda model: model.__name__)
@pytest.mark.parametrize(
    "act",
    [
        pytest.param(lambda rows: rows.update(pk=1), id="update"),
        pytest.param(lambda rows: rows.delete(), id="delete"),
        pytest.param(lambda rows: rows.bulk_update([], ["pk"]), id="bulk_update"),
        pytest.param(lambda rows: rows.update_or_create(pk=1), id="update_or_create"),
        pytest.param(lambda rows: rows.model(pk=1).delete(), id="delete one"),
    ],
)
def test_what_is_append_only_cannot_be_changed_in_python(model, act):
    with pytest.raises(AppendOnlyViolation):
        act(model.objects.all())


@pytest.mark.django_db
def test_an_append_only_row_is_saved_once(product):
    factories.add_members(1)
    factories.decide("acc-0", "deny", actor=product)
    decision = Decision.objects.get()
    decision.choice = "allow"

    with entries.entry("test.act", actor="test"), pytest.raises(AppendOnlyViolation):
        decision.save()

    assert Decision.objects.get().choice == "deny"
