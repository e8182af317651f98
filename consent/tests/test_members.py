"""Writing members: dense numbers, seals, history, the census, and erasing."""

import datetime as dt
import io
import sys

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from consent import accounts, members
from consent.members import Facts
from consent.models import AccountReference, Census, Consent, Member, Suppression
from ledger import entries
from ledger.errors import LedgerError, NoOpenEntry, NotFound
from ledger.models import Entry
from ledger.verification import verifying
from tools.factories import add_member, add_members, decide

pytestmark = pytest.mark.django_db

KNOWN = Facts("US", "", dt.date(2008, 1, 1), "open")


def tables_holding(text):
    """Every table that holds the text somewhere, in clear."""
    found = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT * FROM "{table}"')
            if text in str(cursor.fetchall()):
                found.append(table)
    return found


def test_numbers_are_dense_in_the_order_given():
    assert add_members(3) == [1, 2, 3]
    assert add_members(2, prefix="more") == [4, 5]


def test_members_are_written_inside_an_entry_only():
    with pytest.raises(NoOpenEntry):
        members.create([("a1", KNOWN)])

    assert Member.objects.count() == 0


@pytest.mark.parametrize("odd", ["tab\tback\\slash", "\\N", "ümlaut 名", 'quo"te', "new\nline"])
def test_odd_texts_are_stored_as_they_are(odd):
    with entries.entry("test.act", actor="test"):
        members.create([(odd, Facts("", odd[:20], None, "open"))])

    assert members.known([odd])[odd].facts == Facts("", odd[:20], None, "open")
    assert verifying.verify_ledger().problems == []


def test_thousands_at_once_are_each_stored_as_given_with_their_history():
    given = {f"a{n}": Facts("", f"{n}\n\t\\N", None, "open") for n in range(4_001)}

    with entries.entry("test.act", actor="test"):
        members.create(list(given.items()))

    assert {ref: found.facts for ref, found in members.known(list(given)).items()} == given
    shared = ("id", "country_given", "reference_seal")
    assert list(Member.history.order_by("id").values_list(*shared, "history_type", "entry_id")) == [
        (*row, "+", 1) for row in Member.objects.order_by("id").values_list(*shared)
    ]


def test_known_finds_those_that_are_there():
    add_member("a1")

    assert members.known(["a1", "a2"]).keys() == {"a1"}
    assert members.known([]) == {}


def test_changed_facts_move_the_member_its_history_and_the_census():
    number = add_member("a1")
    member = Member.objects.get(pk=number)

    with entries.entry("test.act", actor="test"):
        members.change([(member, KNOWN._replace(country="", country_given="ZZ"))])

    stored = Member.objects.get(pk=number)
    assert (
        members.facts_of(stored)
        == members.facts_of(member)
        == ("", "ZZ", KNOWN.adult_on, "open", 18)
    )
    assert list(member.history.order_by("entry_id").values_list("country", "history_type")) == [
        ("US", "+"), ("", "~"),
    ]  # fmt: skip
    census = Census.objects.get()
    assert (census.total, census.complete) == (1, 0)
    assert verifying.verify_ledger().problems == []


# --- Erasing ------------------------------------------------------------------------------------


def test_erasing_leaves_a_number_and_a_keyed_hash(product):
    number = add_member("erase-me")
    decide("erase-me", "deny", actor=product)

    accounts.erase_member(account_ref="erase-me", actor="test", reason="asked for")

    member = Member.objects.get(pk=number)
    assert member.status == "erased"
    assert AccountReference.objects.count() == 0
    assert Suppression.objects.get().account_hash == members.suppression_hash("erase-me")
    assert Consent.objects.get(member=member).choice == "deny"
    assert tables_holding("erase-me") == []
    assert (Entry.objects.first().kind, Entry.objects.first().subject) == (
        "member.erased", f"member:{number}",
    )  # fmt: skip
    assert Census.objects.get().complete == 0
    assert verifying.verify_ledger().problems == []


def test_an_erased_member_stays_as_it_is():
    member = Member.objects.get(pk=add_member("a1"))
    accounts.erase_member(account_ref="a1", actor="test", reason="asked for")
    member.refresh_from_db()

    with pytest.raises(LedgerError), entries.entry("test.act", actor="test"):
        members.change([(member, KNOWN)])

    assert Member.objects.get().status == "erased"


def test_erasing_an_unknown_account_is_refused_without_repeating_the_reference():
    with pytest.raises(NotFound) as refusal:
        accounts.erase_member(account_ref="acc-unknown", actor="test", reason="asked for")

    assert "acc-unknown" not in str(refusal.value)
    assert Entry.objects.count() == 0


@pytest.fixture
def erase(monkeypatch):
    """Run the command with this on standard input."""

    def erase(typed, *options):
        out = io.StringIO()
        monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
        call_command("erase_member", *options, stdout=out)
        return out.getvalue()

    return erase


def test_the_command_erases_who_is_named_on_standard_input(erase, officer):
    number = add_member("erase-me")

    words = erase("erase-me\n", "--reason", "asked by letter", "--by", "olga", "--yes")

    assert words == f"Erased: member {number} is out of every run from now on.\n"
    entry = Entry.objects.first()
    assert (entry.actor_name, entry.reason) == ("olga", "asked by letter")


@pytest.mark.parametrize(
    ("typed", "options", "message"),
    [
        ("erase-me\n", ["--reason", "asked"], "There is no terminal to confirm on: pass --yes."),
        ("erase-me\n", ["--reason", " ", "--yes"], "Say why."),
        ("erase-me\n", ["--reason", "erase-me asked", "--yes"], "The reason holds the account_ref"),
        ("unknown\n", ["--reason", "asked", "--yes"], "No member has this account_ref."),
        ("", ["--reason", "asked", "--yes"], "No member has this account_ref."),
        ("erase-me\n", ["--yes"], "--reason"),
    ],
)
def test_the_command_refuses_what_is_not_clear(erase, officer, typed, options, message):
    add_member("erase-me")

    with pytest.raises(CommandError, match=message):
        erase(typed, "--by", "olga", *options)

    assert Member.objects.get().status == "open"
