"""Objections over HTTP: what the product files, and what it may tell the person."""

import datetime as dt
import json

import pytest
import time_machine
from django.core import mail
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from common.identity import tokens
from consent.accounts import erase_member
from consent.models import AccountReference, Member
from ledger.append_only import guarded_models
from ledger.models import AccessRecord, Entry
from objections import acts
from objections.choices import Effect, Outcome, TicketState
from objections.intake import planting, receiving
from objections.models import LetterTemplate, Objection, Requester, Ticket
from tools import factories

pytestmark = pytest.mark.django_db

RECEIVED = dt.datetime(2026, 3, 4, 10, tzinfo=dt.UTC)

OF_A_MEMBER = {
    "purposes": ["personalisation", "safety"],
    "is_authenticated": True,
    "account_ref": "acc-ada-1",
    "name": "Ada Abel",
    "email": "ada@example.org",
    "country": "IE",
    "statement": "Leave me out, says Ada.",
    "source_id": "evt-1",
}
OF_A_VISITOR = {**OF_A_MEMBER, "is_authenticated": False}


@pytest.fixture
def api(client_of, product):
    return client_of(product)


@pytest.fixture
def ada():
    return factories.add_member("acc-ada-1", country="IE")


def file(client, body):
    return client.post("/api/v1/objections", body, content_type="application/json")


def ask(client, reference):
    return client.get(f"/api/v1/objections/{reference}")


def ask_of_member(client, account_ref, query=""):
    return client.post(
        f"/api/v1/members/objections{query}",
        {"account_ref": account_ref},
        content_type="application/json",
    )


def codes(answer):
    return [(error["field"], error["code"]) for error in answer.json()["errors"]]


# --- Filing -------------------------------------------------------------------------------------


@time_machine.travel(RECEIVED, tick=False)
def test_an_objection_of_a_logged_in_member_restricts_with_the_answer(api, ada):
    answer = file(api, OF_A_MEMBER)

    ticket = Ticket.objects.get()
    assert answer.status_code == 201
    assert answer["Location"] == f"/api/v1/objections/{ticket.reference}"
    assert answer.json() == {
        "reference": "OBJ-2026-000001",
        "source_id": "evt-1",
        "entry": Entry.objects.latest("sequence").sequence,
        "recorded_at": "2026-03-04T10:00:00.000000Z",
        "received_at": "2026-03-04T10:00:00.000000Z",
        "due_on": "2026-04-07",
    }
    assert (ticket.channel, ticket.kind, ticket.is_authenticated) == ("product", "objection", True)
    assert Entry.objects.latest("sequence").actor_name == "product"
    assert set(Objection.objects.values_list("member", "purpose", "effect")) == {
        (ada, "personalisation", "restricting"),
        (ada, "safety", "restricting"),
    }
    assert Requester.objects.get().email == "ada@example.org"


def test_a_replay_gets_the_first_answer_whatever_happened_since(api, ada, officer):
    first = file(api, OF_A_MEMBER)
    ticket = factories.uphold(Ticket.objects.get(), officer)
    factories.send_letters(ticket)

    again = file(api, OF_A_MEMBER)

    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == first.json()
    assert again["Location"] == first["Location"]
    assert Ticket.objects.count() == 1


def test_a_replay_gets_the_first_dates_after_the_receipt_was_corrected(api, ada, officer):
    first = file(api, OF_A_MEMBER)
    ticket = Ticket.objects.get()
    acts.correct_receipt.do(
        ticket=ticket,
        received_at=ticket.received_at - dt.timedelta(days=10),
        reason="postmark",
        version=ticket.version,
        actor=officer,
    )

    assert file(api, OF_A_MEMBER).json() == first.json()
    assert ask(api, ticket.reference).json()["due_on"] != first.json()["due_on"]


@pytest.mark.parametrize(
    "change",
    [
        {"statement": "Something else."},
        {"purposes": ["safety"]},
        {"is_authenticated": False},
        {"kind": "restriction"},
    ],
)
def test_the_same_source_id_with_another_body_is_refused(api, ada, change):
    file(api, OF_A_MEMBER)

    answer = file(api, {**OF_A_MEMBER, **change})

    assert (answer.status_code, answer.json()["code"]) == (422, "source_id_reused")
    assert Ticket.objects.count() == 1


@pytest.mark.parametrize("account_ref", ["acc-unknown", "canary:1"])
def test_an_unknown_account_cannot_be_vouched_for(api, account_ref):
    answer = file(api, {**OF_A_MEMBER, "account_ref": account_ref})

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert not Ticket.objects.exists()
    assert list(AccessRecord.objects.values_list("kind", "subject")) == [
        ("member.objections", "member:unknown")
    ]


@time_machine.travel(RECEIVED, tick=False)
def test_who_was_not_logged_in_learns_nothing_about_the_account_they_name(api):
    factories.add_member("acc-ada-1", country="CH")
    # Without a country of their own the law of the member's country would show in the dates.
    body = {**OF_A_VISITOR, "country": ""}

    of_a_known, of_an_unknown = (
        {**file(api, {**body, "account_ref": ref, "source_id": ref[-5:]}).json()}
        for ref in ("acc-ada-1", "acc-unknown")
    )

    told = [ask(api, answer["reference"]).json() for answer in (of_a_known, of_an_unknown)]
    own = ("reference", "source_id", "entry")
    assert [ticket.member is not None for ticket in Ticket.objects.order_by("pk")] == [True, False]
    assert {k: v for k, v in of_a_known.items() if k not in own} == {
        k: v for k, v in of_an_unknown.items() if k not in own
    }
    assert {**told[0], "reference": ""} == {**told[1], "reference": ""}


def test_who_was_not_logged_in_is_asked_to_confirm_the_address(api):
    file(api, OF_A_VISITOR)
    ticket = Ticket.objects.get()
    before = ask(api, ticket.reference).json()["sentences"]
    factories.send_letters(ticket)

    after = ask(api, ticket.reference).json()["sentences"]
    receiving.confirm(link_in(mail.outbox[0].body))
    confirmed = ask(api, ticket.reference).json()["sentences"]

    assert [any("sent a link" in one for one in said) for said in (before, after, confirmed)] == [
        False,
        True,
        False,
    ]


def link_in(body):
    """The token at the end of the confirmation link."""
    words = [word for word in body.split() if "://" in word]
    return max(words, key=len).rstrip("/").rpartition("/")[2]


def test_a_post_address_is_enough_to_be_answered(api, ada):
    body = {**OF_A_MEMBER, "email": "", "postal_address": "1 Main Street\nDublin"}

    assert file(api, body).status_code == 201


def test_no_objection_is_lost_over_invisible_characters(api, ada):
    answer = file(api, {**OF_A_MEMBER, "statement": "No\0, \u202ethanks", "name": "A\0da"})

    assert answer.status_code == 201
    requester = Requester.objects.get()
    assert (requester.statement, requester.name) == ("No, thanks", "Ada")


BROKEN = [
    ({"purposes": ["world-peace"]}, "purposes.0", "unknown_word"),
    ({"purposes": []}, "purposes", "empty"),
    ({"purposes": "safety"}, "purposes", "not_a_list"),
    ({"purposes": ["safety"] * 21}, "purposes", "max_length"),
    ({"purposes": None}, "purposes", "null"),
    ({"kind": "complaint"}, "kind", "unknown_word"),
    ({"is_authenticated": "yes"}, "is_authenticated", "invalid"),
    ({"is_authenticated": 1}, "is_authenticated", "invalid"),
    ({"is_authenticated": None}, "is_authenticated", "null"),
    ({"account_ref": ""}, "account_ref", "required"),
    ({"account_ref": 12}, "account_ref", "invalid"),
    ({"account_ref": "x" * 101}, "account_ref", "max_length"),
    ({"account_ref": "a\0b"}, "account_ref", "null_characters_not_allowed"),
    ({"name": "x" * 201}, "name", "too_long"),
    ({"name": ["Ada"]}, "name", "invalid"),
    ({"email": ""}, "email", "invalid"),
    ({"email": "ada"}, "email", "invalid"),
    ({"email": "ada@example.org\nBcc: eve@example.org"}, "email", "invalid"),
    ({"email": "x" * 255}, "email", "too_long"),
    ({"postal_address": "x" * 501}, "postal_address", "too_long"),
    ({"country": "x" * 21}, "country", "max_length"),
    ({"country": 49}, "country", "invalid"),
    ({"region": "x" * 21}, "region", "max_length"),
    ({"statement": "x" * 20_001}, "statement", "too_long"),
    ({"statement": None}, "statement", "null"),
    ({"received_at": "yesterday"}, "received_at", "invalid"),
    ({"received_at": "2026-03-04T10:00:00"}, "received_at", "invalid"),
    ({"source_id": ""}, "source_id", "blank"),
    ({"source_id": " "}, "source_id", "invalid"),
    ({"source_id": "evt-1\n"}, "source_id", "invalid"),
    ({"source_id": "ada@example.org"}, "source_id", "invalid"),
    ({"source_id": "of-ACC-ada-1"}, "source_id", "invalid"),
    ({"source_id": 12}, "source_id", "invalid"),
    ({"source_id": "x" * 65}, "source_id", "max_length"),
    ({"channel": "paper"}, "channel", "unknown_field"),
    ({"member": 1}, "member", "unknown_field"),
]


@pytest.mark.parametrize(
    ("change", "field", "code"), BROKEN, ids=[f"{n}-{row[1]}" for n, row in enumerate(BROKEN)]
)
def test_a_broken_objection_is_refused_by_field_and_nothing_is_kept(api, ada, change, field, code):
    answer = file(api, {**OF_A_MEMBER, **change})

    assert answer.status_code == 400
    assert codes(answer) == [(field, code)]
    assert not Ticket.objects.exists()


def test_all_that_is_missing_is_said_at_once(api):
    assert codes(file(api, {})) == [
        (field, "required") for field in ("purposes", "is_authenticated", "source_id")
    ]


# --- Who may ask, and about which ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("scope", "statuses"),
    [("objections:write", (201, 403, 403)), ("objections:read", (403, 200, 200))],
)
def test_a_token_files_or_asks_as_its_scope_says(product, ada, scope, statuses):
    known = factories.objection("acc-ada-1")
    _, plain = tokens.issue_token(user=product, name="x", scopes=[scope], days=1, actor="test")
    client = Client(headers={"Authorization": f"Bearer {plain}"})

    answers = [
        file(client, OF_A_MEMBER),
        ask(client, known.reference),
        ask_of_member(client, "acc-ada-1"),
    ]

    assert tuple(answer.status_code for answer in answers) == statuses
    assert {a.json()["code"] for a in answers if a.status_code == 403} == {"scope_missing"}


def test_officers_work_tickets_in_the_admin_and_file_none_here(client_of, officer, ada):
    answer = file(client_of(officer), OF_A_MEMBER)

    assert (answer.status_code, answer.json()["code"]) == (403, "permission_missing")


def planted():
    """The ticket that keeps a test account out."""
    member = Member.objects.get(pk=factories.add_member("canary:objections"))
    return planting.keep_out(member=member, purposes=["safety"], effect=Effect.UPHELD, actor="test")


def test_the_product_sees_what_it_filed_and_what_is_of_its_members(api, ada):
    file(api, {**OF_A_VISITOR, "account_ref": ""})
    tickets = {
        "filed by the product": Ticket.objects.get(),
        "a member's, by the form": factories.objection(account_ref="acc-ada-1", channel="form"),
        "without an account, by the form": factories.objection(),
        "without an account, on paper": factories.objection(channel="paper"),
        "of a test account": planted(),
    }

    found = {name: ask(api, ticket.reference).status_code for name, ticket in tickets.items()}

    assert found == {
        "filed by the product": 200,
        "a member's, by the form": 200,
        "without an account, by the form": 404,
        "without an account, on paper": 404,
        "of a test account": 404,
    }
    assert ask_of_member(api, "canary:objections").status_code == 404


@pytest.mark.parametrize(
    "reference", ["OBJ-2026-999999", "OBJ-1", "obj-2026-000001", "1", "%20", "x" * 2000, "é"]
)
def test_what_is_no_reference_of_a_ticket_is_not_found(api, ada, reference):
    factories.objection("acc-ada-1")

    answer = ask(api, reference)

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_a_member_has_a_list_the_latest_first_in_pages(api, ada):
    factories.add_member("acc-2")
    filed = [factories.objection("acc-ada-1").reference for _ in range(3)]
    factories.objection("acc-2")

    first = ask_of_member(api, "acc-ada-1", "?page_size=2").json()
    second = api.post(first["next"], {"account_ref": "acc-ada-1"}, "application/json").json()

    listed = [one["reference"] for one in first["results"] + second["results"]]
    assert listed == filed[::-1]
    assert second["next"] is None
    assert "acc-ada-1" not in first["next"]


@pytest.mark.parametrize(
    ("body", "query", "expected"),
    [
        ({}, "", [("account_ref", "required")]),
        ({"account_ref": "a", "page": 2}, "", [("page", "unknown_field")]),
        ({"account_ref": "a"}, "?page_size=501", [("page_size", "max_value")]),
        ({"account_ref": "a"}, "?ordering=id", [("ordering", "unknown_field")]),
    ],
)
def test_a_broken_question_about_a_member_is_refused(api, body, query, expected):
    answer = api.post(f"/api/v1/members/objections{query}", body, "application/json")

    assert answer.status_code == 400
    assert codes(answer) == expected


def test_every_question_is_recorded_before_it_is_answered(api, ada):
    ticket = factories.objection("acc-ada-1")

    ask(api, ticket.reference)
    ask_of_member(api, "acc-ada-1")
    ask_of_member(api, "acc-unknown")

    assert list(AccessRecord.objects.order_by("pk").values_list("kind", "subject")) == [
        ("ticket.progress", ticket.reference),
        ("member.objections", f"member:{ada}"),
        ("member.objections", "member:unknown"),
    ]


def test_a_list_takes_as_many_queries_for_three_tickets_as_for_one(api, ada):
    counts = []
    for more in (1, 2):
        for _ in range(more):
            factories.objection("acc-ada-1", purposes=["safety", "personalisation"])
        with CaptureQueriesContext(connection) as queries:
            ask_of_member(api, "acc-ada-1")
        counts.append(len(queries))

    assert counts[0] == counts[1]


# --- In words -----------------------------------------------------------------------------------


@pytest.fixture
def told(api):
    """What the product is told about a ticket, now."""
    return lambda ticket: ask(api, ticket.reference).json()


def fresh(ticket):
    return Ticket.objects.get(pk=ticket.pk)


def acted(act, ticket, officer, **facts):
    """The act on the ticket as it is now; its letters leave at once."""
    act(ticket=ticket, version=fresh(ticket).version, actor=officer, **facts)
    factories.send_letters(ticket)
    return fresh(ticket)


def test_each_state_is_told_with_its_dates(told, officer, ada):
    both = ["personalisation", "safety"]
    with time_machine.travel(RECEIVED, tick=False) as clock:
        ticket = factories.objection(purposes=both, channel="product")
        received = told(ticket)
        clock.move_to(RECEIVED + dt.timedelta(days=2))
        acted(acts.ask_identity.do, ticket, officer, **factories.IDENTITY)
        asked = told(ticket)
        clock.move_to(RECEIVED + dt.timedelta(days=5))
        answered_on = clock_day()
        acted(acts.record_identity.do, ticket, officer, answered_on=answered_on, how="By phone.")
        in_review = told(ticket)
        acted(acts.extend.do, ticket, officer, ground="complexity", explanation=factories.MORE_TIME)
        extended = told(ticket)
        clock.move_to(RECEIVED + dt.timedelta(days=200))
        late = told(ticket)
        upheld = dict.fromkeys(both, Outcome.UPHELD)
        acted(acts.decide.do, ticket, officer, outcomes=upheld)
        done = told(ticket)

    out = (
        "Until you have it, the accounts that we can tie to you stay off the lists for new training for "
        "Personalisation, Moderation and safety."
    )
    start = "We received your objection on 4 March 2026."
    found = [
        (one["state"], one["due_on"], one["sentences"])
        for one in (received, asked, in_review, extended, late, done)
    ]
    assert found == [
        ("received", "2026-04-07", [start, "You will have our answer by 7 April 2026.", out]),
        (
            "identity_check",
            None,
            [
                start,
                "On 6 March 2026 we asked you who you are; please answer our letter.",
                "By when you will have our answer depends on the day of yours.",
                out,
            ],
        ),
        ("in_review", "2026-04-07", [start, "You will have our answer by 7 April 2026.", out]),
        (
            "extended",
            "2026-06-08",
            [
                start,
                "We need more time, until 8 June 2026, as we wrote to you on 9 March 2026.",
                out,
            ],
        ),
        (
            "extended",
            "2026-06-08",
            [
                start,
                "You should have had our answer by 8 June 2026. It is late, and we apologise for the delay.",
                out,
            ],
        ),
        (
            "upheld",
            "2026-06-08",
            [
                start,
                "We decided on 20 September 2026; our letter gives the reasons.",
                f"Personalisation: {UPHELD[1]}.",
                f"Moderation and safety: {UPHELD[1]}.",
            ],
        ),
    ]


def clock_day():
    return timezone.now().date()


def test_an_identity_request_is_told_once_its_letter_is_sent(told, officer, ada):
    ticket = factories.objection(channel="product")
    acts.ask_identity.do(ticket=ticket, **factories.IDENTITY, version=ticket.version, actor=officer)
    waiting = told(ticket)["state"]
    factories.send_letters(ticket)

    assert (waiting, told(ticket)["state"]) == ("received", "identity_check")


def decide(ticket, officer, second_officer, **outcomes):
    """Decided and approved; the letter waits."""
    ticket = factories.reviewed(ticket, officer)
    proposal = acts.decide.do(
        ticket=ticket,
        outcomes=outcomes,
        ground="GROUND of staff, " + factories.REFUSAL["ground"],
        balancing="BALANCING of staff, " + factories.REFUSAL["balancing"],
        reasons="REASONS of staff, " + factories.REFUSAL["reasons"],
        version=ticket.version,
        actor=officer,
    )
    return factories.approve(proposal, second_officer)


def refuse(ticket, *officers):
    return decide(ticket, *officers, personalisation=Outcome.REFUSED, safety=Outcome.REFUSED)


def refuse_one(ticket, *officers):
    return decide(ticket, *officers, personalisation=Outcome.UPHELD, safety=Outcome.REFUSED)


def uphold(ticket, officer, second_officer):
    return factories.uphold(ticket, officer)


UPHELD = (
    "upheld",
    "upheld; the accounts that we can tie to you stay off the lists for new training, and this does not end by itself",
)
REFUSED = ("restriction_lifted", "refused; this request no longer keeps an account off")
WITHDRAWN = ("restriction_lifted", "withdrawn; this request no longer keeps an account off")
EXAMINED = (
    "restricting",
    "being examined; the accounts that we can tie to you stay off the lists for new training",
)


@pytest.mark.parametrize(
    ("close", "state", "purposes"),
    [
        (uphold, "upheld", [UPHELD, UPHELD]),
        (refuse, "refused", [REFUSED, REFUSED]),
        (refuse_one, "partly_upheld", [UPHELD, REFUSED]),
        (factories.withdraw, "withdrawn", [WITHDRAWN, WITHDRAWN]),
    ],
)
def test_no_decision_is_told_before_its_letter_is_sent(
    told, officer, second_officer, ada, close, state, purposes
):
    ticket = factories.objection("acc-ada-1", purposes=["personalisation", "safety"])
    another = factories.objection("acc-ada-1", purposes=["personalisation", "safety"])
    examined = told(factories.reviewed(another, officer))
    close(ticket, officer, second_officer)

    unsent = told(ticket)
    factories.send_letters(ticket)
    sent = told(ticket)

    own = ("reference", "received_at")
    assert fresh(ticket).state == state
    assert {k: v for k, v in unsent.items() if k not in own} == {
        k: v for k, v in examined.items() if k not in own
    }
    assert (unsent["state"], unsent["answered_at"]) == ("in_review", None)
    assert effects(unsent) == [EXAMINED, EXAMINED]
    assert (sent["state"], effects(sent)) == (state, purposes)
    assert sent["answered_at"] is not None


def effects(answer):
    return [(one["effect"], one["words"]) for one in answer["purposes"]]


def test_a_duplicate_is_told_as_one(told, officer, second_officer, ada):
    first = factories.objection("acc-ada-1", purposes=["safety"])
    ticket = factories.objection("acc-ada-1", purposes=["safety"])
    decide(ticket, officer, second_officer, safety=Outcome.DUPLICATE)
    factories.send_letters(ticket)

    answer = told(ticket)
    closed = "closed, because it is dealt with already or will be"
    assert effects(answer) == [
        ("restriction_lifted", f"{closed}; this request no longer keeps an account off")
    ]
    assert answer["state_in_words"] == closed
    assert "nothing was weighed" in answer["sentences"][1]
    assert effects(told(first)) == [EXAMINED]


def test_who_is_known_is_told_that_their_account_is_out(told, ada):
    ticket = factories.objection("acc-ada-1", purposes=["safety"])

    assert told(ticket)["sentences"][-1] == (
        "Until you have it, your account stays off the lists for new training for "
        "Moderation and safety."
    )


def test_the_member_is_told_of_an_objection_that_a_stranger_filed_in_their_name(api, officer, ada):
    with time_machine.travel(RECEIVED, tick=False):
        file(api, {**OF_A_VISITOR, "name": "Eve", "purposes": ["generative-ai"]})
        ticket = Ticket.objects.get()
        acted(acts.ask_identity.do, ticket, officer, **factories.IDENTITY)

        [listed] = ask_of_member(api, "acc-ada-1").json()["results"]

    assert listed["is_verified"] is False
    assert listed["sentences"] == [
        "This objection names your account; it reached us on 4 March 2026.",
        "While we examine it, your account stays off the lists for new training for Generative AI.",
    ]


def test_a_ticket_whose_words_are_erased_is_told_as_before(told, officer, ada):
    ticket = factories.objection("acc-ada-1", purposes=["safety"])
    factories.send_letters(factories.uphold(ticket, officer))
    before = told(ticket)

    erase_member(account_ref="acc-ada-1", actor="test", reason="test")

    assert not Requester.objects.exists()
    assert told(ticket) == before


# --- What must not get out ----------------------------------------------------------------------


PERSONAL = ["Ada Abel", "ada@example.org", "acc-ada-1", "Leave me out", "1 Main Street"]
OF_STAFF = ["GROUND of staff", "BALANCING of staff", "REASONS of staff", "olga", "otto"]


def test_ledger_history_and_logs_name_no_person(api, ada, officer, second_officer, caplog, capfd):
    file(api, {**OF_A_MEMBER, "postal_address": "1 Main Street"})
    file(api, {**OF_A_MEMBER, "statement": "Another."})
    file(api, {**OF_A_VISITOR, "source_id": "evt-2"})
    file(api, {**OF_A_MEMBER, "source_id": "evt-3", "email": "ada"})
    ticket = refuse_one(Ticket.objects.get(source_id="evt-1"), officer, second_officer)
    ask(api, ticket.reference)
    ask_of_member(api, "acc-ada-1")
    factories.send_letters(ticket)

    kept = {table: rows_of(table) for table in [*guarded_models(), AccessRecord._meta.db_table]}
    written = capfd.readouterr()
    said = {**kept, "log": caplog.text, "output": written.out + written.err}
    assert Ticket._meta.db_table in kept
    assert Ticket.history.model._meta.db_table in kept
    assert [
        (where, word) for where, text in said.items() for word in PERSONAL if word in text
    ] == []


def rows_of(table):
    # A letter's text names no person, and a reference is kept where it can be erased.
    if table in {LetterTemplate._meta.db_table, AccountReference._meta.db_table}:
        return ""
    with connection.cursor() as cursor:
        cursor.execute(f'SELECT * FROM "{table}"')
        return "\n".join(map(str, cursor.fetchall()))


def test_an_answer_names_neither_people_nor_their_words_nor_staff(
    api, ada, officer, second_officer
):
    file(api, OF_A_MEMBER)
    ticket = Ticket.objects.get()
    factories.note(ticket=ticket, text="NOTE of staff", actor=officer)
    refuse_one(fresh(ticket), officer, second_officer)
    factories.send_letters(ticket)

    said = json.dumps([ask(api, ticket.reference).json(), ask_of_member(api, "acc-ada-1").json()])

    assert fresh(ticket).state == TicketState.PARTLY_UPHELD
    assert [word for word in [*PERSONAL, *OF_STAFF, "NOTE of staff"] if word in said] == []
