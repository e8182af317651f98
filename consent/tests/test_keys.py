"""One account, however its reference is spelt: at every door, in every import, in what is kept and handed out."""

import csv
import json

import pytest
from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.urls import reverse

from consent import accounts, decisions, members
from consent.imports import importing
from consent.models import AccountReference, Census, Consent, Decision, Member
from consent.references import key_of
from ledger.errors import NotFound
from ledger.models import AccessRecord, Entry
from ledger.verification import verifying
from objections.models import Objection
from tools.factories import add_member, add_members, decide, objection
from tools.outside import behind_the_back

pytestmark = pytest.mark.django_db

HEADER = "account_ref,country,adult_on,status"
# The file's spelling, and another one that a person cannot tell from it.
SPELLINGS = [
    ("cafe\u0301-member-1", "caf\u00e9-member-1"),
    ("two  blanks-member", "two blanks-member"),
    ("\u2126-ohm-member", "\u03a9-ohm-member"),
    ("no\u00a0break-member", "no break-member"),
    ("zero\u200bwidth-member", "zerowidth-member"),
    (" padded-member ", "padded-member"),
    ("soft\u00adhyphen-member", "softhyphen-member"),
    ("ideographic\u3000blank", " ideographic blank"),
    ("e\u200d\u0301tat-member", "\u00e9tat-member"),
]


def written(tmp_path, *lines, name="members.csv"):
    path = tmp_path / name
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([HEADER.split(","), *(line.split(",") for line in lines)])
    return path


def run(path, **options):
    rejects = []
    summary = importing.import_members(path=path, actor="test", on_reject=rejects.append, **options)
    ignored = ("read", "ignored_columns", "warnings")
    return {k: v for k, v in vars(summary).items() if v and k not in ignored}, rejects


def eligible(ref, country="US"):
    return f"{ref},{country},1990-01-01,open"


# --- The key ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("filed", "typed"), SPELLINGS)
def test_a_key_is_the_same_for_every_spelling_and_is_its_own_key(filed, typed):
    assert key_of(filed) == key_of(typed) == key_of(key_of(filed))


@pytest.mark.parametrize("other", ["Acc-1", "acc-1x", "acc-\u0661", "acc\u20101", "acc 1"])
def test_case_and_other_letters_make_another_account(other):
    assert key_of(other) != key_of("acc-1")


# --- Doors --------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_swapped", [False, True])
@pytest.mark.parametrize(("filed", "typed"), SPELLINGS)
def test_a_deny_and_an_objection_in_any_spelling_keep_the_account_of_the_file_out(
    tmp_path, product, filed, typed, is_swapped
):
    if is_swapped:
        filed, typed = typed.strip(), filed
    run(written(tmp_path, eligible(filed)))

    for spelling in (filed, typed):
        answer = decide(spelling, "deny", actor=product)
        assert answer.account_known
        ticket = objection(spelling, is_vouched=False)
        assert ticket.member == Member.objects.get()

    assert Consent.objects.get().choice == "deny"
    reference = AccountReference.objects.get()
    # The list carries the file's own bytes, and the seal covers them.
    assert reference.account_ref == filed
    assert members.seal(reference.salt, filed) == reference.member.reference_seal
    assert verifying.verify_ledger().problems == []


@pytest.mark.parametrize(("filed", "typed"), SPELLINGS)
def test_an_erased_account_comes_back_in_no_spelling(tmp_path, product, filed, typed):
    run(written(tmp_path, eligible(filed)))
    accounts.erase_member(account_ref=typed, actor="test", reason="asked for")

    for spelling in (filed, typed):
        counts, _ = run(written(tmp_path, eligible(spelling)))
        assert counts == {"erased": 1}
        with pytest.raises(decisions.AccountErased):
            decide(spelling, "allow", actor=product)

    assert Member.objects.exclude(status="erased").count() == 0


def test_the_api_finds_and_links_and_replays_an_account_in_any_spelling(client_of, product):
    number = add_member("cafe\u0301  7")
    api = client_of(product)
    sent = {
        "account_ref": "caf\u00e9 7",
        "purpose": "generative-ai",
        "choice": "deny",
        "channel": "product",
        "source_id": "evt-1",
        "decided_at": "2025-11-03T09:30:00Z",
    }

    first = api.post("/api/v1/decisions", sent, content_type="application/json")
    again = api.post(
        "/api/v1/decisions",
        {**sent, "account_ref": " cafe\u0301\u00a07\u200b"},
        content_type="application/json",
    )
    long = {**sent, "account_ref": "caf\u00e9" + " " * 150 + "7", "source_id": "evt-2"}

    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    assert api.post("/api/v1/decisions", long, content_type="application/json").status_code == 201
    for address in ("/api/v1/members/objections", "/api/v1/members/setting-link"):
        body = {"account_ref": "caf\u00e9\u2003\u20037"}
        assert api.post(address, body, content_type="application/json").status_code in (200, 201)
    assert set(AccessRecord.objects.values_list("subject", flat=True)) == {f"member:{number}"}


def test_a_source_id_repeats_a_reference_in_another_spelling(product):
    with pytest.raises(decisions.InvalidInput, match="repeats"):
        decide("caf\u00e9-2041", "deny", actor=product, source_id="evt-cafe\u0301-2041")


@pytest.mark.parametrize("spelling", ["canary:minor", " canary:minor", "can\u200bary:minor"])
def test_test_accounts_are_refused_in_any_spelling(tmp_path, product, spelling):
    with pytest.raises(decisions.InvalidInput):
        decide(spelling, "allow", actor=product)
    counts, _ = run(written(tmp_path, eligible(spelling)))

    assert counts == {"rejected": 1}
    assert objection(spelling, is_vouched=False).member is None


# --- Accounts heard of before a file names them -------------------------------------------------


def test_the_files_bytes_become_the_reference_of_an_account_heard_of_before(tmp_path, product):
    ticket = objection("caf\u00e9  8", is_vouched=False)
    answer = decide(" caf\u00e9 8", "deny", actor=product)
    assert not answer.account_known
    (before,) = AccountReference.objects.all()
    assert (before.account_ref, before.is_confirmed) == ("caf\u00e9 8", False)

    counts, rejects = run(written(tmp_path, eligible("cafe\u0301 8")))

    assert (counts, rejects) == ({"changed": 1}, [])
    (after,) = AccountReference.objects.all()
    assert (after.account_ref, after.is_confirmed) == ("cafe\u0301 8", True)
    assert after.account_key == before.account_key
    member = Member.objects.get()
    last = Entry.objects.order_by("sequence").last()
    assert member.history.get(entry=last).reference_seal == member.reference_seal
    assert member.reference_seal == members.seal(after.salt, "cafe\u0301 8")
    ticket.refresh_from_db()
    assert (ticket.member, Objection.objects.get().member) == (member, member)
    assert decide("caf\u00e9 8", "deny", actor=product).account_known
    assert verifying.verify_ledger().problems == []


def test_a_file_that_says_nothing_new_confirms_an_account_all_the_same(tmp_path, product):
    decide("acc-9", "deny", actor=product)
    path = written(tmp_path, "acc-9,,,")

    assert run(path)[0] == {"changed": 1, "incomplete": 1}
    assert AccountReference.objects.get().is_confirmed
    assert run(path)[0] == {"unchanged": 1}


# --- Two spellings, and contradictions, in files ------------------------------------------------

FACTS = ["US,1990-01-01,open", "US,1990-01-01,closed", "US,2035-01-01,open", "DE,1990-01-01,open",
         "US,,open", ",1990-01-01,open", "US,1990-01-01,"]  # fmt: skip


@pytest.mark.parametrize("batch_size", [1, 100])
@pytest.mark.parametrize("is_reversed", [False, True])
@pytest.mark.parametrize("stricter", FACTS[1:])
def test_of_two_lines_for_an_account_the_stricter_facts_stand(
    tmp_path, stricter, is_reversed, batch_size
):
    said = [FACTS[0], stricter][:: -1 if is_reversed else 1]
    path = written(tmp_path, *(f"acc-1,{facts}" for facts in said), eligible("acc-2"))

    dry = run(path, batch_size=batch_size, dry_run=True)
    counts, rejects = run(path, batch_size=batch_size)

    assert dry == (counts, rejects)
    assert {k: v for k, v in counts.items() if k != "incomplete"} == {"new": 2, "rejected": 1}
    assert (rejects[0].line, "line 2" in rejects[0].expected) == (3, True)
    facts = members.known(["acc-1"])["acc-1"].facts
    out = not facts.complete or facts.adult_on.year > 2030
    assert out, facts
    # The same file once more moves no member, not even for a moment.
    entries = Entry.objects.count()
    assert run(path, batch_size=batch_size)[0].keys() == {"unchanged", "rejected"}
    assert Entry.objects.count() == entries


@pytest.mark.parametrize("batch_size", [1, 100])
def test_two_spellings_in_a_file_are_one_account_with_the_stricter_facts(tmp_path, batch_size):
    path = written(
        tmp_path, eligible("caf\u00e9"), "cafe\u0301,US,1990-01-01,closed", eligible(" caf\u00e9")
    )

    counts, rejects = run(path, batch_size=batch_size)

    assert counts == {"new": 1, "rejected": 2}
    assert [reject.line for reject in rejects] == [3, 4]
    assert all("line 2" in reject.expected and not reject.value for reject in rejects)
    assert AccountReference.objects.get().account_ref == "caf\u00e9"
    assert Member.objects.get().status == "closed"


@pytest.mark.parametrize("batch_size", [1, 100])
def test_another_spelling_than_a_file_confirmed_can_exclude_and_never_admit(tmp_path, batch_size):
    run(written(tmp_path, eligible("caf\u00e9"), "two  blanks,US,1990-01-01,closed"))
    path = written(tmp_path, "cafe\u0301,US,1990-01-01,closed", eligible("two blanks"))

    counts, rejects = run(path, batch_size=batch_size)

    assert counts == {"rejected": 2}
    assert ["member 1" in rejects[0].expected, "member 2" in rejects[1].expected] == [True, True]
    assert list(Member.objects.order_by("pk").values_list("status", flat=True)) == ["closed"] * 2
    refs = AccountReference.objects.order_by("pk").values_list("account_ref", flat=True)
    assert list(refs) == ["caf\u00e9", "two  blanks"]
    assert verifying.verify_ledger().problems == []


# --- Too many strangers -------------------------------------------------------------------------


@pytest.fixture
def thousand_known():
    with importing.entries.entry("test.members", actor="test"):
        members.create(
            [(f"{n:06d}", members.Facts("US", "", importing.dt.date(1990, 1, 1), "open"))
             for n in range(1, 1_001)]
        )  # fmt: skip


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_file_with_more_than_a_fifth_of_new_accounts_writes_nothing(
    tmp_path, thousand_known, dry_run
):
    path = written(
        tmp_path,
        *(eligible(f"{n:06d}") for n in range(1, 80)),
        *(eligible(f"new-{n}") for n in range(21)),
    )
    entries = Entry.objects.count()

    with pytest.raises(importing.ImportStopped) as stop:
        run(path, dry_run=dry_run, batch_size=10)
    with pytest.raises(importing.ImportStopped):
        run(path, dry_run=dry_run, expect_new=20)

    assert "21 of the file's 100 accounts are new" in str(stop.value)
    assert "--expect-new 21" in str(stop.value)
    assert "Nothing was imported." in str(stop.value)
    assert Entry.objects.count() == entries
    counts, _ = run(path, dry_run=dry_run, expect_new=21)
    assert counts == {"new": 21, "unchanged": 79}


def test_a_fifth_of_new_accounts_is_an_ordinary_file(tmp_path, thousand_known):
    lines = [eligible(f"{n:06d}") for n in range(1, 81)]
    lines += [eligible(f"new-{n}") for n in range(20)]

    assert run(written(tmp_path, *lines))[0] == {"new": 20, "unchanged": 80}


def test_a_file_that_a_spreadsheet_saved_stops_with_the_lines_it_changed(tmp_path, thousand_known):
    lines = [eligible(str(n)) for n in range(1, 1_001)]

    with pytest.raises(importing.ImportStopped) as stop:
        run(written(tmp_path, *lines))

    assert "1,000 of the file's 1,000 accounts are new" in str(stop.value)
    assert "known with zeros before it: lines 2, 3, 4," in str(stop.value)


def test_a_new_account_that_looks_like_a_spreadsheets_number_is_left_out_and_named(
    tmp_path, thousand_known, settings
):
    settings.IMPORT_MAX_NEW_SHARE = 1
    odd = ["7", "1.23E+15", "12.0", "123456789012345000", "1234567890123450000", "E+1", "1.5", "x8"]
    path = written(tmp_path, *map(eligible, odd))

    counts, rejects = run(path)

    assert counts == {"new": 3, "rejected": 5}
    assert [reject.line for reject in rejects] == [2, 3, 4, 5, 6]
    assert all("spreadsheet" in reject.expected for reject in rejects)
    summary = importing.import_members(path=path, actor="test", dry_run=True)
    assert len(summary.warnings) == 3
    assert run(path, expect_new=8)[0] == {"new": 5, "unchanged": 3}


# --- A look leaves a record ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "subject"), [("acc-1", "member:1"), ("unknown", "member:unknown")]
)
def test_looking_a_member_up_is_on_record_whether_there_is_one_or_not(
    client_of, officer, asked, subject
):
    add_member("acc-1")

    client_of(officer).post(reverse("admin:consent_member_look_up"), {"account_ref": asked})

    record = AccessRecord.objects.get()
    assert (record.kind, record.subject, record.actor_name) == ("member.read", subject, "olga")


def test_erasing_an_unknown_account_is_recorded(officer):
    with pytest.raises(NotFound):
        accounts.erase_member(account_ref="unknown", actor=officer, reason="asked for")

    assert AccessRecord.objects.get().subject == "member:unknown"


ALLOWED = {
    "consent/members.py", "consent/accounts.py", "consent/lookup.py", "consent/decisions.py", "consent/imports/importing.py",
    "consent/models.py", "consent/verification.py", "consent/account_changes.py", "objections/intake/receiving.py", "objections/staff/queue.py",
    # Counts those that no file has named.
    "consent/staff/panels.py",
    # Asks whether a file is named after an account, and tells neither which nor whose.
    "deliveries/names.py",
    # By the member's number, for lists of a run's members and for who was granted the name.
    "deliveries/made/lists.py", "training_runs/downloads/withdrawn.py",
}  # fmt: skip


def test_references_are_resolved_by_the_service_that_records_and_nowhere_else():
    raw = ("member_by_reference", "AccountReference", "members.referred", "members.known",
           "reference__account", "account_key=")  # fmt: skip
    found = set()
    for app in settings.OUR_APPS:
        for path in (settings.BASE_DIR / app).rglob("*.py"):
            parts = path.relative_to(settings.BASE_DIR).parts
            code = path.read_text()
            if not {"tests", "migrations"} & set(parts) and any(word in code for word in raw):
                found.add("/".join(parts))

    assert found - ALLOWED <= {
        "consent/public/setting.py",
        "consent/guards.py",
        "consent/staff/lists.py",
    }


# --- A reference goes with its member's erasure only --------------------------------------------


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM consent_accountreference WHERE member_id = 1",
        "UPDATE consent_accountreference SET account_key = 'x' WHERE member_id = 1",
        "UPDATE consent_accountreference SET member_id = 99 WHERE member_id = 1",
        "UPDATE consent_accountreference SET account_ref = 'acc-9' WHERE member_id = 1",
        "UPDATE consent_accountreference SET salt = '00' WHERE member_id = 1",
        "UPDATE consent_accountreference SET is_confirmed = (1 = 0) WHERE member_id = 1",
    ],
)
def test_a_reference_goes_inside_an_erasure_only(statement):
    add_member("acc-1")

    with (
        pytest.raises(DatabaseError, match="until its member is erased"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement)

    accounts.erase_member(account_ref="acc-1", actor="test", reason="asked for")
    census = Census.objects.get()
    assert (census.total, census.erasures, census.live_references) == (1, 1, 0)
    assert verifying.verify_ledger().problems == []


def test_after_a_reference_was_taken_away_nothing_is_imported_and_the_nightly_check_tells(
    tmp_path, product
):
    add_members(3)
    decide("acc-1", "deny", actor=product)
    behind_the_back(
        "consent_accountreference", "DELETE FROM consent_accountreference WHERE member_id = 2"
    )

    with pytest.raises(importing.ImportStopped, match="Member 2 has no account reference"):
        run(written(tmp_path, eligible("acc-1")))

    assert Member.objects.count() == 3
    assert "Member 2 has no account reference, and was not erased." in (
        verifying.verify_ledger().problems
    )


def test_a_reference_without_its_member_and_one_under_a_false_key_are_found():
    add_members(2)
    behind_the_back(
        "consent_accountreference",
        "UPDATE consent_accountreference SET account_key = 'acc-7' WHERE member_id = 1",
    )
    behind_the_back(
        "consent_accountreference",
        "INSERT INTO consent_accountreference (member_id, account_ref, account_key, salt, is_confirmed)"
        " VALUES (7, 'x', 'x', '00', %s)",
        True,
    )

    problems = verifying.verify_ledger().problems
    assert "The account reference of member 1 is kept under a key that is not its own." in problems
    assert (
        "There is an account reference of member 7, who is erased or was never there." in problems
    )
    assert any("The census says 2 account references" in problem for problem in problems)


# --- What the answer and the officers' lists say of unknown accounts ----------------------------


def test_the_answer_says_that_no_file_has_named_the_account(client_of, product):
    add_member("007")
    api = client_of(product)
    lines = [
        {
            "account_ref": ref,
            "purpose": "generative-ai",
            "choice": "deny",
            "channel": "product",
            "source_id": f"evt-{ref}",
            "decided_at": "2025-11-03T09:30:00Z",
        }
        for ref in ("7", "007")
    ]

    single = api.post("/api/v1/decisions", lines[0], content_type="application/json")
    after = members.known(["7"])["7"]
    text = "\n".join(map(json.dumps, lines))
    bulk = api.post("/api/v1/decisions/bulk", text, content_type="application/x-ndjson")

    assert single.json()["account_known"] is False
    assert not after.is_confirmed
    answers = [json.loads(line) for line in bulk.content.splitlines()]
    assert [(a["status"], a["account_known"]) for a in answers] == [
        ("replayed", False),
        ("recorded", True),
    ]
    known = Decision.objects.order_by("pk").values_list("account_known", flat=True)
    assert list(known) == [False, True]


def test_officers_see_choices_and_objections_that_no_file_has_named(client_of, officer, product):
    add_member("007")
    decide("007", "deny", actor=product)
    decide("7", "deny", actor=product)
    objection("8", is_vouched=False)
    objection("007", is_vouched=False)
    objection("", is_vouched=False)
    browser = client_of(officer)

    start = browser.get(reverse("admin:index")).text
    assert "Accounts: 1<" in start
    assert "Choices of these: 1<" in start
    assert "About an account that no file has named: 1<" in start
    for model in ("consent_member", "consent_consent", "consent_decision"):
        for option, number in (("no", 2), ("yes", 1)):
            rows = browser.get(reverse(f"admin:{model}_changelist"), {"named": option})
            found = rows.context["cl"].result_list
            assert [getattr(row, "member_id", row.pk) for row in found] == [number]
    tickets = browser.get(reverse("admin:objections_ticket_changelist"), {"named": "no"})
    assert [row.requester.account_named for row in tickets.context["cl"].result_list] == ["8"]
    exported = browser.get(
        reverse("admin:consent_member_export", args=["csv"]), {"named": "no"}
    ).getvalue()
    assert exported.decode("utf-8-sig").splitlines() == [
        "member,country,adult_on,adult_at,status,named_by_a_file", "2,,,18,unknown,no",
    ]  # fmt: skip

    with importing.entries.entry("test.act", actor="test"):
        found = members.known(["7"])["7"]
        sealed = members.seal_all(["7"], ["7"])[0]
        members.change_known([(found, found.facts)], {found.number: sealed})
    assert (
        "The product has named every known account in its files"
        in browser.get(reverse("admin:index")).text
    )
