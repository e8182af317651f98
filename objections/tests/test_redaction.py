"""The redaction list: whose data is on it and how long, what is kept of it and where, and to whom it is lent."""

import datetime as dt
import io
import logging
from urllib.parse import urlsplit

import pytest
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command
from django.urls import reverse
from django.utils import timezone

from common import registry
from common.errors import StaleEdit
from consent.models import Member
from consent.public import member_links
from ledger import entries
from ledger.errors import InvalidInput, NotFound
from ledger.models import AccessRecord, Entry
from ledger.verification.verifying import verify_ledger
from objections import acts
from objections.acts.on_letters import record_returned
from objections.choices import RedactionState, ValueKind
from objections.errors import ForbiddenMove, NeedsSecondPerson
from objections.models import (
    RedactionEntry,
    RedactionHits,
    RedactionLoan,
    RedactionValues,
    Requester,
    Ticket,
)
from objections.redaction import keeping, lending, vault
from objections.redaction.common_words import COMMON
from objections.redaction.values import Value, are_weak, read, said_by
from objections.tests import test_form_page
from portal import checks
from tools import factories

NAME, HANDLE, EMAIL, URL = ValueKind.NAME, ValueKind.HANDLE, ValueKind.EMAIL, ValueKind.URL

pytestmark = pytest.mark.django_db


def stranger_objects(**more) -> Ticket:
    """An objection by the public form of a person without an account."""
    said = {
        "name": "Quilla Zebrowski",
        "email": "quilla@zebrowski.example",
        "statement": "Posts at https://social.example/quillazeb. I am @quillazeb, not the bird.",
        **more,
    }
    return factories.objection(**said)


def entry_of(ticket: Ticket) -> RedactionEntry:
    return RedactionEntry.objects.select_related("values", "ticket").get(ticket=ticket)


def held(ticket: Ticket) -> list[tuple[str, str]]:
    return [(one.kind.value, one.text) for one in vault.values_of(entry_of(ticket))]


# --- Values ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "text", "kept"),
    [
        (NAME, "  Zoe\u0308   Quirke ", "Zo\u00eb Quirke"),
        (HANDLE, "@quilla_z", "quilla_z"),
        (EMAIL, "Quilla@Zeb.Example", "quilla@zeb.example"),
        (URL, "HTTPS://Social.Example/Quilla#top", "https://social.example/Quilla"),
        (URL, "https://social.example:8443/?id=7", "https://social.example:8443/?id=7"),
    ],
)
def test_a_value_is_kept_in_one_form(kind, text, kept):
    assert read(kind, text) == Value(kind, kept)


@pytest.mark.parametrize(
    ("kind", "text", "fault"),
    [
        ("phone", "1", "A value is one of"),
        (NAME, " ", "is empty"),
        (NAME, "Quilla\x07Zeb", "control character"),
        (NAME, "Quilla\u202eZeb", "not seen"),
        (NAME, "Quilla\nZeb", "control character"),
        (NAME, "x" * 301, "At most 300 characters"),
        (NAME, "a@b.example", "no @"),
        (NAME, "7", "two letters"),
        (HANDLE, "quilla zeb", "A handle is 2 to 60"),
        (EMAIL, "quilla", "name@example.org"),
        (URL, "social.example/quilla", "begins with https://"),
        (URL, "https://[social/quilla", "begins with https://"),
        (URL, "https://social.example/", "whole site"),
        (URL, "https://me:pw@social.example/quilla", "no user or password"),
    ],
)
def test_a_bad_value_is_refused_with_its_fault(kind, text, fault):
    with pytest.raises(InvalidInput, match=fault):
        read(kind, text)


@pytest.mark.parametrize(
    ("kind", "text", "needs_second"),
    [
        (NAME, "Anna", True),
        (NAME, "Alexander", True),
        (NAME, "Anna B.", True),
        (NAME, "Maria Garcia", True),
        (NAME, "Li Na", True),
        (NAME, "Szczepanski", False),
        (NAME, "Anna Szczepanski", False),
        (HANDLE, "zeb", True),
        (HANDLE, "support", True),
        (HANDLE, "quillazeb", False),
        (EMAIL, "a@b.example", False),
        (URL, "https://b.example/a", False),
    ],
)
def test_a_short_or_common_name_needs_a_second_feature(kind, text, needs_second):
    assert read(kind, text).needs_second is needs_second
    assert are_weak([read(kind, text)]) is needs_second


def test_common_words_are_written_as_they_are_compared():
    assert {word.casefold() for word in COMMON} == COMMON
    assert len(COMMON) > 300


def test_a_value_stays_out_of_what_python_prints():
    line = lending.Line(1, "name", "Quilla Zebrowski")

    assert "Quilla" not in f"{read(NAME, 'Quilla Zebrowski')!r} {line!r}"


def test_what_a_person_said_about_themselves_is_read_from_the_form():
    requester = Requester(
        name="Quilla\u202e",
        email="q@zeb.example",
        account_named="quillazeb",
        statement="See https://s.example/q), mail Other@zeb.example or @quilla_z. Also @QuillaZeb, @ and https://s.example/",
    )

    assert said_by(requester) == [
        Value(EMAIL, "q@zeb.example"),
        Value(HANDLE, "quillazeb"),
        Value(URL, "https://s.example/q"),
        Value(EMAIL, "other@zeb.example"),
        Value(HANDLE, "quilla_z"),
    ]


# --- Whose entry holds ----------------------------------------------------------------------------


def test_an_objection_of_a_person_without_an_account_is_on_the_list_from_its_receipt():
    ticket = stranger_objects()

    entry = entry_of(ticket)
    assert (entry.state, entry.counts, entry.is_weak) == (
        "holding",
        {"email": 1, "handle": 1, "name": 1, "url": 1},
        False,
    )
    assert held(ticket) == [
        ("name", "Quilla Zebrowski"),
        ("email", "quilla@zebrowski.example"),
        ("url", "https://social.example/quillazeb"),
        ("handle", "quillazeb"),
    ]


def test_an_objection_of_a_member_is_not():
    factories.add_member("acc-1")
    factories.objection("acc-1", name="Quilla Zebrowski")

    assert RedactionEntry.objects.count() == 0


def test_no_value_is_in_the_ledger_the_history_or_the_row_at_rest(caplog):
    caplog.set_level(logging.DEBUG)
    ticket = stranger_objects()
    entry = entry_of(ticket)

    kept = [
        *Entry.objects.values_list("reason", "subject", "actor_name"),
        *RedactionEntry.objects.values_list(),
        *RedactionEntry.history.values_list(),
        *RedactionValues.objects.values_list(),
    ]
    said = f"{kept} {caplog.text}".casefold()
    assert [one for one in ("quilla", "zebrowski", "social.example") if one in said] == []
    assert entry.commitment


def test_a_match_to_a_member_ends_the_entry(officer):
    factories.add_member("acc-1")
    ticket = stranger_objects()

    acts.match.do(
        ticket=ticket,
        account_ref="acc-1",
        reason="same address",
        version=ticket.version,
        actor=officer,
    )

    entry = RedactionEntry.objects.get()
    assert (entry.state, entry.counts, entry.commitment) == ("ended", {}, "")
    assert RedactionValues.objects.count() == 0


def test_an_import_of_the_account_that_was_named_ends_the_entry():
    stranger_objects(account_ref="acc-9", is_vouched=False)
    before = RedactionEntry.objects.get().state

    factories.add_member("acc-9")

    assert (before, RedactionEntry.objects.get().state) == ("holding", "ended")


def test_a_withdrawal_ends_the_entry_once_its_letter_is_sent(officer, second_officer):
    ticket = stranger_objects()
    factories.withdraw(ticket, officer, second_officer)
    before = entry_of(ticket).state

    factories.send_letters(ticket)

    assert (before, RedactionEntry.objects.get().state) == ("holding", "ended")


def test_a_returned_letter_lets_the_entry_hold_again(officer, second_officer):
    ticket = stranger_objects()
    factories.withdraw(ticket, officer, second_officer)
    *_, letter = factories.send_letters(ticket)
    ended = RedactionEntry.objects.get().state

    record_returned.do(letter=letter, reason="unknown at the address", actor=officer)

    assert ended == RedactionState.ENDED
    assert entry_of(ticket).state == RedactionState.HOLDING
    assert ("name", "Quilla Zebrowski") in held(ticket)


def test_a_ticket_closed_as_abuse_has_no_entry(officer, second_officer):
    ticket = stranger_objects(looks_automatic=True)
    before = entry_of(ticket).state
    proposal = acts.close_abuse.do(
        ticket=ticket, evidence=factories.EVIDENCE, version=ticket.version, actor=officer
    )

    factories.approve(proposal, second_officer)

    assert (before, RedactionEntry.objects.get().state) == ("holding", "ended")


def test_an_upheld_entry_outlives_the_words_of_its_ticket(officer, second_officer):
    ticket = factories.uphold(stranger_objects(), officer)
    factories.send_letters(ticket)

    factories.erase_words(ticket, officer, second_officer)

    assert Requester.objects.count() == 0
    assert ("name", "Quilla Zebrowski") in held(ticket)
    assert verify_ledger().problems == []


def test_a_corrected_address_is_on_the_list_too(officer):
    ticket = factories.confirmed(stranger_objects(), officer)

    acts.correct_address.do(
        ticket=ticket, email="Q2@zeb.example", postal_address="", reason="wrote from it",
        version=ticket.version, actor=officer,
    )  # fmt: skip

    assert held(ticket)[-1] == ("email", "q2@zeb.example")
    assert entry_of(ticket).counts["email"] == 2


# --- Acts of officers -------------------------------------------------------------------------------


def test_an_officer_corrects_the_values(officer):
    entry = entry_of(stranger_objects(name="", email="", statement="", postal_address="A street"))
    assert (entry.is_weak, entry.counts) == (True, {})

    keeping.correct(
        entry=entry, values=[read(HANDLE, "@quillazeb")], reason="said by phone",
        version=entry.version, actor=officer,
    )  # fmt: skip

    after = entry_of(entry.ticket)
    assert (after.is_weak, after.counts, after.version) == (False, {"handle": 1}, entry.version + 1)
    assert Entry.objects.latest("sequence").kind == "redaction.corrected"
    assert verify_ledger().problems == []


@pytest.mark.parametrize(
    ("values", "reason", "fault"),
    [
        ([], "why", "one value at least"),
        ([(HANDLE, f"quilla{i}") for i in range(41)], "why", "At most 40 values"),
        ([(HANDLE, "quilla")], " ", "Say why"),
        ([(HANDLE, "quilla")], "goes by Quilla", "holds a value"),
        ([(HANDLE, "other")], "was Quilla Zebrowski", "holds a value"),
    ],
)
def test_a_correction_that_cannot_be_is_refused(officer, values, reason, fault):
    entry = entry_of(stranger_objects())
    size = Entry.objects.count()

    with pytest.raises(InvalidInput, match=fault):
        keeping.correct(
            entry=entry, values=[read(*one) for one in values], reason=reason,
            version=entry.version, actor=officer,
        )  # fmt: skip

    assert Entry.objects.count() == size


def test_a_correction_of_an_older_version_is_refused(officer):
    entry = entry_of(stranger_objects())

    with pytest.raises(StaleEdit):
        keeping.correct(
            entry=entry, values=[read(HANDLE, "quilla")], reason="why", version=0, actor=officer
        )


def test_values_are_erased_only_after_the_person_was_told_and_by_a_second_officer(
    officer, second_officer
):
    ticket = factories.uphold(stranger_objects(), officer)
    entry = entry_of(ticket)
    with pytest.raises(ForbiddenMove, match="Tell the person first"):
        keeping.erase(entry=entry, reason="asked", version=entry.version, actor=officer)

    told = keeping.record_told(
        entry=entry, reason="by e-mail", version=entry.version, actor=officer
    )
    with pytest.raises(NeedsSecondPerson):
        keeping.erase(entry=told, reason="asked", version=told.version, actor=officer)
    keeping.erase(entry=told, reason="asked", version=told.version, actor=second_officer)

    after = RedactionEntry.objects.get()
    assert (after.state, after.commitment, after.counts) == ("ended", "", {})
    assert after.erased_at is not None
    assert RedactionValues.objects.count() == 0
    with entries.entry("objection.note_added", actor="test"):
        keeping.follow(Ticket.objects.get(pk=ticket.pk))
    assert RedactionEntry.objects.get().state == RedactionState.ENDED
    assert verify_ledger().problems == []


# --- Loans ------------------------------------------------------------------------------------------


def test_the_list_is_lent_for_one_purpose_and_each_loan_is_an_entry(officer, engineer, caplog):
    caplog.set_level(logging.DEBUG)
    upheld = factories.uphold(stranger_objects(), officer)
    weak = stranger_objects(name="Anna", email="", postal_address="A street", statement="")
    other = stranger_objects(purposes=["safety"])
    number, version = entry_of(upheld).pk, entry_of(upheld).version

    loan = lending.lend(delivery="DL-2026-000001", purpose="generative-ai", user=engineer)

    assert [(one.number, one.kind, one.value, one.needs_second) for one in loan.lines] == [
        (number, "name", "Quilla Zebrowski", False),
        (number, "email", "quilla@zebrowski.example", False),
        (number, "url", "https://social.example/quillazeb", False),
        (number, "handle", "quillazeb", False),
    ]
    record = RedactionLoan.objects.get()
    assert (record.count, record.entries_lent) == (1, [[number, version]])
    assert record.list_version == lending.list_version([[number, version]])
    sealed = Entry.objects.latest("sequence")
    assert (sealed.kind, sealed.subject, sealed.actor) == (
        "redaction.lent", "DL-2026-000001", engineer,
    )  # fmt: skip
    assert "uilla" not in f"{RedactionLoan.objects.values_list()} {caplog.text} {sealed.reason}"
    assert entry_of(weak).is_weak
    assert not entry_of(other).is_weak
    assert verify_ledger().problems == []


def test_a_list_version_changes_with_an_entry_and_not_with_a_loan(officer, engineer):
    ticket = stranger_objects()
    first, again = [
        lending.lend(delivery=f"DL-{n}", purpose="generative-ai", user=engineer) for n in range(2)
    ]
    entry = entry_of(ticket)
    keeping.correct(
        entry=entry,
        values=[read(HANDLE, "quillazeb")],
        reason="x",
        version=entry.version,
        actor=officer,
    )

    changed = lending.lend(delivery="DL-3", purpose="generative-ai", user=engineer)

    assert first.record.list_version == again.record.list_version
    assert changed.record.list_version != first.record.list_version
    assert RedactionLoan.objects.count() == 3


def test_a_list_with_an_entry_that_cannot_be_opened_is_not_lent(engineer):
    stranger_objects()
    broken = entry_of(stranger_objects())
    RedactionValues.objects.filter(pk=broken.pk).update(encrypted="x")

    with pytest.raises(vault.ValuesNotOpened, match=str(broken)):
        lending.lend(delivery="DL-1", purpose="generative-ai", user=engineer)

    assert RedactionLoan.objects.count() == 0


@pytest.mark.parametrize(
    ("asked", "fault"),
    [
        ({"purpose": "ads"}, "A purpose is one of"),
        ({"delivery": " "}, "Name the delivery"),
        ({"until": timezone.now() - dt.timedelta(days=1)}, "over already"),
    ],
)
def test_a_loan_that_cannot_be_is_refused(engineer, asked, fault):
    with pytest.raises(InvalidInput, match=fault):
        lending.lend(**{"delivery": "DL-1", "purpose": "generative-ai", "user": engineer, **asked})


def test_hits_are_kept_by_number_and_only_of_what_was_lent(engineer):
    first, second = entry_of(stranger_objects()), entry_of(stranger_objects())
    loan = lending.lend(delivery="DL-1", purpose="generative-ai", user=engineer)
    version = loan.record.list_version

    with entries.entry("redaction.lent", actor="test"):
        lending.record_hits(version, {first.pk: 3, second.pk: 0})

    assert lending.known_numbers(version) == lending.known_numbers(loan) == {first.pk, second.pk}
    assert list(RedactionHits.objects.values_list("redaction_id", "loan__delivery", "hits")) == [
        (first.pk, "DL-1", 3)
    ]
    for wrong in ({second.pk + 1: 1}, {first.pk: -1}):
        with pytest.raises(InvalidInput), entries.entry("redaction.lent", actor="test"):
            lending.record_hits(version, wrong)
    with pytest.raises(NotFound):
        lending.known_numbers("0" * 64)


def test_only_ml_engineers_may_borrow(officer, engineer, auditor):
    allowed = [
        user.username
        for user in (officer, engineer, auditor)
        if user.has_perm("objections.borrow_redaction_list")
    ]

    assert allowed == [engineer.username]
    assert "suppression:read" in registry.scopes


# --- Letters ----------------------------------------------------------------------------------------


def letter_says(ticket: Ticket, officer) -> str:
    """The acknowledgement, in one line."""
    ticket = factories.confirmed(ticket, officer)
    return " ".join(ticket.letters.filter(kind="acknowledgement").get().text.body.split())


def test_a_letter_names_what_the_entry_carries(officer):
    said = letter_says(stranger_objects(), officer)

    assert (
        "We keep the name Quilla Zebrowski, the handle @quillazeb, the e-mail address"
        " quilla@zebrowski.example and the profile address https://social.example/quillazeb on a list"
        " by which training data is redacted, as long as your objection holds. It stays there when we"
        " erase the rest of what you sent us."
    ) in said
    assert "is then not recognised any more" in said
    assert "training runs completed" not in said


def test_a_letter_of_a_weak_entry_promises_no_redaction(officer):
    ticket = stranger_objects(
        name="Anna", email="", postal_address="A street", channel="paper", statement=""
    )

    said = " ".join(ticket.letters.get().text.body.split())

    assert "would also match other people" in said
    assert "redacted" not in said


@pytest.fixture
def proven(monkeypatch):
    """An app above that answers that every completed run was redacted, and names a recipient."""
    for point in ("objections.redaction_facts", "objections.list_facts"):
        monkeypatch.setitem(registry._hooks, point, [lambda purpose: True])
    monkeypatch.setitem(
        registry._hooks, "objections.recipients", [lambda purpose: ["Example Labs"]]
    )


def test_a_letter_says_that_the_list_was_applied_only_while_receipts_show_it(officer, proven):
    assert "say that the list was applied" in letter_says(stranger_objects(), officer)


# --- Keys and verification --------------------------------------------------------------------------


def test_the_values_open_with_their_own_entry_only():
    one, other = entry_of(stranger_objects()), entry_of(stranger_objects(name="Ulla Vintervatten"))
    tokens = [one.values.encrypted, other.values.encrypted]
    RedactionValues.objects.filter(pk=one.pk).update(encrypted=tokens[1])
    RedactionValues.objects.filter(pk=other.pk).update(encrypted=tokens[0])

    assert sorted(verify_ledger().problems) == [
        f"The values of {entry} are not the ones that were sealed." for entry in (one, other)
    ]


def test_a_lost_row_and_one_too_many_are_found(officer, second_officer):
    lost, kept = entry_of(stranger_objects()), entry_of(stranger_objects())
    token = kept.values.encrypted
    told = keeping.record_told(entry=kept, reason="x", version=kept.version, actor=officer)
    keeping.erase(entry=told, reason="x", version=told.version, actor=second_officer)
    RedactionValues.objects.create(redaction=kept, encrypted=token)
    RedactionValues.objects.filter(pk=lost.pk).delete()

    assert sorted(verify_ledger().problems) == sorted(
        [
            f"The values of {lost} are missing.",
            f"{kept} does not hold, and its values are still there.",
        ]
    )


def test_keys_are_rotated_and_an_interrupted_rotation_goes_on(settings):
    tickets = [stranger_objects() for _ in range(3)]
    old, new = settings.REDACTION_KEYS[0], Fernet.generate_key().decode()
    settings.REDACTION_KEYS = [new, old]
    RedactionValues.objects.filter(pk=entry_of(tickets[1]).pk).update(encrypted="x")
    with pytest.raises(CommandError, match="cannot be decrypted"):
        call_command("rotate_redaction_keys", stdout=io.StringIO())
    with entries.entry("objection.note_added", actor="test"):
        keeping._hold(entry_of(tickets[1]), [read(HANDLE, "quillazeb")])

    said = io.StringIO()
    call_command("rotate_redaction_keys", stdout=said)
    again = io.StringIO()
    call_command("rotate_redaction_keys", stdout=again)

    assert said.getvalue() == "1 rows encrypted anew; all 3 are under the first key.\n"
    assert again.getvalue() == "0 rows encrypted anew; all 3 are under the first key.\n"
    settings.REDACTION_KEYS = [new]
    assert [len(held(ticket)) for ticket in tickets] == [4, 1, 4]
    assert Entry.objects.filter(kind="redaction.keys_rotated").count() == 1


@pytest.mark.parametrize(
    ("keys", "development", "is_refused"),
    [
        (["own"], False, False),
        (["default"], True, False),
        (["default"], False, True),
        (["own", "default"], False, True),
        (["short"], True, True),
    ],
)
def test_the_portal_does_not_start_with_a_key_that_others_know(
    settings, keys, development, is_refused
):
    named = {
        "own": Fernet.generate_key().decode(),
        "default": settings.REDACTION_KEYS_DEFAULT,
        "short": "abc",
    }
    settings.REDACTION_KEYS, settings.DEVELOPMENT = [named[key] for key in keys], development

    assert [one.id for one in checks.redaction_keys_are_own(None)] == ["portal.E009"] * is_refused


# --- Pages ------------------------------------------------------------------------------------------


def url(page: str, *args: object) -> str:
    return reverse(f"admin:objections_redactionentry_{page}", args=args)


def test_the_public_form_puts_its_sender_on_the_list(client):
    answer = test_form_page.file(
        client,
        name="Quilla Zebrowski",
        email="quilla@zebrowski.example",
        statement="I am @quillazeb",
    )

    assert answer.status_code == 302
    assert ("handle", "quillazeb") in held(Ticket.objects.get())


def test_an_officer_sees_the_values_on_the_page_of_an_entry_and_the_look_is_on_record(
    officer, client_of
):
    entry = entry_of(stranger_objects())

    shown = client_of(officer).get(url("change", entry.pk)).content.decode()

    assert "https://social.example/quillazeb" in shown
    record = AccessRecord.objects.get(kind="redactionentry.values_read")
    assert (record.user, record.subject, record.purpose) == (
        officer, entry.ticket.reference, str(entry),
    )  # fmt: skip


@pytest.mark.parametrize("page", ["changelist", "change", "history"])
def test_an_auditor_sees_counts_and_numbers_and_no_value(page, auditor, client_of):
    entry = entry_of(stranger_objects())

    answer = client_of(auditor).get(url(page, *([] if page == "changelist" else [entry.pk])))

    shown = answer.content.decode()
    assert answer.status_code == 200
    assert str(entry) in shown
    assert "uilla" not in shown
    assert not AccessRecord.objects.filter(kind="redactionentry.values_read").exists()


def test_the_list_shows_no_value_to_an_officer(officer, client_of):
    stranger_objects()

    shown = client_of(officer).get(url("changelist")).content.decode()

    assert ("RE-" in shown, "uilla" in shown) == (True, False)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["strong", "weak"]),
        ("?state=lent", ["strong"]),
        ("?state=weak", ["weak"]),
        ("?state=ended", []),
        ("?q={strong}", ["strong"]),
        ("?q={ticket}", ["strong"]),
        ("?q=RE-999999", []),
    ],
)
def test_the_list_is_filtered_and_searched(query, found, officer, client_of):
    strong = entry_of(stranger_objects())
    weak = entry_of(stranger_objects(name="Anna", email="", statement="", postal_address="x"))
    asked = query.format(strong=strong, ticket=strong.ticket)

    answer = client_of(officer).get(url("changelist") + asked)

    rows = {row.pk for row in answer.context["cl"].result_list}
    assert rows == {{"strong": strong, "weak": weak}[name].pk for name in found}
    assert ("No entry is here" in answer.content.decode()) is (found == [])


def test_an_officer_corrects_by_the_page_and_a_wrong_line_is_named(officer, client_of):
    entry = entry_of(stranger_objects())
    browser = client_of(officer)
    form = browser.get(url("correct", entry.pk)).context["form"]
    said = {"version": entry.version, "reason": "said by phone", "names": "Quilla Zebrowski"}

    refused = browser.post(url("correct", entry.pk), {**said, "urls": "social.example/q"})
    done = browser.post(url("correct", entry.pk), {**said, "handles": "@quilla_z\n"})
    stale = browser.post(url("correct", entry.pk), {**said, "handles": "@quilla_zz"})

    assert form.initial["handles"] == "quillazeb"
    assert refused.context["form"].errors == {
        "urls": ["A profile address begins with https:// and has no spaces."]
    }
    assert done.status_code == 302
    assert held(entry.ticket) == [("name", "Quilla Zebrowski"), ("handle", "quilla_z")]
    assert "changed in the meantime" in stale.content.decode()


def test_two_officers_erase_by_the_pages(officer, second_officer, client_of):
    entry = entry_of(stranger_objects())
    said = {"reason": "by letter"}

    client_of(officer).post(url("told", entry.pk), {**said, "version": entry.version})
    own = client_of(officer).get(url("change", entry.pk)).content.decode()
    theirs = client_of(second_officer).get(url("change", entry.pk)).content.decode()
    client_of(second_officer).post(url("erase", entry.pk), {**said, "version": entry.version + 1})

    assert (url("erase", entry.pk) in own, url("erase", entry.pk) in theirs) == (False, True)
    assert RedactionEntry.objects.get().erased_at is not None


def test_a_weak_entry_is_work_on_the_start_page(officer, client_of):
    entry = entry_of(stranger_objects(name="Anna", email="", statement="", postal_address="x"))

    shown = client_of(officer).get(reverse("admin:index")).content.decode()

    assert url("change", entry.pk) in shown


def setting_page(client) -> str:
    member = Member.objects.get(pk=factories.add_member("acc-1"))
    client.get(urlsplit(member_links.link_for(member).url).path)
    return client.get(reverse("setting")).content.decode()


def test_the_setting_page_says_nothing_of_reduced_data_or_recipients_without_facts(client):
    shown = setting_page(client)

    assert ("is reduced" in shown, "also go to" in shown) == (False, False)


def test_the_setting_page_says_what_the_facts_hold(client, proven):
    shown = setting_page(client)

    assert "personal data in it is reduced" in shown
    assert "also go to: Example Labs" in shown


def test_the_page_of_a_ticket_leads_to_its_entry(officer, client_of):
    entry = entry_of(stranger_objects())
    address = reverse("admin:objections_ticket_change", args=[entry.ticket_id])

    shown = client_of(officer).get(address).content.decode()

    assert f"{entry}, holding" in shown
    assert url("change", entry.pk) in shown
