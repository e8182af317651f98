import time

import pytest
from django.db import connection

from consent.models import AccountReference, Census, Consent
from ledger import entries
from ledger.checkpoints import signing
from ledger.verification import leaves, verifying
from ledger.verification.verifying import Report, verify_ledger
from tools.factories import add_members, decide, open_world, register
from tools.outside import behind_the_back


@pytest.fixture
def ledger_with_history(officer, second_officer, engineer, product):
    """Entries of every kind, by every role."""
    open_world(officer, second_officer)
    add_members(5)
    decide("acc-1", "deny", actor=product)
    decide("acc-1", "allow", actor=product)
    register(engineer)


@pytest.mark.parametrize(
    ("table", "sql"),
    [
        ("consent_decision", "UPDATE consent_decision SET choice = 'allow' WHERE choice = 'deny'"),
        ("consent_regionrule", "UPDATE consent_regionrule SET source = 'altered'"),
        (
            "consent_historicalmember",
            "UPDATE consent_historicalmember SET country = 'CA' WHERE id = 3",
        ),
        ("consent_historicalmember", "DELETE FROM consent_historicalmember WHERE id = 3"),
        (
            "consent_historicalmember",
            "UPDATE consent_historicalmember SET entry_id = 1000 WHERE id = 3",
        ),
        ("consent_member", "UPDATE consent_member SET country = 'CA' WHERE id = 3"),
        ("consent_consent", "UPDATE consent_consent SET choice = 'deny'"),
        ("consent_consent", "DELETE FROM consent_consent"),
        ("consent_census", "UPDATE consent_census SET total = total + 1"),
        ("ledger_entry", "UPDATE ledger_entry SET reason = 'another' WHERE sequence = 2"),
        ("ledger_entry", "UPDATE ledger_entry SET actor_name = 'another' WHERE sequence = 2"),
        ("ledger_ledgerhead", "UPDATE ledger_ledgerhead SET size = size - 1"),
        ("ledger_ledgerhead", "UPDATE ledger_ledgerhead SET frontier = ''"),
    ],
)
@pytest.mark.django_db(transaction=True)
def test_row_changed_behind_the_portal_is_found(ledger_with_history, table, sql):
    behind_the_back(table, sql)

    assert verify_ledger().problems


@pytest.mark.django_db(transaction=True)
def test_swapped_account_references_are_found(ledger_with_history):
    one, other = AccountReference.objects.order_by("pk")[:2]
    table = AccountReference._meta.db_table
    behind_the_back(
        table,
        f"UPDATE {table} SET account_ref = CASE member_id"
        f" WHEN {one.pk} THEN '{other.account_ref}' ELSE '{one.account_ref}' END"
        f" WHERE member_id IN ({one.pk}, {other.pk})",
    )

    assert verify_ledger().problems == [
        f"The account reference of member {number} is not the one that was sealed."
        for number in (one.pk, other.pk)
    ]


def test_choice_that_no_decision_made_is_found(ledger_with_history):
    row = Consent.objects.filter(choice="allow").get()
    row.choice = "deny"
    row.save()

    assert verify_ledger().problems == [
        f"The choice of member {row.member_id} for {row.purpose} is not what the decisions say."
    ]


def test_wrong_census_is_found(ledger_with_history):
    Census.objects.update(complete=0)

    (problem,) = verify_ledger().problems
    assert "the census says" in problem.lower()


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_a_long_ledger_is_recomputed_by_several_processes_to_the_same_root(monkeypatch):
    monkeypatch.setattr(leaves, "PIECE", 64)
    monkeypatch.setattr(verifying, "PIECE", 64)
    for number in range(300):
        with entries.entry("test.act", actor="test", subject=f"test:{number}"):
            pass
    alone = Report()
    verifying._verify(alone, lambda done: None, in_processes=False)
    seen = []

    together = verify_ledger(progress=seen.append)

    assert together == alone
    assert (together.problems, together.root) == ([], entries.read_head().root)
    assert seen == [64, 128, 192, 256, 300]


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("UPDATE ledger_entry SET reason = 'x' WHERE sequence = 200", "Entry 200 (test.act) or"),
        ("DELETE FROM ledger_entry WHERE sequence = 200", "Entry 200 is missing."),
    ],
)
def test_what_was_changed_in_one_piece_of_a_long_ledger_is_found(monkeypatch, statement, problem):
    monkeypatch.setattr(leaves, "PIECE", 64)
    monkeypatch.setattr(verifying, "PIECE", 64)
    for _ in range(300):
        with entries.entry("test.act", actor="test"):
            pass
    behind_the_back("ledger_entry", statement)

    assert verify_ledger().problems[0].startswith(problem)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("sequence", [0, 1_000_000_000])
def test_an_entry_outside_of_the_ledgers_numbers_is_found(ledger_with_history, sequence):
    behind_the_back(
        "ledger_entry",
        "INSERT INTO ledger_entry (sequence, kind, actor_name, subject, reason, recorded_at, credential, leaf)"
        f" SELECT {sequence}, kind, actor_name, subject, reason, recorded_at, credential, leaf FROM ledger_entry"
        " WHERE sequence = 1",
    )

    assert any(f"There is an entry {sequence}," in problem for problem in verify_ledger().problems)


@pytest.mark.django_db(transaction=True)
def test_rows_of_no_entry_are_found_and_not_counted(ledger_with_history):
    # The history of members has no foreign key to the entry.
    behind_the_back(
        "consent_historicalmember",
        "INSERT INTO consent_historicalmember (id, country, country_given, adult_on, adult_at, status,"
        " reference_seal, history_date, history_type, entry_id)"
        " SELECT id, country, country_given, adult_on, adult_at, status, reference_seal, history_date,"
        " history_type, 0 FROM consent_historicalmember WHERE id = 1",
    )

    assert any("rows of entry 0" in problem for problem in verify_ledger().problems)


@pytest.mark.django_db(transaction=True)
def test_a_checkpoint_over_more_than_there_is_is_found(ledger_with_history):
    signed = signing.sign_now()
    behind_the_back(
        "ledger_checkpoint",
        "INSERT INTO ledger_checkpoint (size, root, frontier, note, signed_at)"
        " SELECT size + 1000, root, frontier, note, signed_at FROM ledger_checkpoint",
    )

    assert verify_ledger().problems == [
        f"There is a checkpoint of {signed.size + 1000} entries, and the ledger has {signed.size}."
    ]


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite ends no idle transaction")
def test_a_ledger_that_takes_longer_than_a_transaction_may_idle_is_recomputed(monkeypatch):
    monkeypatch.setattr(leaves, "PIECE", 64)
    monkeypatch.setattr(verifying, "PIECE", 64)
    for _ in range(300):
        with entries.entry("test.act", actor="test"):
            pass
    seen = []

    def slowly(size):
        if not seen:
            # Meanwhile another process writes.
            with entries.entry("test.act", actor="test"):
                pass
            time.sleep(3.5)
        seen.append(size)

    with connection.cursor() as cursor:
        cursor.execute("SET idle_in_transaction_session_timeout = '3s'")
    try:
        report = verify_ledger(progress=slowly)
    finally:
        connection.close()

    assert (report.problems, report.size, seen[-1]) == ([], 300, 300)
