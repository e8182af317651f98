import pytest
from django.db import connection

from consent.models import AccountReference, Census, Consent
from portal.append_only import guard_sql, guarded_models, unguard_sql
from portal.verification import verify_ledger
from tools.factories import add_members, decide, open_world, register


@pytest.fixture
def ledger_with_history(officer, second_officer, engineer, product):
    """Entries of every kind, by every role."""
    open_world(officer, second_officer)
    add_members(5)
    decide("acc-1", "deny", actor=product)
    decide("acc-1", "allow", actor=product)
    register(engineer)


def behind_the_portal(sql, table):
    """What somebody with the database's password could do."""
    with connection.cursor() as cursor:
        for statement in unguard_sql(
            connection.vendor, table, guarded_models().get(table, "append-only")
        ):
            cursor.execute(statement)
        cursor.execute(sql)
        if table in guarded_models():
            for statement in guard_sql(connection.vendor, table, guarded_models()[table]):
                cursor.execute(statement)


def test_untouched_ledger_verifies(ledger_with_history):
    report = verify_ledger()

    assert report.problems == []
    assert report.size > 10


@pytest.mark.parametrize(
    ("table", "sql"),
    [
        ("consent_decision", "UPDATE consent_decision SET choice = 'allow' WHERE choice = 'deny'"),
        ("consent_regionrule", "UPDATE consent_regionrule SET source = 'nobody'"),
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
        ("portal_entry", "UPDATE portal_entry SET reason = 'another' WHERE sequence = 2"),
        ("portal_entry", "UPDATE portal_entry SET actor_name = 'somebody' WHERE sequence = 2"),
        ("portal_ledgerhead", "UPDATE portal_ledgerhead SET size = size - 1"),
        ("portal_ledgerhead", "UPDATE portal_ledgerhead SET frontier = ''"),
    ],
)
@pytest.mark.django_db(transaction=True)
def test_row_changed_behind_the_portal_is_found(ledger_with_history, table, sql):
    behind_the_portal(sql, table)

    assert verify_ledger().problems


def test_swapped_account_references_are_found(ledger_with_history):
    one, other = AccountReference.objects.order_by("pk")[:2]
    one_ref, other_ref = one.account_ref, other.account_ref
    AccountReference.objects.filter(pk=one.pk).update(account_ref="elsewhere")
    AccountReference.objects.filter(pk=other.pk).update(account_ref=one_ref)
    AccountReference.objects.filter(pk=one.pk).update(account_ref=other_ref)

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
