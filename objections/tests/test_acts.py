"""What officers do to a ticket, through its pages: each allowed step, each refused one with its sentence."""

import datetime as dt
from html import unescape
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from consent.choices import Purpose
from ledger.models import AccessRecord, Entry
from objections import acts
from objections.acts.previews import STRANGER
from objections.choices import Effect, LetterState, NoteKind, Outcome, TicketState
from objections.clock.days import today
from objections.letters import outbox
from objections.models import Letter, LetterText, Note, ProposedChange, Requester, Ticket
from objections.ticket import checks
from tools import factories

pytestmark = pytest.mark.django_db

TWO = [Purpose.GENERATIVE_AI, Purpose.PERSONALISATION]
UNMATCHED = "No account is matched: it excludes no member."
WORDS = factories.REFUSAL


@pytest.fixture
def client(officer: User, client_of: Any) -> Client:
    return client_of(officer)


def change(ticket: Ticket) -> str:
    return reverse("admin:objections_ticket_change", args=[ticket.pk])


def url(name: str, row: Any) -> str:
    return reverse(f"admin:objections_ticket_{name}", args=[row.pk])


def post(client: Client, name: str, ticket: Ticket, **said: Any) -> Any:
    """The act's form as its reader sees it now, filled in and sent."""
    ticket.refresh_from_db()
    response = client.post(url(name, ticket), {"version": ticket.version, **said})
    ticket.refresh_from_db()
    return response


def shown(response: Any) -> str:
    return unescape(response.text)


# --- Who works it -------------------------------------------------------------------------------


def test_an_officer_takes_a_ticket_gives_it_away_and_lays_it_down(
    client: Client, officer: User, second_officer: User
) -> None:
    ticket = factories.objection()

    found = []
    post(client, "take", ticket)
    found.append(ticket.assignee)
    post(client, "assign", ticket, officer=second_officer.pk)
    found.append(ticket.assignee)
    post(client, "assign", ticket, officer="")
    found.append(ticket.assignee)

    assert found == [officer, second_officer, None]


def test_a_ticket_is_given_only_to_who_works_tickets(client: Client, auditor: User) -> None:
    ticket = factories.objection()

    response = post(client, "assign", ticket, officer=auditor.pk)

    assert "Select a valid choice" in response.text
    assert ticket.assignee is None


def test_a_review_begins_under_the_name_of_who_begins_it(client: Client, officer: User) -> None:
    ticket = factories.objection()

    response = post(client, "begin_review", ticket)

    assert response.url == reverse("admin:objections_ticket_change", args=[ticket.pk])
    assert (ticket.state, ticket.assignee) == (TicketState.IN_REVIEW, officer)


@pytest.mark.parametrize("account", ["", "acc-0"])
def test_an_act_says_who_stays_out_as_it_is(client: Client, account: str) -> None:
    factories.add_members(1)
    ticket = factories.objection(account, **({} if account else {"channel": "email"}))
    sentences = [
        "No account is matched yet, so no member is excluded.",
        "The member stays out of the purposes named.",
    ]

    for name in ("begin_review", "ask_identity"):
        text = shown(client.get(url(name, ticket)))

        assert [one in text for one in sentences] == [not account, bool(account)]


def test_what_a_flood_set_aside_is_released_and_answered(client: Client) -> None:
    ticket = factories.objection(looks_automatic=True)

    post(client, "release", ticket)

    assert (ticket.is_set_aside, ticket.letters.count()) == (False, 1)


def test_what_a_flood_set_aside_is_closed_as_abuse_by_two_people_without_a_letter(
    client: Client, second_officer: User, client_of: Any
) -> None:
    factories.add_member("acc-0")
    ticket = factories.objection("acc-0", is_vouched=False, looks_automatic=True)
    colleague = client_of(second_officer)

    post(client, "close_abuse", ticket, evidence=factories.EVIDENCE)
    own = client.get(url("review", ticket))
    page = colleague.get(url("review", ticket))
    post(colleague, "review", ticket, verdict="approved", reason="the same network")
    closed = shown(client.get(change(ticket)))

    assert "You proposed it yourself" in shown(own)
    assert page.context["letters"] == []
    assert "closed as abuse, and no letter is sent" in shown(page)
    assert factories.EVIDENCE in shown(page)
    assert (ticket.is_closed_as_abuse, ticket.letters.count()) == (True, 0)
    assert "closed as abuse: no letter" in closed
    assert "closed as abuse: stays out" in closed


# --- Who it is ----------------------------------------------------------------------------------


def test_asking_for_identity_sends_the_letter_that_was_previewed(client: Client) -> None:
    ticket = factories.objection(name="Ada")
    said = factories.IDENTITY

    previewed = post(client, "ask_identity", ticket, preview="1", **said)
    post(client, "ask_identity", ticket, **said)

    text = LetterText.objects.get(letter__kind="identity_request")
    assert previewed.context["letters"][0].body == text.body
    assert ticket.state == TicketState.IDENTITY_CHECK


def test_a_preview_records_nothing_and_keeps_what_was_typed(client: Client) -> None:
    ticket = factories.objection()
    before = Entry.objects.count()

    response = post(client, "ask_identity", ticket, preview="1", doubt="two accounts fit")

    assert Entry.objects.count() == before
    assert "Nothing is recorded yet" in response.text
    assert response.text.count("two accounts fit") == 2
    assert "[what you need to know: not written yet]" in response.text


def test_an_identity_answer_begins_the_review_and_moves_the_clock(client: Client) -> None:
    ticket = factories.objection(country="DE")
    post(client, "ask_identity", ticket, **factories.IDENTITY)
    factories.send_letters(ticket)

    post(client, "record_identity", ticket, answered_on=today().isoformat(), how="by mail")

    assert (ticket.state, ticket.is_verified) == (TicketState.IN_REVIEW, True)
    assert Note.objects.get(kind=NoteKind.IDENTITY).text == "by mail"


def test_matching_a_member_keeps_the_reference_out_of_the_address(client: Client) -> None:
    number = factories.add_member("customer-1")
    ticket = factories.objection()

    response = post(client, "match", ticket, account_ref="customer-1", reason="it names it")

    assert ticket.member_id == number
    assert Entry.objects.get(kind="objection.member_matched").reason == "it names it"
    assert "customer-1" not in response.url


def test_matching_an_unknown_account_says_so(client: Client) -> None:
    ticket = factories.objection()

    response = post(client, "match", ticket, account_ref="unknown", reason="a guess")

    assert "No member has this account_ref." in shown(response)
    reads = AccessRecord.objects.filter(subject="member:unknown")
    assert [(read.kind, read.purpose) for read in reads] == [("member.read", ticket.reference)]


def test_two_tickets_of_one_person_are_linked(client: Client) -> None:
    first, second = factories.objection(), factories.objection()

    post(client, "link", second, other=first.reference.lower(), reason="the same hand")

    assert second.linked_to == first


@pytest.mark.parametrize(
    ("other", "sentence"),
    [("OBJ-2026-999999", "There is no such ticket."), ("itself", "That is the same ticket.")],
)
def test_a_link_needs_another_ticket(client: Client, other: str, sentence: str) -> None:
    ticket = factories.objection()

    other = ticket.reference if other == "itself" else other
    response = post(client, "link", ticket, other=other, reason="the same hand")

    assert sentence in shown(response)


def test_an_officer_confirms_an_address_that_the_person_wrote_from(client: Client) -> None:
    ticket = factories.objection()

    page = client.get(url("ask_identity", ticket))
    post(client, "confirm_address", ticket, reason="they wrote from it")

    assert STRANGER in shown(page)
    assert STRANGER not in shown(client.get(url("decide", ticket)))
    assert ticket.confirmed_at is not None
    assert "confirm_address" not in [
        step.name for step in client.get(change(ticket)).context["around"]
    ]


def test_a_corrected_address_is_asked_for_its_word_anew(client: Client) -> None:
    ticket = factories.objection(email="old@example.org")
    post(client, "confirm_address", ticket, reason="they wrote from it")

    post(client, "correct_address", ticket, email="new@example.org", reason="they wrote from it")

    assert ticket.confirmed_at is None
    waiting = ticket.letters.waiting().filter(kind="confirmation")
    assert [row.text.address for row in waiting] == ["new@example.org"]


def test_a_corrected_address_is_where_later_letters_go(client: Client) -> None:
    ticket = factories.objection(email="old@example.org")

    post(client, "correct_address", ticket, email="New@example.org", reason="they wrote from it")

    assert Requester.objects.get().email == "new@example.org"
    assert not Entry.objects.filter(reason__contains="example.org").exists()


# --- The clock ----------------------------------------------------------------------------------


def test_an_earlier_receipt_is_shown_with_what_it_changes_and_then_recorded(
    client: Client,
) -> None:
    ticket = factories.objection(received_at=dt.datetime(2026, 3, 5, 12, tzinfo=dt.UTC))
    said = {"received_at": "2026-01-31T10:00", "reason": "the postmark"}

    previewed = post(client, "correct_receipt", ticket, preview="1", **said)
    unchanged = ticket.received_at
    post(client, "correct_receipt", ticket, **said)

    assert "An answer is due by Monday 2 March 2026." in shown(previewed)
    assert unchanged == dt.datetime(2026, 3, 5, 12, tzinfo=dt.UTC)
    assert (ticket.received_at, ticket.due_on) == (
        dt.datetime(2026, 1, 31, 10, tzinfo=dt.UTC),
        dt.date(2026, 3, 2),
    )


def test_an_earlier_receipt_of_a_ticket_without_an_account_claims_no_search(
    client: Client,
) -> None:
    ticket = factories.objection(received_at=dt.datetime(2026, 3, 5, 12, tzinfo=dt.UTC))
    said = {"received_at": "2026-01-31T10:00", "reason": "the postmark"}

    answer = client.post(
        url("correct_receipt", ticket), {"version": ticket.version, **said}, follow=True
    )

    assert "No account is matched, so no run was looked through." in shown(answer)


def test_a_receipt_is_read_in_the_zone_of_who_answers(client: Client) -> None:
    ticket = factories.objection(received_at=dt.datetime(2026, 7, 5, 12, tzinfo=dt.UTC))

    post(client, "correct_receipt", ticket, received_at="2026-07-01T00:30", reason="the postmark")

    assert ticket.received_at == dt.datetime(2026, 6, 30, 23, 30, tzinfo=dt.UTC)


def test_an_hour_that_autumn_has_twice_is_the_first_of_the_two(client: Client) -> None:
    ticket = factories.objection(received_at=dt.datetime(2026, 7, 5, 12, tzinfo=dt.UTC))

    post(client, "correct_receipt", ticket, received_at="2025-10-26T01:30", reason="the postmark")

    # 01:30 in summer time; in winter time it would be the same hour in UTC.
    assert ticket.received_at == dt.datetime(2025, 10, 26, 0, 30, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("received_at", "sentence"),
    [
        ("0026-03-01T10:00", "Before 2018-05-25."),
        ("0001-01-01T00:00", "Before 2018-05-25."),
        ("9999-12-31T23:59", "In the future."),
    ],
)
def test_a_receipt_that_cannot_be_is_refused_in_its_preview_too(
    client: Client, received_at: str, sentence: str
) -> None:
    factories.add_member("acc-0")
    ticket = factories.objection("acc-0")
    said = {"received_at": received_at, "reason": "the postmark"}

    previewed = post(client, "correct_receipt", ticket, preview="1", **said)
    refused = post(client, "correct_receipt", ticket, **said)

    assert [page.status_code for page in (previewed, refused)] == [200, 200]
    assert sentence in shown(previewed)
    assert sentence in shown(refused)
    assert "the postmark" in previewed.text


def test_a_later_receipt_is_refused_and_what_was_typed_stays(client: Client) -> None:
    ticket = factories.objection(received_at=dt.datetime(2026, 3, 5, 12, tzinfo=dt.UTC))

    response = post(
        client, "correct_receipt", ticket, received_at="2026-03-06T10:00", reason="the postmark"
    )

    assert "Receipt is corrected backwards only" in shown(response)
    assert "the postmark" in response.text


def test_a_receipt_of_a_closed_ticket_is_corrected_and_its_clock_stays(
    client: Client, officer: User
) -> None:
    ticket = factories.uphold(factories.objection(), officer)
    due_on = ticket.due_on
    earlier = {"received_at": "2026-01-31T10:00", "reason": "the postmark"}

    previewed = post(client, "correct_receipt", ticket, preview="1", **earlier)
    post(client, "correct_receipt", ticket, **earlier)

    assert previewed.context["change"]["explained"] == []
    assert (ticket.received_at, ticket.due_on) == (
        dt.datetime(2026, 1, 31, 10, tzinfo=dt.UTC),
        due_on,
    )


def test_another_country_is_shown_with_its_clock_and_then_recorded(client: Client) -> None:
    ticket = factories.objection(received_at=dt.datetime(2026, 1, 2, 12, tzinfo=dt.UTC))
    said = {"country": "US", "is_californian": "on", "reason": "the letterhead"}

    previewed = post(client, "correct_country", ticket, preview="1", **said)
    unchanged = ticket.regime
    post(client, "correct_country", ticket, **said)

    assert "end on Monday 26 January 2026" in shown(previewed)
    assert [unchanged, ticket.regime] == ["eu", "us-ca"]
    assert (ticket.country, ticket.due_on) == ("US", dt.date(2026, 1, 26))
    assert Entry.objects.get(kind="objection.country_corrected").reason == "the letterhead"


def test_an_extension_sends_the_notice_that_was_previewed_and_counts_once_it_is_sent(
    client: Client, officer: User
) -> None:
    ticket = factories.reviewed(factories.objection(country="DE"), officer)
    said = {"ground": "complexity", "explanation": factories.MORE_TIME}

    previewed = post(client, "extend", ticket, preview="1", **said)
    post(client, "extend", ticket, **said)
    waiting = ticket.state
    factories.send_letters(ticket)
    ticket.refresh_from_db()

    assert (
        previewed.context["letters"][0].body
        == LetterText.objects.get(letter__kind="extension").body
    )
    assert [waiting, ticket.state] == [TicketState.IN_REVIEW, TicketState.EXTENDED]


# --- The outcome --------------------------------------------------------------------------------


def test_an_upheld_objection_is_decided_by_one_person(client: Client, officer: User) -> None:
    ticket = factories.reviewed(factories.objection(purposes=TWO), officer)
    said = {"outcome_generative-ai": "upheld", "outcome_personalisation": "upheld"}

    previewed = post(client, "decide", ticket, preview="1", **said)
    post(client, "decide", ticket, **said)

    assert ticket.state == TicketState.UPHELD
    assert (
        previewed.context["letters"][0].body == LetterText.objects.get(letter__kind="upheld").body
    )


def test_a_refusal_takes_a_second_person_and_holds_once_its_letter_is_sent(
    client: Client, officer: User, second_officer: User, client_of: Any
) -> None:
    filed = factories.objection(purposes=TWO, channel="email")
    ticket = factories.reviewed(filed, officer)
    said = {"outcome_generative-ai": "upheld", "outcome_personalisation": "refused", **WORDS}

    previewed = post(client, "decide", ticket, preview="1", **said)
    post(client, "decide", ticket, **said)
    proposed = ticket.state
    other = client_of(second_officer)
    page = other.get(url("review", ticket))
    post(other, "review", ticket, verdict="approved", reason="read it all")
    approved = list(ticket.objections.order_by("purpose").values_list("effect", flat=True))
    factories.send_letters(ticket)
    sent = list(ticket.objections.order_by("purpose").values_list("effect", flat=True))

    text = LetterText.objects.get(letter__kind="partly_upheld").body
    assert [proposed, ticket.state] == [TicketState.IN_REVIEW, TicketState.PARTLY_UPHELD]
    assert [previewed.context["letters"][0].body, page.context["letters"][0].body] == [text, text]
    assert factories.REFUSAL["ground"] in page.text
    assert approved == [Effect.UPHELD, Effect.RESTRICTING]
    assert sent == [Effect.UPHELD, Effect.RESTRICTION_LIFTED]


def test_the_proposer_of_an_outcome_cannot_approve_it(client: Client, officer: User) -> None:
    ticket = proposed(officer)

    page = client.get(url("review", ticket))
    response = post(client, "review", ticket, verdict="approved", reason="mine")

    assert "You proposed it yourself: a colleague reviews it." in page.text
    waiting = shown(client.get(change(ticket)))
    assert "No account is matched yet, so no member is excluded." in waiting
    assert "stays out" not in waiting
    assert 'value="approved"' not in page.text
    assert "The proposer may not approve it" in response.text
    assert ticket.state == TicketState.IN_REVIEW


def test_the_proposer_of_an_outcome_can_take_it_back(client: Client, officer: User) -> None:
    ticket = proposed(officer)

    post(client, "review", ticket, verdict="returned", reason="too thin after all")

    assert checks.waiting_proposal(ticket) is None
    assert ticket.state == TicketState.IN_REVIEW


def test_what_is_sent_back_can_be_decided_anew(
    officer: User, second_officer: User, client_of: Any
) -> None:
    ticket = proposed(officer)

    post(client_of(second_officer), "review", ticket, verdict="returned", reason="too thin")

    assert ticket.state == TicketState.IN_REVIEW
    assert checks.waiting_proposal(ticket) is None


def test_generative_ai_cannot_be_refused(client: Client, officer: User) -> None:
    ticket = factories.reviewed(factories.objection(purposes=TWO), officer)

    page = client.get(url("decide", ticket))
    response = post(
        client,
        "decide",
        ticket,
        **{"outcome_generative-ai": "refused", "outcome_personalisation": "upheld"},
    )

    sentence = "Generative AI: an objection to it is upheld without weighing."
    assert sentence in page.text
    assert response.text.count(sentence) == 2
    assert ticket.state == TicketState.IN_REVIEW


@pytest.mark.parametrize(
    ("missing", "sentence"),
    [
        ("ground", "Name the compelling ground"),
        ("balancing", "Weigh it against what the person says"),
        ("reasons", "Give the reasons the person will read"),
    ],
)
def test_a_refusal_says_what_the_law_asks_for_and_keeps_the_rest(
    client: Client, officer: User, missing: str, sentence: str
) -> None:
    ticket = factories.reviewed(factories.objection(purposes=[Purpose.PERSONALISATION]), officer)
    said = {**WORDS, missing: ""}

    response = post(client, "decide", ticket, outcome_personalisation="refused", **said)

    assert sentence in shown(response)
    assert [word in response.text for word in said.values()] == [True] * 3


def test_linked_open_tickets_are_decided_together(client: Client, officer: User) -> None:
    first = factories.objection(email="ada@example.org")
    second = factories.objection(email="ada@example.org")
    factories.reviewed(second, officer)
    ticket = factories.reviewed(first, officer)

    post(
        client,
        "decide",
        ticket,
        **{"outcome_generative-ai": "upheld", "also": seen(second)},
    )

    second.refresh_from_db()
    assert [ticket.state, second.state] == [TicketState.UPHELD, TicketState.UPHELD]


def seen(*tickets: Ticket) -> list[str]:
    """Linked tickets as a page offers them, each with the version it shows."""
    rows = Ticket.objects.filter(pk__in=[one.pk for one in tickets]).order_by("pk")
    return [f"{one.reference}:{one.version}" for one in rows]


def decided_together(officer: User) -> tuple[Ticket, Ticket]:
    """Two tickets of a member, linked, in review, with an address each."""
    factories.add_member("customer-1")
    first = factories.objection("customer-1", email="ada@example.org")
    second = factories.objection("customer-1", email="ada@elsewhere.example")
    return factories.reviewed(first, officer), factories.reviewed(second, officer)


def test_every_letter_of_a_decision_is_previewed_with_its_address(
    client: Client, officer: User
) -> None:
    first, second = decided_together(officer)
    said = {"outcome_generative-ai": "upheld", "also": seen(second)}

    previewed = post(client, "decide", first, preview="1", **said)
    post(client, "decide", first, **said)

    sent = LetterText.objects.filter(letter__kind="upheld").order_by("pk")
    assert [(one.to, one.body) for one in previewed.context["letters"]] == [
        (text.address, text.body) for text in sent
    ]
    assert len(sent) == 2


def test_only_what_may_be_decided_together_is_offered(client: Client, officer: User) -> None:
    first, second = decided_together(officer)
    stranger = factories.objection(email="ada@example.org")

    page = client.get(url("decide", first)).text

    offered = [f'value="{one}"' in page for one in seen(second, stranger)]
    assert stranger.linked_to == first
    assert offered == [True, False]


def test_a_reviewer_sees_every_letter_and_what_came_with_the_ticket(
    client: Client, officer: User, second_officer: User, client_of: Any
) -> None:
    first, second = decided_together(officer)
    post(client, "attach", first, attachments=[SimpleUploadedFile("a.txt", b"words")])
    factories.objection("customer-1")
    also = seen(second)
    post(client, "decide", first, **{"outcome_generative-ai": "duplicate", "also": also})

    page = client_of(second_officer).get(url("review", first))

    letters_shown = page.context["letters"]
    assert [one.to for one in letters_shown] == ["ada@example.org", "ada@elsewhere.example"]
    assert {one.kind for one in letters_shown} == {"outcome: closed as a duplicate"}
    assert "<strong>Closed as a duplicate</strong>" in page.text
    assert url("attachment", first.attachments.get()) in page.text
    assert "The member is out because" in page.text


@pytest.mark.parametrize(
    ("facts", "sentences"),
    [
        ({}, ["The address is not confirmed: it may be a stranger's.", UNMATCHED]),
        ({"channel": "email"}, [UNMATCHED]),
        ({"channel": "email", "received_at": timezone.now() - dt.timedelta(days=90)}, [UNMATCHED, "The deadline for refusing was"]),
    ],
)  # fmt: skip
def test_who_decides_is_told_first_what_it_may_lack(
    client: Client, officer: User, facts: dict[str, Any], sentences: list[str]
) -> None:
    ticket = factories.objection(purposes=[Purpose.SAFETY], **facts)
    factories.reviewed(ticket, officer)

    found = client.get(url("decide", ticket)).context["warnings"]

    assert len(found) == len(sentences)
    assert [sentence in one for one, sentence in zip(found, sentences, strict=True)] == [
        True
    ] * len(found)


def test_a_duplicate_is_offered_only_while_another_ticket_stands(
    client: Client, officer: User
) -> None:
    alone = factories.reviewed(factories.objection(), officer)
    factories.add_member("customer-1")
    factories.objection("customer-1")
    again = factories.reviewed(factories.objection("customer-1"), officer)

    offered = [
        "another ticket keeps them out" in client.get(url("decide", ticket)).text
        for ticket in (alone, again)
    ]

    assert offered == [False, True]


def test_a_withdrawal_is_proposed_and_its_letter_previewed(
    client: Client, officer: User, second_officer: User, client_of: Any
) -> None:
    ticket = factories.objection(channel="email")
    said = {"evidence": factories.EVIDENCE}

    previewed = post(client, "withdraw", ticket, preview="1", **said)
    post(client, "withdraw", ticket, **said)
    proposal = checks.waiting_proposal(ticket)
    assert proposal
    factories.approve(proposal, second_officer)

    assert (
        previewed.context["letters"][0].body
        == LetterText.objects.get(letter__kind="withdrawn").body
    )


def asked(client: Client, **facts: Any) -> Ticket:
    """A ticket whose identity request is sent."""
    ticket = factories.objection(**facts)
    post(client, "ask_identity", ticket, **factories.IDENTITY)
    factories.send_letters(ticket)
    ticket.refresh_from_db()
    return ticket


def test_silence_closes_a_ticket_only_after_its_time(client: Client) -> None:
    ticket = asked(client)

    page = client.get(url("close_unidentified", ticket))
    early = post(client, "close_unidentified", ticket, evidence=factories.EVIDENCE)

    assert "to answer: silence means nothing before." in page.text
    assert "The person has until" in early.context["form"].non_field_errors()[0]
    assert checks.waiting_proposal(ticket) is None


def test_an_answer_that_does_not_tell_who_it_is_need_not_be_waited_for(client: Client) -> None:
    ticket = asked(client)

    post(client, "close_unidentified", ticket, evidence=factories.EVIDENCE, is_answered="on")

    assert checks.waiting_proposal(ticket) is not None


def test_a_review_goes_on_without_an_answer_about_identity(client: Client) -> None:
    ticket = asked(client)
    before = ticket.due_on

    post(client, "go_on_without_identity", ticket, reason="asked by mistake")

    assert (ticket.state, ticket.is_verified, ticket.due_on) == (
        TicketState.IN_REVIEW,
        False,
        before,
    )
    assert Entry.objects.get(kind="objection.identity_waived").reason == "asked by mistake"


def test_who_answers_before_the_letter_left_is_identified(client: Client) -> None:
    ticket = factories.objection()
    post(client, "ask_identity", ticket, **factories.IDENTITY)

    post(client, "record_identity", ticket, answered_on=today().isoformat(), how="on the phone")

    assert (ticket.state, ticket.is_verified) == (TicketState.IN_REVIEW, True)


@pytest.mark.parametrize(
    ("act", "said"),
    [
        ("record_identity", {"answered_on": "2026-01-01", "how": "a"}),
        ("go_on_without_identity", {"reason": "a"}),
    ],
)
def test_identity_waits_while_an_outcome_does(
    client: Client, act: str, said: dict[str, str]
) -> None:
    ticket = asked(client, channel="email")
    post(client, "withdraw", ticket, evidence=factories.EVIDENCE)

    page = client.get(url(act, ticket))
    response = post(client, act, ticket, **said)

    sentence = "waits for a second person"
    assert [sentence in page.context["why_not"], sentence in response.text] == [True, True]
    assert ticket.state == TicketState.IDENTITY_CHECK


def test_a_second_proposal_waits_for_the_first(client: Client, officer: User) -> None:
    ticket = proposed(officer)

    response = post(client, "withdraw", ticket, evidence=factories.EVIDENCE)

    assert "waits for a second person" in response.text


def proposed(officer: User) -> Ticket:
    filed = factories.objection(purposes=[Purpose.PERSONALISATION], channel="email")
    ticket = factories.reviewed(filed, officer)
    acts.decide.do(
        ticket=ticket,
        outcomes={"personalisation": Outcome.REFUSED},
        version=ticket.version or 0,
        actor=officer,
        **WORDS,
    )
    ticket.refresh_from_db()
    return ticket


def test_a_note_on_a_linked_ticket_is_read_before_both_are_decided(
    client: Client, officer: User
) -> None:
    first, second = decided_together(officer)
    shown_then = seen(second)
    factories.note(ticket=second, text="STOP", actor=officer)

    response = post(
        client, "decide", first, **{"outcome_generative-ai": "upheld", "also": shown_then}
    )

    second.refresh_from_db()
    assert f"{second} was changed in the meantime: look at it again." in shown(response)
    assert [first.state, second.state] == [TicketState.IN_REVIEW, TicketState.IN_REVIEW]
    # What the page shows now can be sent.
    assert f'value="{second.reference}:{second.version}"' in response.text


@pytest.mark.parametrize("also", ["OBJ-2026-000002", "OBJ-2026-000002:x", "1:2:3"])
def test_a_linked_ticket_without_its_version_is_not_decided_together(
    client: Client, officer: User, also: str
) -> None:
    first, _ = decided_together(officer)

    response = post(client, "decide", first, **{"outcome_generative-ai": "upheld", "also": also})

    assert "Select a valid choice" in response.text
    assert first.state == TicketState.IN_REVIEW


def test_who_decided_is_told_to_ask_a_colleague_for_another_address(
    client: Client, officer: User, second_officer: User, client_of: Any
) -> None:
    ticket = proposed(officer)
    proposal = checks.waiting_proposal(ticket)
    assert proposal
    factories.approve(proposal, second_officer)

    page = client.get(url("correct_address", ticket))
    post(client, "correct_address", ticket, email="mine@example.org", reason="x")

    assert "ask a colleague" in page.context["why_not"]
    assert Requester.objects.get().email != "mine@example.org"


def test_a_withdrawal_of_who_is_not_known_waits_for_the_address(client: Client) -> None:
    ticket = factories.objection()

    page = client.get(url("withdraw", ticket))

    assert "Confirm the address first" in page.context["why_not"]


def test_a_step_that_does_not_come_up_is_not_done_whatever_the_service_allows(
    client: Client, officer: User
) -> None:
    ticket = factories.objection()
    post(client, "release", ticket)
    before = Entry.objects.count()

    response = post(client, "release", ticket)

    assert "it is not set aside" in shown(response)
    assert (response.status_code, Entry.objects.count()) == (200, before)


# --- Refused steps ------------------------------------------------------------------------------


def in_state(state: str, officer: User) -> Ticket:
    if state == "logged in":
        factories.add_member("customer-1")
        return factories.objection("customer-1")
    if state == "California":
        return factories.objection(country="US", region="CA")
    if state == "set aside":
        return factories.objection(looks_automatic=True)
    if state == "withdrawal proposed":
        ticket = factories.objection(channel="email")
        return acts.withdraw.do(
            ticket=ticket, evidence=factories.EVIDENCE, version=ticket.version or 0, actor=officer
        ).ticket
    ticket = factories.objection()
    if state == "in review":
        return factories.reviewed(ticket, officer)
    if state == "Switzerland, in review":
        return factories.reviewed(factories.objection(country="CH"), officer)
    if state == "late, in review":
        long_ago = timezone.now() - dt.timedelta(days=60)
        return factories.reviewed(factories.objection(received_at=long_ago), officer)
    if state == "upheld":
        return factories.uphold(ticket, officer)
    if state == "identity asked for":
        return acts.ask_identity.do(
            ticket=ticket, **factories.IDENTITY, version=ticket.version or 0, actor=officer
        )
    assert state == "received"
    return ticket


@pytest.mark.parametrize(
    ("state", "act", "said", "sentence"),
    [
        ("logged in", "ask_identity", factories.IDENTITY, "GDPR Art. 12(6)"),
        ("California", "ask_identity", factories.IDENTITY, "§ 7026(d)"),
        ("in review", "ask_identity", factories.IDENTITY, "cannot become"),
        ("in review", "begin_review", {}, "cannot become"),
        ("identity asked for", "begin_review", {}, "record the answer"),
        ("received", "record_identity", {"answered_on": "2026-01-01", "how": "a"}, "no identity was requested"),
        ("received", "go_on_without_identity", {"reason": "a"}, "no identity was requested"),
        ("in review", "go_on_without_identity", {"reason": "a"}, "no identity was requested"),
        ("logged in", "confirm_address", {"reason": "a"}, "nothing to confirm"),
        ("upheld", "confirm_address", {"reason": "a"}, "nothing to confirm"),
        ("upheld", "take", {}, "closed tickets cannot be assigned"),
        ("upheld", "assign", {"officer": ""}, "closed tickets cannot be assigned"),
        ("set aside", "ask_identity", factories.IDENTITY, "release it first"),
        ("withdrawal proposed", "ask_identity", factories.IDENTITY, "waits for a second person"),
        ("set aside", "withdraw", {"evidence": factories.EVIDENCE}, "release it first"),
        ("received", "decide", {"outcome_generative-ai": "upheld"}, "cannot become upheld"),
        ("received", "extend", {"ground": "number", "explanation": factories.MORE_TIME}, "only a review"),
        ("Switzerland, in review", "extend", {"ground": "number", "explanation": factories.MORE_TIME}, "No extension exists"),
        ("late, in review", "extend", {"ground": "number", "explanation": factories.MORE_TIME}, "The first deadline was"),
        ("received", "close_unidentified", {"evidence": factories.EVIDENCE}, "cannot become"),
        ("upheld", "withdraw", {"evidence": factories.EVIDENCE}, "A closed ticket is not reopened"),
        ("upheld", "decide", {"outcome_generative-ai": "upheld"}, "A closed ticket is not reopened"),
        ("upheld", "correct_country", {"country": "CH", "reason": "a"}, "its clock has run"),
        ("received", "erase", {"reason": "a"}, "is open"),
        ("upheld", "erase", {"reason": "a"}, "has not been sent"),
        ("received", "review", {"verdict": "approved", "reason": "a"}, "Nothing waits"),
        ("logged in", "match", {"account_ref": "customer-1", "reason": "a"}, "belongs to a member already"),
    ],
)  # fmt: skip
def test_a_forbidden_step_is_refused_with_its_sentence(
    state: str, act: str, said: dict[str, str], sentence: str, client: Client, officer: User
) -> None:
    ticket = in_state(state, officer)
    if act == "erase":
        said = {**said, "typed": ticket.reference}
    before = Entry.objects.count()

    page = client.get(url(act, ticket))
    response = post(client, act, ticket, **said)

    assert page.status_code == response.status_code == 200
    assert page.context["form"] is None and page.context["why_not"]
    assert sentence in shown(response)
    assert Entry.objects.count() == before


# --- Two people on one ticket -------------------------------------------------------------------


def test_who_comes_second_is_told_and_keeps_what_was_typed(
    client: Client, officer: User, second_officer: User
) -> None:
    first, *linked = [factories.objection(purposes=TWO, email="a@example.org") for _ in range(3)]
    ticket = factories.reviewed(first, officer)
    ticket.refresh_from_db()
    stale = ticket.version
    acts.assign.do(ticket=ticket, officer=second_officer, version=stale or 0, actor=second_officer)
    said = {"outcome_generative-ai": "upheld", "outcome_personalisation": "refused", **WORDS}
    said["also"] = seen(*linked)

    response = client.post(url("decide", ticket), {"version": stale, **said})
    page = shown(response)

    ticket.refresh_from_db()
    assert f"{ticket} was changed in the meantime" in page
    assert "The latest: Assigned, by otto" in page
    assert [word in page for word in WORDS.values()] == [True] * 3
    assert page.count("checked") == 4
    assert f'name="version" value="{ticket.version}"' in page
    assert ticket.state == TicketState.IN_REVIEW


# --- Words and files ----------------------------------------------------------------------------


def test_a_note_is_kept_under_the_name_of_who_wrote_it(client: Client, officer: User) -> None:
    ticket = factories.objection()

    post(client, "note", ticket, text="called back\u202e twice")

    note = Note.objects.get()
    assert (note.text, note.author_name) == ("called back twice", "olga")


def test_a_file_is_attached_and_given_out_as_a_download_only(client: Client) -> None:
    ticket = factories.objection()
    file = SimpleUploadedFile("=cmd|calc.txt", b"only words", content_type="text/html")

    post(client, "attach", ticket, attachments=[file])
    kept = ticket.attachments.get()
    response = client.get(url("attachment", kept))

    assert b"".join(response.streaming_content) == b"only words"
    assert response["Content-Disposition"] == f'attachment; filename="{kept.name}"'
    assert response["Content-Type"] == "application/octet-stream"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert "no-store" in response["Cache-Control"]
    assert AccessRecord.objects.filter(kind="attachment.read").count() == 1


@pytest.mark.parametrize(
    ("name", "data", "sentence"),
    [
        ("page.html", b"<html>", "no plain text"),
        ("photo.png", b"\x89PNG\r\n\x1a\n", "is damaged or cut off"),
        ("empty.txt", b" ", "is empty"),
    ],
)
def test_a_file_that_is_not_what_we_take_is_refused(
    client: Client, name: str, data: bytes, sentence: str
) -> None:
    ticket = factories.objection()

    response = post(client, "attach", ticket, attachments=[SimpleUploadedFile(name, data)])

    assert sentence in shown(response)
    assert not ticket.attachments.exists()


# --- Letters ------------------------------------------------------------------------------------


def by_post(**more: Any) -> Ticket:
    return factories.objection(
        email="", postal_address="1 Main Street", channel="paper", name="Ada", **more
    )


def test_a_letter_by_post_is_downloaded_and_recorded_as_posted(client: Client) -> None:
    letter = by_post().letters.get()

    text = client.get(url("letter_text", letter))
    posted = client.post(url("letter_posted", letter), {"posted_on": today().isoformat()})

    letter.refresh_from_db()
    assert text["Content-Type"] == "text/plain; charset=utf-8"
    assert text["Content-Disposition"].startswith('attachment; filename="OBJ-')
    assert text.text.startswith("Ada\n1 Main Street\n\n")
    assert (posted.status_code, letter.state) == (302, LetterState.SENT)


def test_a_letter_is_not_posted_on_a_day_that_cannot_be(client: Client) -> None:
    letter = by_post().letters.get()

    response = client.post(url("letter_posted", letter), {"posted_on": "2020-01-01"})

    letter.refresh_from_db()
    assert "(when it was written) to today" in response.text
    assert letter.state == LetterState.WAITING


def test_a_failed_letter_is_tried_again_to_the_corrected_address(client: Client) -> None:
    ticket = factories.objection(email="gone@example.org", channel="email")
    letter = ticket.letters.get()
    outbox._end(letter, LetterState.FAILED, "letter.failed", "SMTPRecipientsRefused")
    post(client, "correct_address", ticket, email="new@example.org", reason="they called")

    client.post(url("letter_again", letter))

    letter.refresh_from_db()
    assert (letter.state, letter.text.address) == (LetterState.WAITING, "new@example.org")


@pytest.mark.parametrize("kind", ["confirmation", "acknowledgement"])
def test_a_letter_that_was_sent_is_sent_once_more(client: Client, kind: str) -> None:
    ticket = factories.objection(channel="form" if kind == "confirmation" else "email")
    factories.send_letters(ticket)
    letter = ticket.letters.get()

    offered = url("letter_repeat", letter) in client.get(change(ticket)).text
    client.post(url("letter_repeat", letter))

    again = ticket.letters.exclude(pk=letter.pk).get()
    assert offered
    assert (again.kind, again.state) == (kind, LetterState.WAITING)


def test_a_letter_that_is_not_out_yet_is_not_sent_once_more(client: Client) -> None:
    letter = factories.objection().letters.get()

    response = client.post(url("letter_repeat", letter))

    assert "only a letter that was sent is sent once more" in response.text
    assert Letter.objects.count() == 1


def test_an_erased_letter_is_not_sent_once_more(
    client: Client, officer: User, second_officer: User
) -> None:
    ticket = answered(officer)
    factories.erase_words(ticket, officer, second_officer)

    response = client.post(url("letter_repeat", ticket.letters.latest("pk")))

    assert "is erased, this letter's text with it." in shown(response)


def test_a_letter_without_a_postal_address_is_not_recorded_as_posted(client: Client) -> None:
    ticket = factories.objection()
    letter = ticket.letters.get()
    outbox._end(letter, LetterState.FAILED, "letter.failed", "SMTPRecipientsRefused")

    response = client.post(url("letter_posted", letter), {"posted_on": today().isoformat()})

    assert "No postal address is known" in response.text


def test_a_letter_that_did_not_fail_is_not_tried_again(client: Client) -> None:
    letter = factories.objection().letters.get()

    response = client.post(url("letter_again", letter))

    assert "only a failed one is tried again" in response.text


@pytest.mark.parametrize("state", ["on its way", "cancelled"])
def test_only_a_letter_that_waits_for_the_post_is_recorded_as_posted(
    client: Client, state: str
) -> None:
    letter = factories.objection().letters.get()
    if state == "cancelled":
        outbox._cancel(letter, "not asked for any more")

    response = client.post(url("letter_posted", letter), {"posted_on": today().isoformat()})

    letter.refresh_from_db()
    assert "It is on its way by e-mail." in response.text or "nothing to post" in response.text
    assert letter.state != LetterState.SENT


# --- Erasing ------------------------------------------------------------------------------------


def answered(officer: User) -> Ticket:
    ticket = factories.uphold(factories.objection(statement="please stop"), officer)
    factories.send_letters(ticket)
    ticket.refresh_from_db()
    return ticket


def test_an_erasure_is_proposed_once_the_reference_is_typed(
    client: Client, officer: User, settings: Any
) -> None:
    ticket = answered(officer)
    settings.OBJECTION_RETENTION_DAYS = 0

    wrong = post(client, "erase", ticket, typed="OBJ", reason="asked for")
    proposed = ProposedChange.objects.exists()
    post(client, "erase", ticket, typed=ticket.reference, reason="asked for")

    assert f"Type {ticket.reference}. Nothing was erased." in wrong.text
    assert not proposed
    assert ProposedChange.objects.get().subject == ticket.reference
    assert Requester.objects.exists()


@pytest.mark.parametrize("act", ["note", "attach"])
def test_nothing_is_added_to_what_is_erased(
    client: Client, officer: User, second_officer: User, act: str
) -> None:
    ticket = answered(officer)
    factories.erase_words(ticket, officer, second_officer)
    said = (
        {"text": "her number is"}
        if act == "note"
        else {"attachments": [SimpleUploadedFile("a.txt", b"words")]}
    )

    response = client.post(url(act, ticket), said)

    assert "is erased: nothing is added to it." in response.text
    assert not (Note.objects.exists() or ticket.attachments.exists())


# --- Keying one in ------------------------------------------------------------------------------

KEYED = {
    "source_id": "abc",
    "channel": "paper",
    "kind": "objection",
    "purposes": ["generative-ai", "safety"],
    "name": "Ada",
    "postal_address": "1 Main Street",
    "country": "US",
    "is_californian": "on",
    "received_at": "2026-01-02T09:00",
    "is_that_old": "on",
    "statement": "Stop.",
}
ADD = "admin:objections_ticket_add"


def test_a_letter_on_paper_is_keyed_in_with_its_own_day(client: Client) -> None:
    file = SimpleUploadedFile("scan.txt", b"words")

    response = client.post(reverse(ADD), {**KEYED, "attachments": [file]})

    ticket = Ticket.objects.worked().get()
    assert response.url == reverse("admin:objections_ticket_change", args=[ticket.pk])
    assert (ticket.channel, ticket.regime, ticket.due_on) == (
        "paper",
        "us-ca",
        dt.date(2026, 1, 26),
    )
    assert ticket.attachments.count() == 1
    assert Letter.objects.get().kind == "acknowledgement"


def test_a_receipt_long_ago_is_taken_only_once_it_is_confirmed(client: Client) -> None:
    response = client.post(reverse(ADD), {**KEYED, "is_that_old": ""})

    assert "Friday 2 January 2026 is more than 31 days ago" in shown(response)
    assert not Ticket.objects.worked().exists()


def test_law_and_date_are_shown_before_anything_is_recorded(client: Client) -> None:
    response = client.post(reverse(ADD), {**KEYED, "purposes": [], "preview": "1"})

    assert "California (CCPA): an answer is due by Monday 26 January 2026." in shown(response)
    assert not response.context["form"].errors
    assert not Ticket.objects.worked().exists()


def test_a_form_sent_twice_is_one_ticket(client: Client) -> None:
    client.post(reverse(ADD), KEYED)
    client.post(reverse(ADD), KEYED)

    assert Ticket.objects.worked().count() == 1


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"postal_address": ""}, "We need an address to answer to."),
        ({"email": "nonsense"}, "An e-mail address, like name@example.org."),
        ({"purposes": []}, "This field is required."),
        ({"country": "DE"}, "California is in the United States."),
        ({"received_at": "2030-01-01T00:00"}, "In the future."),
        ({"received_at": "1999-01-01T00:00"}, "Before 2018-05-25."),
        ({"received_at": "2026-03-29T01:30"}, "be interpreted in time zone"),
    ],
)
def test_what_cannot_be_keyed_in_is_said_and_nothing_typed_is_lost(
    client: Client, change: dict[str, Any], sentence: str
) -> None:
    response = client.post(reverse(ADD), {**KEYED, **change})

    assert sentence in shown(response)
    assert "Stop." in response.text
    assert not Ticket.objects.worked().exists()


# --- Who may ------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["auditor", "engineer", "administrator", "stranger"])
def test_only_officers_open_an_act(
    role: str, request: pytest.FixtureRequest, client_of: Any
) -> None:
    ticket = by_post()
    letter = ticket.letters.get()
    client = client_of(request.getfixturevalue(role))
    pages = [url(act.name, ticket) for act in acts.WITH_PAGE]
    pages += [url(name, letter) for name in ("letter", "letter_text", "letter_again")]
    pages += [url("letter_repeat", letter), url("letter_returned", letter)]
    pages += [url("letter_posted", letter), reverse(ADD)]

    found = {(client.get(page).status_code, client.post(page).status_code) for page in pages}

    assert found <= {(403, 403), (403, 405)}


def test_opening_an_act_leaves_a_record_of_the_reader(client: Client, officer: User) -> None:
    ticket = factories.objection()

    client.get(url("decide", ticket))

    read = AccessRecord.objects.get()
    assert (read.user, read.kind, read.subject) == (officer, "ticket.read", ticket.reference)
