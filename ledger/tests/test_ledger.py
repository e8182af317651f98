"""One ledger, one order: gap-free, all or nothing, and a leaf that covers every row."""

import datetime as dt
import json
import threading

import pytest
from django.db import connection, transaction

from consent import members
from consent.models import AccountReference, Decision, Member
from ledger import entries, open_entry, sealing
from ledger.append_only import guard_sql, guarded_models, unguard_sql
from ledger.errors import LedgerError, NoOpenEntry
from ledger.merkle.tree import leaf_hash, root_of
from ledger.models import Entry, LedgerHead
from ledger.verification.verifying import verify_ledger
from tools import factories

THREADS, EACH = 8, 20


@pytest.mark.django_db(transaction=True)
def test_eight_writers_at_once_leave_no_gap_and_a_root_that_recomputes(product):
    faults = []

    def write(name: int) -> None:
        try:
            for number in range(EACH):
                factories.decide(f"writer-{name}-{number}", "deny", actor=product)
        except Exception as fault:  # whatever it is, the test must see it
            faults.append(fault)
        finally:
            connection.close()

    threads = [threading.Thread(target=write, args=(name,)) for name in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert faults == []
    rows = list(Entry.objects.order_by("sequence"))
    assert [row.sequence for row in rows] == list(range(1, THREADS * EACH + 1))
    # Times do not run against the order: they are taken under the lock that gives the number.
    times = [row.recorded_at for row in rows]
    assert times == sorted(times)
    assert entries.read_head() == entries.Head(
        len(times), root_of(bytes.fromhex(row.leaf) for row in rows).hex()
    )
    assert verify_ledger().problems == []
    # Member numbers are as dense as entries.
    numbers = sorted(Member.objects.values_list("pk", flat=True))
    assert numbers == list(range(1, THREADS * EACH + 1))


@pytest.mark.django_db
def test_an_entry_says_who_did_what_to_what_and_why(officer):
    with entries.entry("test.act", actor=officer, subject="thing:1", reason="because"):
        pass

    entry = Entry.objects.get()
    assert (entry.sequence, entry.kind, entry.actor, entry.actor_name) == (
        1, "test.act", officer, "olga",
    )  # fmt: skip
    assert (entry.subject, entry.reason) == ("thing:1", "because")


@pytest.mark.django_db
def test_the_name_of_an_actor_stays_when_the_account_is_renamed(officer):
    with entries.entry("test.act", actor=officer):
        pass
    officer.username = "renamed"
    officer.save()

    assert Entry.objects.get().actor_name == "olga"
    assert verify_ledger().problems == []


@pytest.mark.django_db(transaction=True)
def test_an_exception_leaves_nothing_of_an_entry(officer, product):
    before = entries.read_head()

    with pytest.raises(KeyboardInterrupt), entries.entry("test.act", actor=officer):
        members.create([("gone", members.Facts())])
        raise KeyboardInterrupt

    assert entries.read_head() == before
    assert not Entry.objects.exists()
    assert not Member.objects.exists()
    assert not AccountReference.objects.exists()
    # The next one takes the number that was not used.
    factories.decide("next", "deny", actor=product)
    assert [row.sequence for row in Entry.objects.all()] == [1]


@pytest.mark.django_db
def test_entries_do_not_nest(officer):
    with (
        pytest.raises(LedgerError, match="do not nest"),
        entries.entry("test.act", actor=officer),
        entries.entry("test.act", actor=officer),
    ):
        pass

    assert not Entry.objects.exists()
    with pytest.raises(NoOpenEntry):
        open_entry.current()


@pytest.mark.django_db
def test_an_abandoned_entry_takes_no_number(officer):
    with entries.entry("test.act", actor=officer) as opened:
        opened.abandon()

    assert entries.read_head().size == 0


@pytest.mark.django_db(transaction=True)
def test_an_entry_that_wrote_rows_cannot_be_abandoned(officer):
    with pytest.raises(LedgerError), entries.entry("test.act", actor=officer) as opened:
        members.create([("kept", members.Facts())])
        opened.abandon()

    assert not Member.objects.exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(
    connection.vendor == "sqlite", reason="on SQLite a transaction keeps every writer out"
)
def test_a_snapshot_inside_a_transaction_is_refused():
    with transaction.atomic(), pytest.raises(LedgerError), entries.snapshot():
        pass


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(
    connection.vendor == "sqlite", reason="on SQLite no process writes while a snapshot is open"
)
def test_a_snapshot_does_not_move_while_others_write(product):
    def write() -> None:
        factories.decide("while-open", "deny", actor=product)
        connection.close()

    factories.decide("before", "deny", actor=product)
    with entries.snapshot() as head:
        writer = threading.Thread(target=write)
        writer.start()
        writer.join()
        seen = (head.size, entries.read_head().size, Decision.objects.count())

    assert seen == (1, 1, 1)
    assert entries.read_head().size == 2


# --- What a leaf covers -------------------------------------------------------------------------


def _change(table: str, column: str, value: object) -> None:
    """Change one row behind the portal's back."""
    guard = guarded_models()[table]
    with connection.cursor() as cursor:
        for statement in unguard_sql(connection.vendor, table, guard):
            cursor.execute(statement)
        cursor.execute(f'UPDATE {table} SET "{column}" = %s', [value])
        assert cursor.rowcount == 1
        for statement in guard_sql(connection.vendor, table, guard):
            cursor.execute(statement)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("table", "column", "value"),
    [
        ("consent_decision", "choice", "allow"),
        ("consent_decision", "member_id", 2),
        ("consent_decision", "decided_at", dt.datetime(2020, 1, 1, tzinfo=dt.UTC)),
        ("consent_decision", "evidence_only", True),
        ("consent_historicalmember", "country", "US"),
        ("consent_historicalmember", "adult_on", dt.date(1980, 1, 1)),
        ("consent_historicalmember", "reference_seal", "0" * 64),
        ("ledger_entry", "actor_name", "another person"),
        ("ledger_entry", "kind", "something.else"),
        ("ledger_entry", "recorded_at", dt.datetime(2020, 1, 1, tzinfo=dt.UTC)),
        ("ledger_entry", "leaf", "0" * 64),
    ],
)
def test_a_row_changed_behind_the_back_is_not_what_was_sealed(table, column, value, product):
    # One decision of one stranger: an entry, a member's first history row, a decision.
    factories.decide("only", "deny", actor=product)
    assert verify_ledger().problems == []
    value = (
        connection.ops.adapt_datetimefield_value(value) if isinstance(value, dt.datetime) else value
    )

    if column == "member_id":
        with connection.cursor() as cursor:
            # A second member, without history, for the decision to be moved to.
            cursor.execute(
                "INSERT INTO consent_member (id, country, country_given, status, adult_at, reference_seal)"
                " VALUES (2, '', '', 'unknown', 18, '')"
            )
    _change(table, column, value)

    assert "Entry 1 (" in " ".join(verify_ledger().problems)


@pytest.mark.django_db(transaction=True)
def test_a_head_that_claims_another_root_is_found(product):
    factories.decide("only", "deny", actor=product)

    LedgerHead.objects.update(frontier="00" * 32)

    assert verify_ledger().problems != []


@pytest.mark.django_db
def test_column_without_a_value_is_no_part_of_the_leaf(officer):
    """What lets a sealed table grow: a column added later is null in the rows that were there before."""
    number = factories.add_members(1)[0]
    model = Member.history.model
    row = model.objects.filter(id=number).values_list(*sealing.sealed_columns(model)).get()

    entry = Entry.objects.latest("sequence")
    sealed = json.loads(sealing.entry_bytes(entry, {"consent.historicalmember": [row]}))

    columns = sealed["rows"]["consent.historicalmember"]["columns"]
    assert set(sealing.sealed_columns(model)) - set(columns) == {"history_change_reason"}
    assert (
        leaf_hash(sealing.entry_bytes(entry, {"consent.historicalmember": [row]})).hex()
        == entry.leaf
    )
