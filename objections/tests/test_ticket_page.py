"""The page of a ticket: what it shows to whom, and that nothing written on it can do harm."""

import datetime as dt
import re
from html import escape, unescape
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from consent.choices import Purpose
from ledger import entries
from ledger.models import AccessRecord
from objections import acts
from objections.acts import steps
from objections.choices import LetterKind, LetterState, Outcome
from objections.letters import composing, outbox
from objections.models import Requester, Ticket
from objections.ticket import uploads
from objections.ticket.case import case_of
from objections.ticket.incidents import incidents_of
from tools import factories

pytestmark = [pytest.mark.django_db, pytest.mark.one_engine]

SECRETS = [
    "Ada Lovelace",
    "ada@example.org",
    "1 Main Street",
    "account-of-ada",
    "I object",
    "called",
]


@pytest.fixture
def client(officer: User, client_of: Any) -> Client:
    return client_of(officer)


def address(ticket: Ticket) -> str:
    return reverse("admin:objections_ticket_change", args=[ticket.pk])


def page(client: Client, ticket: Ticket) -> str:
    return unescape(client.get(address(ticket)).text)


def of_ada(officer: User, **more: Any) -> Ticket:
    """A ticket with words of every kind on it."""
    ticket = factories.objection(
        name="Ada Lovelace",
        email="ada@example.org",
        postal_address="1 Main Street",
        statement="I object to all of it.",
        files=[uploads.check("about ada.txt", b"words")],
        **more,
    )
    Requester.objects.update(account_named="account-of-ada")
    factories.note(ticket=ticket, text="called back", actor=officer)
    ticket.refresh_from_db()
    return ticket


# --- Who sees what ------------------------------------------------------------------------------


def test_an_officer_sees_the_request_and_leaves_a_record(client: Client, officer: User) -> None:
    ticket = of_ada(officer, country="DE", purposes=[Purpose.SAFETY, Purpose.GENERATIVE_AI])

    text = page(client, ticket)

    read = AccessRecord.objects.get()
    assert [secret in text for secret in SECRETS] == [True] * len(SECRETS)
    assert "about ada.txt" in text
    assert "Germany; EU (GDPR)" in text
    assert (read.user, read.kind, read.subject) == (officer, "ticket.read", ticket.reference)


def test_an_auditor_sees_what_was_done_and_no_identity(
    officer: User, auditor: User, client_of: Any
) -> None:
    ticket = factories.confirmed(of_ada(officer), officer)
    acts.withdraw.do(
        ticket=ticket, evidence=factories.EVIDENCE, version=ticket.version or 0, actor=officer
    )

    text = page(client_of(auditor), ticket)

    assert [secret for secret in [*SECRETS, "about ada", "Ada wrote"] if secret in text] == []
    assert "withheld: personal data" in text
    assert "Outcome proposed" in text
    assert 'aria-label="Next steps"' not in text


@pytest.mark.parametrize("role", ["engineer", "administrator", "stranger"])
def test_only_officers_and_auditors_open_it(
    role: str, request: pytest.FixtureRequest, client_of: Any
) -> None:
    ticket = factories.objection()

    response = client_of(request.getfixturevalue(role)).get(address(ticket))

    assert response.status_code == 403


def test_an_erased_ticket_says_so_and_keeps_what_was_decided(
    client: Client, officer: User, second_officer: User
) -> None:
    ticket = factories.uphold(of_ada(officer), officer)
    factories.send_letters(ticket)
    factories.erase_words(ticket, officer, second_officer)

    text = page(client, ticket)

    assert [secret for secret in SECRETS if secret in text] == []
    assert "were erased on" in text
    assert "upheld; no account matched: excludes no member" in text


# --- What it says -------------------------------------------------------------------------------


def test_the_clock_is_explained_with_its_rule(client: Client) -> None:
    ticket = factories.objection(
        country="IE", received_at=dt.datetime(2026, 3, 5, 12, tzinfo=dt.UTC)
    )

    text = page(client, ticket)

    assert "GDPR Art. 12(3): one month, to the next working day" in text
    assert "Tuesday 7 April 2026" in text


def test_an_open_identity_request_says_whether_the_clock_stands_still(
    client: Client, officer: User
) -> None:
    ticket = factories.objection(country="DE")
    acts.ask_identity.do(
        ticket=ticket, **factories.IDENTITY, version=ticket.version or 0, actor=officer
    )
    unsent = page(client, ticket)
    factories.send_letters(ticket)

    sent = page(client, ticket)

    assert "until then the clock runs" in unsent
    assert "the clock stands still until the answer" in sent


def test_a_letter_that_could_not_be_sent_says_what_can_be_done(client: Client) -> None:
    ticket = factories.objection()
    letter = ticket.letters.get()
    outbox._end(letter, LetterState.FAILED, "letter.failed", "SMTPRecipientsRefused")

    text = page(client, ticket)

    assert "could not be sent" in text
    for name, row in (("letter_again", letter), ("correct_address", ticket)):
        assert reverse(f"admin:objections_ticket_{name}", args=[row.pk]) in text


def test_a_proposal_is_shown_with_its_words_and_a_button_for_a_colleague(
    client: Client, officer: User, second_officer: User, client_of: Any
) -> None:
    filed = factories.objection(purposes=[Purpose.SAFETY], channel="email")
    ticket = factories.reviewed(filed, officer)
    acts.decide.do(
        ticket=ticket,
        outcomes={"safety": Outcome.REFUSED},
        **factories.REFUSAL,
        version=ticket.version or 0,
        actor=officer,
    )
    review = reverse("admin:objections_ticket_review", args=[ticket.pk])

    mine, theirs = page(client, ticket), page(client_of(second_officer), ticket)

    assert "You proposed it, so a colleague has to review it." in mine
    assert [f'{review}">{word}' in mine for word in ("Take it back", "Review it")] == [True, False]
    assert f'{review}">Review it' in theirs
    assert "weighed" in theirs


def test_linked_tickets_are_shown_with_their_states(client: Client, officer: User) -> None:
    first = factories.objection(email="ada@example.org")
    second = factories.reviewed(factories.objection(email="ada@example.org"), officer)

    text = page(client, first)

    assert address(second) in text
    assert "identity not known" in text


@pytest.mark.parametrize(
    ("account_ref", "is_upheld", "badges", "effect"),
    [
        ("", False, ["no account matched: excludes no member yet"], "being examined; no account matched: excludes no member yet"),
        ("", True, ["no account matched: excludes no member"], "upheld; no account matched: excludes no member"),
        ("customer-1", False, [], "out while it is examined"),
        ("customer-1", True, [], "upheld: out for good"),
    ],
)  # fmt: skip
def test_a_ticket_without_an_account_says_that_it_excludes_no_member(
    account_ref: str,
    is_upheld: bool,
    badges: list[str],
    effect: str,
    client: Client,
    officer: User,
) -> None:
    factories.add_member("customer-1")
    ticket = factories.objection(account_ref)
    if is_upheld:
        factories.uphold(ticket, officer)

    text = page(client, ticket)

    standing = text.split('<p class="standing">')[1].split("</p>")[0]
    assert re.findall(r">(no account[^<]*)<", standing) == badges
    assert f">{effect}</span>" in text


def test_a_ticket_decided_with_another_tells_it_in_its_own_timeline(
    client: Client, officer: User
) -> None:
    first = factories.reviewed(factories.objection(email="ada@example.org"), officer)
    second = factories.reviewed(factories.objection(email="ada@example.org"), officer)
    acts.decide.do(
        ticket=first,
        outcomes={"generative-ai": Outcome.UPHELD},
        also={second.reference: second.version or 0},
        version=first.version or 0,
        actor=officer,
    )

    assert f"<strong>Decided</strong> with {first}" in page(client, second)


@pytest.mark.django_db(transaction=True)
def test_runs_that_used_the_data_and_incidents_are_named(
    client: Client, officer: User, second_officer: User, engineer: User
) -> None:
    factories.open_world(officer, second_officer)
    factories.add_member("customer-1")
    run = factories.freeze(engineer).run
    early = timezone.now() - dt.timedelta(days=3)
    clean, late = (
        factories.objection("customer-1"),
        factories.objection("customer-1", received_at=early),
    )

    used, incident = page(client, clean), page(client, late)

    assert run.reference in used and "although we had received the objection" not in used
    assert "although we had received the objection" in incident
    assert "The member is out because an objection of the member is being examined." in used


@pytest.mark.django_db(transaction=True)
def test_an_earlier_receipt_shows_the_incidents_it_would_bring(
    client: Client, officer: User, second_officer: User, engineer: User
) -> None:
    factories.open_world(officer, second_officer)
    factories.add_member("customer-1")
    run = factories.freeze(engineer).run
    ticket = factories.objection("customer-1")
    earlier = timezone.now() - dt.timedelta(days=3)

    response = client.post(
        reverse("admin:objections_ticket_correct_receipt", args=[ticket.pk]),
        {"version": ticket.version, "received_at": f"{earlier:%Y-%m-%dT%H:%M}", "preview": "1"},
    )

    assert f"<strong>{run.reference}</strong>" in response.text
    assert incidents_of([ticket.reference]) == {}


# --- The next steps -----------------------------------------------------------------------------


def possible(ticket: Ticket, reader: User) -> list[str]:
    ticket.refresh_from_db()
    found = steps.steps_of(case_of(ticket), reader, acts.FORWARD)
    return [step.name for step in found if not step.why_not]


def test_the_buttons_follow_the_map_and_the_rules(officer: User, second_officer: User) -> None:
    factories.add_member("customer-1")
    known = factories.objection("customer-1")
    ticket = factories.objection(country="DE", channel="email")

    assert possible(known, officer) == ["begin_review", "withdraw"]
    assert possible(ticket, officer) == ["begin_review", "ask_identity", "withdraw"]

    factories.reviewed(ticket, officer)
    assert possible(ticket, officer) == ["decide", "extend", "withdraw"]

    proposal = acts.withdraw.do(
        ticket=ticket,
        evidence=factories.EVIDENCE,
        version=Ticket.objects.get(pk=ticket.pk).version,
        actor=officer,
    )
    assert possible(ticket, officer) == ["review"]
    assert possible(ticket, second_officer) == ["review"]

    factories.approve(proposal, second_officer)
    assert possible(ticket, officer) == []


@pytest.mark.parametrize("name", [act.name for act in acts.WITH_PAGE])
def test_every_button_leads_to_a_page(name: str, client: Client) -> None:
    ticket = factories.objection()

    response = client.get(reverse(f"admin:objections_ticket_{name}", args=[ticket.pk]))

    assert response.status_code == 200
    assert "What will happen" in response.text


# --- Hostile content ----------------------------------------------------------------------------

MARKUP = "<script>alert(1)</script>{{ name }}"


@pytest.mark.parametrize(
    "words", [MARKUP, "nul\0byte", "\u202eright to left\u202c", "x" * 20_000, "=cmd|' /C calc'!A0"]
)
def test_what_people_write_is_shown_harmlessly(words: str, client: Client, officer: User) -> None:
    ticket = factories.objection(
        name=words[:200],
        statement=words,
        files=[uploads.check(f"{words[:60]}.txt", b"words")],
    )
    client.post(reverse("admin:objections_ticket_note", args=[ticket.pk]), {"text": words[:10_000]})

    pages = [client.get(address(ticket)).text]
    for name in ("decide", "ask_identity", "withdraw", "correct_address"):
        url = reverse(f"admin:objections_ticket_{name}", args=[ticket.pk])
        pages.append(client.get(url).text)
    previewed = client.post(url_of_withdrawal(ticket), {"preview": "1", "evidence": words})

    # What is typed comes back to its author as it was; the letter would not carry it.
    pages.append(escape(previewed.context["letters"][0].body))
    for text in pages:
        assert not {"\0", "\u202e", "\u202c"} & set(text)
    for text in [*pages, previewed.text]:
        assert "<script>alert" not in text


def url_of_withdrawal(ticket: Ticket) -> str:
    return reverse("admin:objections_ticket_withdraw", args=[ticket.pk])


def test_what_an_older_program_left_is_made_visible(client: Client, officer: User) -> None:
    ticket = factories.objection()
    factories.note(ticket=ticket, text="a\u202eb", actor=officer)

    assert "a[U+202E]b" in page(client, ticket)


def test_a_word_of_a_hundred_kilobytes_is_refused_and_said_so(client: Client) -> None:
    ticket = factories.objection()

    response = client.post(
        reverse("admin:objections_ticket_note", args=[ticket.pk]), {"text": "w" * 100_000}
    )

    assert "At most 10,000 characters; these are 100,000." in response.text
    assert not ticket.notes.exists()


# --- Its price ----------------------------------------------------------------------------------


def queries(client: Client, ticket: Ticket) -> int:
    with CaptureQueriesContext(connection) as captured:
        client.get(address(ticket))
    return len(captured)


def grown(officer: User, times: int, account_ref: str = "") -> Ticket:
    """A ticket with `times` notes, files, letters, entries and linked tickets."""
    email = f"ada-{times}@example.org"
    ticket = factories.objection(account_ref, purposes=Purpose.values, email=email)
    for _ in range(times):
        factories.note(ticket=ticket, text="a note", actor=officer)
        factories.attach(ticket=ticket, files=[uploads.check("a.txt", b"words")], actor=officer)
        factories.objection(email=email)
        with_letter(ticket)
    return ticket


def with_letter(ticket: Ticket) -> None:
    with entries.entry("letter.requeued", actor="test", subject=ticket.reference):
        composing.queue(case_of(ticket), LetterKind.ACKNOWLEDGEMENT)


def test_the_page_costs_the_same_with_one_and_with_ten_of_everything(
    client: Client, officer: User
) -> None:
    one, ten = grown(officer, 1), grown(officer, 10)
    queries(client, one)

    found = [queries(client, one), queries(client, ten)]

    assert found[0] == found[1]
    assert found[0] <= 27


def test_where_the_member_stands_costs_two_questions_a_purpose(
    client: Client, officer: User
) -> None:
    factories.add_member("customer-1")
    ticket = grown(officer, 1, "customer-1")
    queries(client, ticket)

    # And eight: the member, what they chose, the runs, and the book of rules.
    assert queries(client, ticket) <= 27 + 8 + 2 * len(Purpose.values)
