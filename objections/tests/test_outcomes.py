"""Exclusions and their time: an outcome that ends one takes a second person and a letter."""

import datetime as dt
import itertools

import pytest
import time_machine
from django.core import mail

from common.errors import StaleEdit
from consent.choices import Purpose
from ledger.errors import InvalidInput, Refusal
from ledger.models import Entry
from objections import acts, tasks
from objections.acts import outcomes as ends
from objections.acts import required_words
from objections.choices import FINAL_STATES, NEXT_STATES, Effect, Outcome, TicketState
from objections.errors import (
    AlreadyProposed,
    AlreadySettled,
    CannotBeRefused,
    ForbiddenMove,
    LetterNotSent,
    NeedsSecondPerson,
    NotAllowedHere,
    PersonalDataErased,
)
from objections.models import Letter, Objection, Proposal, Requester, Ticket
from objections.ticket import uploads
from objections.ticket.case import case_of
from objections.ticket.states import move
from tools import factories

pytestmark = [pytest.mark.django_db, pytest.mark.one_engine]

EARLIER = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
AI, PERSONAL, SAFETY = Purpose.GENERATIVE_AI, Purpose.PERSONALISATION, Purpose.SAFETY
WEIGHED = factories.REFUSAL


@pytest.fixture
def member() -> int:
    return factories.add_members(3)[0]


def effects(ticket: Ticket) -> dict[str, str]:
    return dict(ticket.objections.values_list("purpose", "effect"))


def decide(ticket, officer, outcomes, **words):
    ticket.refresh_from_db()
    return acts.decide.do(
        ticket=ticket, outcomes=outcomes, version=ticket.version, actor=officer, **words
    )


# --- Closed as abuse ----------------------------------------------------------------------------


def close_as_abuse(ticket, officer, second_officer):
    ticket.refresh_from_db()
    proposal = acts.close_abuse.do(
        ticket=ticket, evidence=factories.EVIDENCE, version=ticket.version, actor=officer
    )
    return factories.approve(proposal, second_officer)


@pytest.mark.parametrize("is_reviewed", [False, True])
def test_closing_as_abuse_sends_no_letter_and_ends_no_exclusion(
    is_reviewed, member, officer, second_officer
):
    ticket = factories.objection("acc-0", is_vouched=False, looks_automatic=True)
    if is_reviewed:
        factories.reviewed(ticket, officer)

    closed = close_as_abuse(ticket, officer, second_officer)
    factories.send_letters(ticket)

    assert (closed.state, closed.is_closed_as_abuse) == (TicketState.CLOSED_UNIDENTIFIED, True)
    assert list(ticket.objections.values_list("outcome", "effect")) == [
        ("unidentified", "restricting")
    ]
    assert {o.member_id for o in Objection.objects.restricting(AI)} == {member}
    assert (Letter.objects.count(), mail.outbox) == (0, [])


def test_closing_as_abuse_takes_two_people_and_what_was_set_aside(member, officer, second_officer):
    aside = factories.objection("acc-0", is_vouched=False, looks_automatic=True)
    genuine = factories.objection("acc-1", is_vouched=False)

    with pytest.raises(NotAllowedHere, match="gets an answer"):
        close_as_abuse(genuine, officer, second_officer)
    with pytest.raises(NeedsSecondPerson):
        close_as_abuse(aside, officer, officer)
    with pytest.raises(AlreadyProposed):
        factories.release(ticket=aside, actor=second_officer)
    with pytest.raises(AlreadyProposed):
        close_as_abuse(aside, second_officer, officer)

    assert {one.state for one in Ticket.objects.all()} == {TicketState.RECEIVED}
    assert Letter.objects.exclude(ticket=genuine).count() == 0


def test_what_was_closed_as_abuse_is_neither_released_nor_closed_again(
    member, officer, second_officer
):
    ticket = factories.objection("acc-0", is_vouched=False, looks_automatic=True)
    close_as_abuse(ticket, officer, second_officer)

    with pytest.raises(ForbiddenMove, match="closed as abuse"):
        factories.release(ticket=ticket, actor=officer)
    with pytest.raises(ForbiddenMove, match="not reopened"):
        close_as_abuse(ticket, officer, second_officer)

    assert Letter.objects.count() == 0


def test_a_ticket_that_is_not_set_aside_has_no_way_to_be_closed_without_a_letter():
    ticket = factories.objection()

    with pytest.raises(ForbiddenMove):
        move(ticket, TicketState.CLOSED_UNIDENTIFIED)


def seen(*tickets: Ticket) -> dict[str, int]:
    """Tickets decided together with another, each as its reader sees it now."""
    rows = Ticket.objects.filter(pk__in=[one.pk for one in tickets])
    return dict(rows.values_list("reference", "version"))


# --- Upheld -------------------------------------------------------------------------------------


def test_an_objection_restricts_in_the_entry_that_records_it(member):
    ticket = factories.objection("acc-0", purposes=[AI, SAFETY])

    entry = Entry.objects.get(kind="objection.received")
    assert [row.entry_id for row in Objection.history.all()] == [entry.pk, entry.pk]
    assert {o.member_id for o in Objection.objects.restricting(AI)} == {member}
    assert {o.member_id for o in Objection.objects.restricting(SAFETY)} == {member}
    assert not Objection.objects.restricting(PERSONAL).exists()
    assert entry.subject == ticket.reference


def test_upholding_holds_at_once_and_for_good(member, officer):
    ticket = factories.uphold(factories.objection("acc-0", purposes=[AI, SAFETY]), officer)

    assert effects(ticket) == {AI: Effect.UPHELD, SAFETY: Effect.UPHELD}
    assert ticket.state == TicketState.UPHELD

    factories.send_letters(ticket)

    ticket.refresh_from_db()
    assert effects(ticket) == {AI: Effect.UPHELD, SAFETY: Effect.UPHELD}
    assert ticket.answered_at is not None


# --- Refused ------------------------------------------------------------------------------------


def test_a_refusal_takes_effect_only_after_its_letter_is_sent(member, officer, second_officer):
    ticket = factories.reviewed(factories.objection("acc-0", purposes=[SAFETY]), officer)

    proposal = decide(ticket, officer, {SAFETY: Outcome.REFUSED}, **WEIGHED)
    assert (effects(ticket), proposal.ticket.state) == (
        {SAFETY: "restricting"},
        TicketState.IN_REVIEW,
    )

    ticket = factories.approve(proposal, second_officer)
    assert (effects(ticket), ticket.state) == ({SAFETY: "restricting"}, TicketState.REFUSED)

    factories.send_letters(ticket)
    assert effects(ticket) == {SAFETY: "restriction_lifted"}
    lifted = Objection.history.filter(effect="restriction_lifted").get()
    assert Entry.objects.get(pk=lifted.entry_id).kind == "letter.sent"
    body = " ".join(mail.outbox[-1].body.split())
    assert all(word in body for word in WEIGHED.values())


def test_a_refusal_whose_letter_cannot_be_sent_keeps_the_person_out(
    member, officer, second_officer, settings
):
    ticket = factories.reviewed(factories.objection("acc-0", purposes=[SAFETY]), officer)
    factories.approve(decide(ticket, officer, {SAFETY: Outcome.REFUSED}, **WEIGHED), second_officer)
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 9

    factories.send_letters(ticket)

    assert effects(ticket) == {SAFETY: "restricting"}
    assert ticket.letters.get(kind="refused").state == "waiting"


def test_part_of_a_ticket_is_upheld_and_part_refused(member, officer, second_officer):
    ticket = factories.objection("acc-0", purposes=[AI, PERSONAL, SAFETY])
    factories.reviewed(ticket, officer)

    proposal = decide(
        ticket,
        officer,
        {AI: Outcome.UPHELD, PERSONAL: Outcome.UPHELD, SAFETY: Outcome.REFUSED},
        **WEIGHED,
    )
    ticket = factories.approve(proposal, second_officer)
    assert ticket.state == TicketState.PARTLY_UPHELD
    assert effects(ticket) == {AI: "upheld", PERSONAL: "upheld", SAFETY: "restricting"}

    factories.send_letters(ticket)
    assert effects(ticket) == {AI: "upheld", PERSONAL: "upheld", SAFETY: "restriction_lifted"}


def test_generative_ai_cannot_be_refused(member, officer):
    ticket = factories.reviewed(factories.objection("acc-0"), officer)

    with pytest.raises(CannotBeRefused, match="upheld without weighing"):
        decide(ticket, officer, {AI: Outcome.REFUSED}, **WEIGHED)

    assert effects(ticket) == {AI: "restricting"}


@pytest.mark.parametrize("missing", WEIGHED)
def test_a_refusal_needs_ground_balancing_and_reasons(missing, member, officer):
    ticket = factories.reviewed(factories.objection("acc-0", purposes=[SAFETY]), officer)

    with pytest.raises(InvalidInput) as refusal:
        decide(ticket, officer, {SAFETY: Outcome.REFUSED}, **{**WEIGHED, missing: " \u200b"})

    assert refusal.value.field == missing


@pytest.mark.parametrize("field", WEIGHED)
@pytest.mark.parametrize(
    "text", ["x", "." * 400, "No. " * 9, "\u0301" * 60, "a" * 39 + "1234567890", "🙂" * 50]
)
def test_a_refusal_needs_forty_letters_of_each(field, text, member, officer):
    ticket = factories.reviewed(factories.objection("acc-0", purposes=[SAFETY]), officer)

    with pytest.raises(InvalidInput, match="at least") as refusal:
        decide(ticket, officer, {SAFETY: Outcome.REFUSED}, **{**WEIGHED, field: text})

    assert refusal.value.field == field
    assert not ticket.proposals.exists()


@pytest.mark.parametrize("field", WEIGHED)
def test_what_the_form_asks_is_no_reason(field, member, officer):
    ticket = factories.reviewed(factories.objection("acc-0", purposes=[SAFETY]), officer)
    for other in WEIGHED:
        asked = required_words.FIELDS[other]
        for text in (
            asked.help_text,
            f"{asked.why.upper()}!",
            f" {asked.label}: {asked.help_text}",
        ):
            with pytest.raises(InvalidInput) as refusal:
                decide(ticket, officer, {SAFETY: Outcome.REFUSED}, **{**WEIGHED, field: text})

            assert refusal.value.field == field


def test_a_refusal_says_three_things(member, officer):
    ticket = factories.reviewed(factories.objection("acc-0", purposes=[SAFETY]), officer)
    same = {**WEIGHED, "reasons": f"{WEIGHED['ground'].upper()}!"}

    with pytest.raises(InvalidInput, match="repeats the field “The compelling ground”") as refusal:
        decide(ticket, officer, {SAFETY: Outcome.REFUSED}, **same)

    assert refusal.value.field == "reasons"


def test_a_person_who_did_not_answer_is_not_told_that_we_are_late(member, officer, second_officer):
    with time_machine.travel("2026-03-05T12:00Z", tick=False):
        ticket = factories.objection("acc-0", is_vouched=False)
        acts.ask_identity.do(ticket=ticket, **factories.IDENTITY, version=1, actor=officer)
        factories.send_letters(ticket)

    with time_machine.travel("2026-04-10T12:00Z", tick=False):
        ticket.refresh_from_db()
        outcomes = {AI: Outcome.UNIDENTIFIED}
        (previewed,) = ends.outcome_letters(
            [case_of(ticket)], TicketState.CLOSED_UNIDENTIFIED, outcomes, {}
        )
        proposal = acts.close_unidentified.do(
            ticket=ticket, evidence=factories.EVIDENCE, version=ticket.version, actor=officer
        )
        factories.send_letters(factories.approve(proposal, second_officer))

    assert previewed.values["timeliness"] == "This answer was due by 11 May 2026."
    assert "This answer was due by 11 May 2026. Why" in " ".join(mail.outbox[-1].body.split())


def test_a_californian_is_not_refused_by_weighing(member, officer):
    ticket = factories.objection("acc-0", purposes=[SAFETY, PERSONAL], country="US", region="CA")
    factories.reviewed(ticket, officer)

    with pytest.raises(CannotBeRefused, match="California weighs no opt-out"):
        decide(ticket, officer, {SAFETY: Outcome.REFUSED, PERSONAL: Outcome.UPHELD}, **WEIGHED)

    assert effects(ticket) == {SAFETY: "restricting", PERSONAL: "restricting"}


def test_a_refusal_is_not_approved_once_its_person_is_a_californian(
    member, officer, second_officer
):
    ticket = factories.objection(
        "acc-0", is_vouched=False, channel="email", purposes=[SAFETY], country="DE"
    )
    proposal = decide(
        factories.reviewed(ticket, officer), officer, {SAFETY: Outcome.REFUSED}, **WEIGHED
    )
    move_to_california(ticket, officer)

    with pytest.raises(CannotBeRefused):
        factories.approve(proposal, second_officer)

    assert effects(ticket) == {SAFETY: "restricting"}


@pytest.mark.parametrize(
    ("decided_on", "said"),
    [
        ("2026-04-07", "This answer was due by 7 April 2026. We are sorry"),
        (
            "2026-04-08",
            "This answer was due by 7 April 2026. It is late, and we apologise for the delay. We",
        ),
    ],
)
def test_a_refusal_after_its_date_says_so(decided_on, said, member, officer, second_officer):
    with time_machine.travel("2026-03-05T12:00Z", tick=False):
        ticket = factories.reviewed(factories.objection("acc-0", purposes=[SAFETY]), officer)

    with time_machine.travel(f"{decided_on}T12:00Z", tick=False):
        proposal = decide(ticket, officer, {SAFETY: Outcome.REFUSED}, **WEIGHED)
        factories.send_letters(factories.approve(proposal, second_officer))

    assert said in " ".join(mail.outbox[-1].body.split())


def test_an_identity_request_names_the_day_by_which_to_answer(member, officer):
    with time_machine.travel("2026-03-05T12:00Z", tick=False):
        ticket = factories.objection("acc-0", is_vouched=False)
        acts.ask_identity.do(ticket=ticket, **factories.IDENTITY, version=1, actor=officer)
        factories.send_letters(ticket)

    assert "Please answer by 3 April 2026." in " ".join(mail.outbox[-1].body.split())


@pytest.mark.parametrize("field", factories.IDENTITY)
def test_an_identity_request_needs_more_than_one_word(field, member, officer):
    ticket = factories.objection("acc-0", is_vouched=False)

    with pytest.raises(InvalidInput) as refusal:
        acts.ask_identity.do(
            ticket=ticket, **{**factories.IDENTITY, field: "x"}, version=1, actor=officer
        )

    assert refusal.value.field == field


def test_an_officer_cannot_approve_their_own_refusal(member, officer, second_officer):
    ticket = factories.reviewed(factories.objection("acc-0", purposes=[SAFETY]), officer)
    proposal = decide(ticket, officer, {SAFETY: Outcome.REFUSED}, **WEIGHED)

    with pytest.raises(NeedsSecondPerson):
        factories.approve(proposal, officer)

    assert effects(ticket) == {SAFETY: "restricting"}
    assert factories.approve(proposal, second_officer).state == TicketState.REFUSED


def test_a_proposal_sent_back_changes_nothing_and_can_be_made_again(
    member, officer, second_officer
):
    ticket = factories.reviewed(factories.objection("acc-0", purposes=[SAFETY]), officer)
    proposal = decide(ticket, officer, {SAFETY: Outcome.REFUSED}, **WEIGHED)
    ticket.refresh_from_db()

    acts.review.do(
        ticket=proposal.ticket,
        verdict="returned",
        version=ticket.version,
        actor=second_officer,
        reason="test",
    )

    ticket.refresh_from_db()
    assert (ticket.state, effects(ticket)) == (TicketState.IN_REVIEW, {SAFETY: "restricting"})
    with pytest.raises(AlreadySettled):
        factories.approve(proposal, second_officer)
    assert isinstance(decide(ticket, officer, {SAFETY: Outcome.REFUSED}, **WEIGHED), Proposal)


def test_while_an_outcome_waits_for_a_second_person_nothing_else_is_decided(member, officer):
    ticket = factories.reviewed(factories.objection("acc-0", purposes=[SAFETY]), officer)
    decide(ticket, officer, {SAFETY: Outcome.REFUSED}, **WEIGHED)

    with pytest.raises(AlreadyProposed):
        decide(ticket, officer, {SAFETY: Outcome.UPHELD})


def test_every_purpose_is_decided_on(member, officer):
    ticket = factories.reviewed(factories.objection("acc-0", purposes=[AI, SAFETY]), officer)

    with pytest.raises(InvalidInput, match="each purpose"):
        decide(ticket, officer, {AI: Outcome.UPHELD})
    with pytest.raises(InvalidInput, match="each purpose"):
        decide(ticket, officer, dict.fromkeys([AI, SAFETY, PERSONAL], Outcome.UPHELD))


@pytest.mark.parametrize("word", [Outcome.WITHDRAWN, Outcome.UNIDENTIFIED, "nonsense", ""])
def test_what_is_no_outcome_of_an_examination_is_refused(word, member, officer):
    ticket = factories.reviewed(factories.objection("acc-0"), officer)

    with pytest.raises(InvalidInput) as refusal:
        decide(ticket, officer, {AI: word})

    assert refusal.value.field == "outcomes"


# --- No exclusion ends by time, silence or mistake -----------------------------------------------


@pytest.mark.parametrize(
    "state", [TicketState.RECEIVED, TicketState.IDENTITY_CHECK, TicketState.IN_REVIEW]
)
def test_years_of_silence_lift_nothing(state, member, officer):
    with time_machine.travel(dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC), tick=False):
        ticket = factories.objection("acc-0", is_vouched=False)
        if state == TicketState.IDENTITY_CHECK:
            acts.ask_identity.do(ticket=ticket, **factories.IDENTITY, version=1, actor=officer)
        elif state == TicketState.IN_REVIEW:
            factories.reviewed(ticket, officer)
        factories.send_letters(ticket)

    with time_machine.travel(dt.datetime(2036, 3, 2, 12, tzinfo=dt.UTC), tick=False):
        tasks.erase_expired()
        tasks.send_letters()

    ticket.refresh_from_db()
    assert (ticket.state, effects(ticket)) == (state, {AI: "restricting"})


def test_a_withdrawal_takes_a_second_person_and_a_letter(member, officer, second_officer):
    ticket = factories.objection("acc-0")

    proposal = acts.withdraw.do(
        ticket=ticket, evidence=factories.EVIDENCE, version=1, actor=officer
    )
    assert effects(ticket) == {AI: "restricting"}
    with pytest.raises(NeedsSecondPerson):
        factories.approve(proposal, officer)
    ticket = factories.approve(proposal, second_officer)
    assert (ticket.state, effects(ticket)) == (TicketState.WITHDRAWN, {AI: "restricting"})

    factories.send_letters(ticket)
    assert effects(ticket) == {AI: "restriction_lifted"}
    assert factories.EVIDENCE in " ".join(mail.outbox[-1].body.split())


def test_a_ticket_is_closed_unidentified_only_after_asking_and_waiting(
    member, officer, second_officer
):
    asked = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)
    with time_machine.travel(asked, tick=False):
        ticket = factories.objection("acc-0", is_vouched=False)
        acts.ask_identity.do(ticket=ticket, **factories.IDENTITY, version=1, actor=officer)
        ticket.refresh_from_db()

        def propose():
            ticket.refresh_from_db()
            return acts.close_unidentified.do(
                ticket=ticket, evidence=factories.EVIDENCE, version=ticket.version, actor=officer
            )

        with pytest.raises(LetterNotSent):
            propose()
        factories.send_letters(ticket)
    with (
        time_machine.travel(asked + dt.timedelta(days=29), tick=False),
        pytest.raises(NotAllowedHere, match="until 2026-04-01"),
    ):
        propose()
    with time_machine.travel(asked + dt.timedelta(days=30), tick=False):
        ticket = factories.approve(propose(), second_officer)
        assert (ticket.state, effects(ticket)) == ("closed_unidentified", {AI: "restricting"})
        # The clock stood still for the thirty days: 2 April, and they were not lost on us.
        assert ticket.due_on == dt.date(2026, 5, 5)
        factories.send_letters(ticket)

    assert effects(ticket) == {AI: "restriction_lifted"}


# --- Duplicates, linked tickets -----------------------------------------------------------------


def test_a_duplicate_is_closed_while_the_other_ticket_keeps_the_person_out(
    member, officer, second_officer
):
    first = factories.objection("acc-0")
    second = factories.reviewed(factories.objection("acc-0"), officer)
    assert second.linked_to == first

    proposal = decide(second, officer, {AI: Outcome.DUPLICATE})
    factories.send_letters(factories.approve(proposal, second_officer))

    assert (effects(first), effects(second)) == ({AI: "restricting"}, {AI: "restriction_lifted"})


def test_what_has_no_other_ticket_is_no_duplicate(member, officer):
    ticket = factories.reviewed(factories.objection("acc-0"), officer)
    factories.objection("acc-0", purposes=[SAFETY])
    factories.objection("acc-1")

    with pytest.raises(NotAllowedHere, match="no duplicate"):
        decide(ticket, officer, {AI: Outcome.DUPLICATE})


def test_two_tickets_cannot_be_duplicates_of_each_other(member, officer, second_officer):
    first = factories.reviewed(factories.objection("acc-0"), officer)
    second = factories.reviewed(factories.objection("acc-0"), officer)
    of_second = decide(second, officer, {AI: Outcome.DUPLICATE})
    of_first = decide(first, officer, {AI: Outcome.DUPLICATE})

    factories.approve(of_second, second_officer)
    with pytest.raises(NotAllowedHere, match="no duplicate"):
        factories.approve(of_first, second_officer)
    factories.send_letters(second)

    assert (effects(first), effects(second)) == ({AI: "restricting"}, {AI: "restriction_lifted"})


def test_a_duplicate_stays_in_force_when_the_other_ticket_falls_before_its_letter(
    member, officer, second_officer
):
    first = factories.objection("acc-0", purposes=[SAFETY])
    second = factories.reviewed(factories.objection("acc-0", purposes=[SAFETY]), officer)
    proposal = decide(second, officer, {SAFETY: Outcome.DUPLICATE})
    factories.approve(proposal, second_officer)
    factories.send_letters(factories.withdraw(first, officer, second_officer))

    factories.send_letters(second)

    assert (effects(first), effects(second)) == (
        {SAFETY: "restriction_lifted"},
        {SAFETY: "restricting"},
    )


def test_an_unverified_ticket_closes_no_verified_one(member, officer):
    known = factories.objection("acc-0")
    unknown = factories.reviewed(factories.objection("acc-0", is_vouched=False), officer)
    assert (known.is_verified, unknown.is_verified) == (True, False)
    assert unknown.linked_to == known
    factories.reviewed(known, officer)

    with pytest.raises(NotAllowedHere, match="never closes a verified one"):
        decide(unknown, officer, {AI: Outcome.UPHELD}, also=seen(known))
    # And a verified one is no duplicate of an unverified one.
    with pytest.raises(NotAllowedHere, match="no duplicate"):
        decide(known, officer, {AI: Outcome.DUPLICATE})


def test_linked_tickets_are_decided_together_and_answered_by_one_letter_an_address(member, officer):
    first = factories.reviewed(factories.objection("acc-0", email="a@example.org"), officer)
    second = factories.reviewed(factories.objection("acc-0", email="a@example.org"), officer)
    third = factories.reviewed(factories.objection("acc-0", email="b@example.org"), officer)

    decide(first, officer, {AI: Outcome.UPHELD}, also=seen(second, third))
    for ticket in (first, second, third):
        factories.send_letters(ticket)

    states = {t.reference: (t.state, t.answered_at is None) for t in Ticket.objects.all()}
    assert set(states.values()) == {(TicketState.UPHELD, False)}
    upheld = [message for message in mail.outbox if "decided" in message.body]
    assert sorted(message.to[0] for message in upheld) == ["a@example.org", "b@example.org"]


def test_what_is_written_to_one_person_never_reaches_another(member, officer):
    known = factories.reviewed(factories.objection("acc-0", purposes=[SAFETY]), officer)
    stranger = factories.objection("acc-0", is_vouched=False, purposes=[SAFETY])
    same_mail = factories.objection("acc-1", email=known.requester.email, purposes=[SAFETY])
    assert {stranger.linked_to, same_mail.linked_to} == {known}
    for ticket in (stranger, same_mail):
        factories.reviewed(ticket, officer)

    with pytest.raises(NotAllowedHere, match="another address"):
        decide(known, officer, {SAFETY: "refused"}, **WEIGHED, also=seen(stranger))
    with pytest.raises(NotAllowedHere, match="another account"):
        decide(known, officer, {SAFETY: "refused"}, **WEIGHED, also=seen(same_mail))


def test_a_ticket_from_another_address_makes_none_a_duplicate(member, officer):
    factories.objection("acc-0", is_vouched=False, email="stranger@example.org")
    victim = factories.objection("acc-0", is_vouched=False, email="victim@example.org")
    factories.reviewed(victim, officer)

    with pytest.raises(NotAllowedHere, match="no duplicate"):
        decide(victim, officer, {AI: Outcome.DUPLICATE})


def test_tickets_decided_together_are_no_duplicates_of_each_other(member, officer):
    first = factories.reviewed(factories.objection("acc-0", email="a@example.org"), officer)
    second = factories.reviewed(factories.objection("acc-0", email="a@example.org"), officer)

    with pytest.raises(NotAllowedHere, match="no duplicate"):
        decide(first, officer, {AI: Outcome.DUPLICATE}, also=seen(second))


def test_each_ticket_decided_together_ends_by_its_own_purposes(member, officer, second_officer):
    same = {"email": "a@example.org"}
    both = factories.reviewed(factories.objection("acc-0", purposes=[AI, SAFETY], **same), officer)
    one = factories.reviewed(factories.objection("acc-0", purposes=[SAFETY], **same), officer)

    proposal = decide(both, officer, {AI: "upheld", SAFETY: "refused"}, **WEIGHED, also=seen(one))
    factories.approve(proposal, second_officer)

    one.refresh_from_db()
    both.refresh_from_db()
    assert (both.state, one.state) == (TicketState.PARTLY_UPHELD, TicketState.REFUSED)
    kinds = Letter.objects.filter(ticket__in=[both, one]).values_list("ticket", "kind")
    outcomes = {(pk, kind) for pk, kind in kinds if kind != "acknowledgement"}
    assert outcomes == {(both.pk, "partly_upheld"), (one.pk, "refused")}


def test_words_that_came_after_a_proposal_stop_its_approval(member, officer, second_officer):
    ticket = factories.reviewed(factories.objection("acc-0", purposes=[SAFETY]), officer)
    proposal = decide(ticket, officer, {SAFETY: "refused"}, **WEIGHED)
    seen = Ticket.objects.get(pk=ticket.pk).version

    factories.note(ticket=ticket, text="They called.", actor=officer)

    with pytest.raises(StaleEdit):
        acts.review.do(
            ticket=proposal.ticket,
            verdict="approved",
            version=seen,
            actor=second_officer,
            reason="x",
        )


def test_the_proposer_may_take_it_back(member, officer):
    ticket = factories.reviewed(factories.objection("acc-0", purposes=[SAFETY]), officer)
    proposal = decide(ticket, officer, {SAFETY: "refused"}, **WEIGHED)
    ticket.refresh_from_db()

    acts.review.do(
        ticket=proposal.ticket,
        verdict="returned",
        version=ticket.version,
        actor=officer,
        reason="x",
    )

    decide(ticket, officer, {SAFETY: "upheld"})
    assert effects(ticket) == {SAFETY: "upheld"}


def test_a_ticket_goes_on_without_identity_and_the_clock_has_not_stopped(member, officer):
    ticket = factories.objection("acc-0", is_vouched=False)
    due = ticket.due_on
    acts.ask_identity.do(ticket=ticket, **factories.IDENTITY, version=1, actor=officer)
    ticket.refresh_from_db()

    acts.go_on_without_identity.do(
        ticket=ticket, reason="asked by mistake", version=ticket.version, actor=officer
    )
    factories.send_letters(ticket)

    ticket.refresh_from_db()
    assert (ticket.state, ticket.due_on, ticket.is_verified) == (TicketState.IN_REVIEW, due, False)
    assert ticket.letters.get(kind="identity_request").state == "cancelled"


def test_an_answer_that_does_not_identify_the_person_need_not_wait(member, officer, second_officer):
    ticket = factories.objection("acc-0", is_vouched=False)
    acts.ask_identity.do(ticket=ticket, **factories.IDENTITY, version=1, actor=officer)
    factories.send_letters(ticket)
    ticket.refresh_from_db()

    proposal = acts.close_unidentified.do(
        ticket=ticket,
        evidence=factories.EVIDENCE,
        is_answered=True,
        version=ticket.version,
        actor=officer,
    )
    factories.approve(proposal, second_officer)

    assert effects(ticket) == {AI: "restricting"}
    factories.send_letters(ticket)
    assert effects(ticket) == {AI: "restriction_lifted"}


def test_a_ticket_that_was_set_aside_is_released_before_a_letter_is_sent(member, officer, settings):
    settings.FLOOD_PER_ADDRESS = 0
    ticket = factories.reviewed(factories.objection("acc-0", is_vouched=False), officer)
    assert ticket.is_set_aside

    with pytest.raises(NotAllowedHere, match="release it first"):
        decide(ticket, officer, {AI: Outcome.UPHELD})


def test_only_open_linked_tickets_are_decided_together(member, officer):
    ticket = factories.reviewed(factories.objection("acc-0"), officer)
    other = factories.reviewed(factories.objection("acc-1"), officer)

    with pytest.raises(InvalidInput, match="Not linked"):
        decide(ticket, officer, {AI: Outcome.UPHELD}, also=seen(other))


# --- Who is known, and how ----------------------------------------------------------------------


def weigh(ticket, officer, outcomes, **more):
    words = WEIGHED if Outcome.REFUSED in outcomes.values() else {}
    return decide(ticket, officer, outcomes, **words, **more)


@pytest.mark.parametrize(
    "outcomes", [{SAFETY: "refused", AI: "upheld"}, {SAFETY: "refused", AI: "duplicate"}]
)
def test_a_letter_to_an_unconfirmed_address_ends_no_exclusion(
    outcomes, member, officer, second_officer
):
    factories.objection("acc-0", purposes=[AI])
    ticket = factories.objection("acc-0", is_vouched=False, purposes=[SAFETY, AI])
    factories.reviewed(ticket, officer)

    with pytest.raises(NotAllowedHere, match="Confirm the address first"):
        weigh(ticket, officer, outcomes)
    with pytest.raises(NotAllowedHere, match="Confirm the address first"):
        acts.withdraw.do(
            ticket=ticket, evidence=factories.EVIDENCE, version=ticket.version, actor=officer
        )

    factories.confirmed(ticket, officer)
    assert isinstance(weigh(ticket, officer, outcomes), Proposal)


def test_an_address_corrected_after_the_proposal_is_confirmed_before_the_approval(
    member, officer, second_officer
):
    ticket = factories.confirmed(factories.objection("acc-0", is_vouched=False), officer)
    proposal = acts.withdraw.do(
        ticket=ticket, evidence=factories.EVIDENCE, version=ticket.version, actor=officer
    )
    ticket.refresh_from_db()
    acts.correct_address.do(
        ticket=ticket,
        email="mine@example.org",
        postal_address="",
        reason="x",
        version=ticket.version,
        actor=officer,
    )

    with pytest.raises(NotAllowedHere, match="Confirm the address first"):
        factories.approve(proposal, second_officer)

    assert effects(ticket) == {AI: "restricting"}


def californian_asked(officer) -> Ticket:
    """Asked who they are, then found to live in California."""
    ticket = factories.objection("acc-0", is_vouched=False, country="DE")
    acts.ask_identity.do(ticket=ticket, **factories.IDENTITY, version=1, actor=officer)
    factories.send_letters(ticket)
    ticket.refresh_from_db()
    return ticket


def move_to_california(ticket, officer) -> None:
    ticket.refresh_from_db()
    acts.correct_country.do(
        ticket=ticket,
        country="US",
        region="CA",
        reason="x",
        version=ticket.version,
        actor=officer,
    )
    ticket.refresh_from_db()


def test_no_californian_is_closed_for_lack_of_identity(member, officer, second_officer):
    ticket = californian_asked(officer)
    move_to_california(ticket, officer)

    with pytest.raises(NotAllowedHere, match="In California an opt-out needs no identification"):
        acts.close_unidentified.do(
            ticket=ticket,
            evidence=factories.EVIDENCE,
            is_answered=True,
            version=ticket.version,
            actor=officer,
        )

    assert effects(ticket) == {AI: "restricting"}


def test_nor_approved_when_it_was_proposed_before(member, officer, second_officer):
    ticket = californian_asked(officer)
    proposal = acts.close_unidentified.do(
        ticket=ticket,
        evidence=factories.EVIDENCE,
        is_answered=True,
        version=ticket.version,
        actor=officer,
    )
    move_to_california(ticket, officer)

    with pytest.raises(NotAllowedHere, match="In California an opt-out needs no identification"):
        factories.approve(proposal, second_officer)


def test_no_identity_request_goes_to_california(member, officer):
    ticket = factories.objection("acc-0", is_vouched=False, country="DE")
    acts.ask_identity.do(ticket=ticket, **factories.IDENTITY, version=1, actor=officer)
    move_to_california(ticket, officer)

    factories.send_letters(ticket)

    assert ticket.letters.get(kind="identity_request").state == "cancelled"


def test_an_answer_cannot_come_to_a_question_that_was_not_sent(member, officer):
    ticket = factories.objection("acc-0", is_vouched=False)
    acts.ask_identity.do(ticket=ticket, **factories.IDENTITY, version=1, actor=officer)
    ticket.refresh_from_db()

    with pytest.raises(LetterNotSent, match="has not been sent yet"):
        acts.close_unidentified.do(
            ticket=ticket,
            evidence=factories.EVIDENCE,
            is_answered=True,
            version=ticket.version,
            actor=officer,
        )


# --- What is closed as a duplicate --------------------------------------------------------------


def test_a_duplicate_beside_what_is_upheld_is_no_refusal(member, officer, second_officer):
    factories.objection("acc-0", purposes=[SAFETY])
    ticket = factories.objection("acc-0", purposes=[AI, SAFETY])
    factories.reviewed(ticket, officer)

    proposal = decide(ticket, officer, {AI: Outcome.UPHELD, SAFETY: Outcome.DUPLICATE})
    factories.send_letters(factories.approve(proposal, second_officer))

    said = " ".join(mail.outbox[-1].body.split())
    assert ticket.letters.filter(kind="upheld", state="sent").count() == 1
    assert "Our answer is yes." in said
    assert "already dealt with under another of your objections, which stands" in said
    assert [word for word in ("Where our answer is no", "that ends for") if word in said] == []


def test_a_duplicate_beside_a_refusal_ends_no_protection(member, officer, second_officer):
    factories.objection("acc-0", purposes=[AI])
    ticket = factories.objection("acc-0", purposes=[AI, SAFETY])
    factories.reviewed(ticket, officer)

    proposal = decide(ticket, officer, {AI: Outcome.DUPLICATE, SAFETY: Outcome.REFUSED}, **WEIGHED)
    factories.send_letters(factories.approve(proposal, second_officer))

    said = " ".join(mail.outbox[-1].body.split())
    label = Purpose(SAFETY).label
    assert f"Then that ends for: {label}. An account stays" in said
    assert "under another of your objections, which stands" in said


def test_a_stranger_is_not_told_that_another_person_objected(member, officer, second_officer):
    factories.objection("acc-0", purposes=[AI])
    ticket = factories.objection("acc-0", is_vouched=False, purposes=[AI, SAFETY])
    factories.confirmed(factories.reviewed(ticket, officer), officer)

    proposal = decide(ticket, officer, {AI: Outcome.DUPLICATE, SAFETY: Outcome.REFUSED}, **WEIGHED)
    factories.approve(proposal, second_officer)
    factories.send_letters(ticket)

    assert "dealt with already, or will be" in " ".join(mail.outbox[-1].body.split())
    assert "another of your objections" not in mail.outbox[-1].body


@pytest.mark.parametrize("duplicate_first", [True, False])
def test_a_duplicate_ends_with_the_refusal_of_what_it_repeated(
    duplicate_first, member, officer, second_officer
):
    first = factories.reviewed(factories.objection("acc-0", purposes=[SAFETY]), officer)
    second = factories.reviewed(factories.objection("acc-0", purposes=[SAFETY]), officer)
    factories.approve(decide(second, officer, {SAFETY: Outcome.DUPLICATE}), second_officer)
    factories.approve(decide(first, officer, {SAFETY: Outcome.REFUSED}, **WEIGHED), second_officer)

    order = [second, first] if duplicate_first else [first, second]
    factories.send_letters(order[0])
    halfway = "restricting" in {*effects(first).values(), *effects(second).values()}
    factories.send_letters(order[1])

    assert halfway
    assert (effects(first), effects(second)) == (
        {SAFETY: "restriction_lifted"},
        {SAFETY: "restriction_lifted"},
    )


def test_a_duplicate_that_something_else_keeps_in_force_is_not_lifted_with_it(
    member, officer, second_officer
):
    first = factories.reviewed(factories.objection("acc-0", purposes=[SAFETY]), officer)
    second = factories.reviewed(factories.objection("acc-0", purposes=[SAFETY]), officer)
    factories.approve(decide(second, officer, {SAFETY: Outcome.DUPLICATE}), second_officer)
    factories.approve(decide(first, officer, {SAFETY: Outcome.REFUSED}, **WEIGHED), second_officer)
    factories.send_letters(second)
    third = factories.objection("acc-0", purposes=[SAFETY])

    factories.send_letters(first)

    assert effects(second) == {SAFETY: "restricting"}
    assert effects(third) == {SAFETY: "restricting"}


# --- What came to a linked ticket meanwhile -----------------------------------------------------


def two_in_review(officer) -> list[Ticket]:
    return [
        factories.reviewed(
            factories.objection("acc-0", purposes=[SAFETY], email="a@example.org"), officer
        )
        for _ in range(2)
    ]


def test_a_linked_ticket_is_decided_on_as_its_reader_saw_it(member, officer):
    first, second = two_in_review(officer)
    shown = seen(second)
    factories.note(ticket=second, text="STOP", actor=officer)

    with pytest.raises(StaleEdit, match=second.reference):
        decide(first, officer, {SAFETY: Outcome.UPHELD}, also=shown)

    assert effects(second) == {SAFETY: "restricting"}


def test_words_on_a_linked_ticket_after_a_proposal_stop_its_approval(
    member, officer, second_officer
):
    first, second = two_in_review(officer)
    proposal = decide(first, officer, {SAFETY: Outcome.REFUSED}, **WEIGHED, also=seen(second))
    factories.note(ticket=second, text="STOP", actor=officer)

    with pytest.raises(StaleEdit, match=f"{second.reference}.*send it back"):
        factories.approve(proposal, second_officer)

    assert (effects(first), effects(second)) == (
        {SAFETY: "restricting"},
        {SAFETY: "restricting"},
    )


# --- The map ------------------------------------------------------------------------------------


def _in_state(state: TicketState, officer, second_officer) -> Ticket:
    """A ticket in a state, brought there by the desk."""
    ticket = factories.objection("acc-0", is_vouched=False, purposes=[SAFETY])
    if state == TicketState.RECEIVED:
        return ticket
    if state in (TicketState.IDENTITY_CHECK, TicketState.CLOSED_UNIDENTIFIED):
        acts.ask_identity.do(ticket=ticket, **factories.IDENTITY, version=1, actor=officer)
        factories.send_letters(ticket)
        if state == TicketState.CLOSED_UNIDENTIFIED:
            later = dt.datetime.now(dt.UTC) + dt.timedelta(days=40)
            with time_machine.travel(later):
                ticket.refresh_from_db()
                proposal = acts.close_unidentified.do(
                    ticket=ticket,
                    evidence=factories.EVIDENCE,
                    version=ticket.version,
                    actor=officer,
                )
                factories.approve(proposal, second_officer)
    elif state == TicketState.WITHDRAWN:
        factories.withdraw(ticket, officer, second_officer)
    else:
        factories.reviewed(ticket, officer)
        if state == TicketState.EXTENDED:
            ticket.refresh_from_db()
            acts.extend.do(
                ticket=ticket,
                ground="complexity",
                explanation=factories.MORE_TIME,
                version=ticket.version,
                actor=officer,
            )
            factories.send_letters(ticket)
        elif state == TicketState.UPHELD:
            decide(ticket, officer, {SAFETY: Outcome.UPHELD})
        elif state == TicketState.REFUSED:
            factories.confirmed(ticket, officer)
            proposal = decide(ticket, officer, {SAFETY: Outcome.REFUSED}, **WEIGHED)
            factories.approve(proposal, second_officer)
    ticket.refresh_from_db()
    assert ticket.state == state
    return ticket


ACTS = {
    TicketState.IN_REVIEW: lambda t, o: acts.begin_review.do(ticket=t, version=t.version, actor=o),
    TicketState.IDENTITY_CHECK: lambda t, o: acts.ask_identity.do(
        ticket=t, **factories.IDENTITY, version=t.version, actor=o
    ),
    TicketState.EXTENDED: lambda t, o: acts.extend.do(
        ticket=t, ground="number", explanation=factories.MORE_TIME, version=t.version, actor=o
    ),
    TicketState.UPHELD: lambda t, o: decide(t, o, {SAFETY: Outcome.UPHELD}),
    TicketState.REFUSED: lambda t, o: decide(t, o, {SAFETY: Outcome.REFUSED}, **WEIGHED),
    TicketState.WITHDRAWN: lambda t, o: acts.withdraw.do(
        ticket=t, evidence=factories.EVIDENCE, version=t.version, actor=o
    ),
    TicketState.CLOSED_UNIDENTIFIED: lambda t, o: acts.close_unidentified.do(
        ticket=t, evidence=factories.EVIDENCE, version=t.version, actor=o
    ),
}
STARTS = [state for state in TicketState if state != TicketState.PARTLY_UPHELD]


@pytest.mark.parametrize(
    ("state", "wanted"),
    [
        (state, wanted)
        for state, wanted in itertools.product(STARTS, ACTS)
        if wanted not in NEXT_STATES[state]
    ],
)
def test_a_move_that_is_not_in_the_map_is_refused(state, wanted, member, officer, second_officer):
    ticket = _in_state(state, officer, second_officer)
    before = Ticket.objects.values().get(pk=ticket.pk)

    with pytest.raises((ForbiddenMove, NotAllowedHere, LetterNotSent)) as refusal:
        ACTS[wanted](ticket, officer)

    assert len(str(refusal.value)) > 20
    assert Ticket.objects.values().get(pk=ticket.pk) == before


SAID = {
    "ask_identity": factories.IDENTITY,
    "approve_abuse": {"reason": "x"},
    "assign": {"officer": None},
    "attach": {"files": [uploads.check("a.txt", b"words")]},
    "begin_review": {},
    "choose": {"member": 1, "reason": "x"},
    "close_abuse": {"evidence": factories.EVIDENCE},
    "close_unidentified": {"evidence": factories.EVIDENCE, "is_answered": True},
    "confirm_address": {"reason": "x"},
    "correct_address": {"email": "new@example.org", "postal_address": "", "reason": "x"},
    "correct_country": {"country": "FR", "region": "", "reason": "x"},
    "correct_match": {"account_ref": "acc-1", "reason": "x"},
    "correct_receipt": {"received_at": EARLIER, "reason": "x"},
    "decide": {"outcomes": {SAFETY: Outcome.UPHELD}},
    "erase": {"reason": "x"},
    "extend": {"ground": "number", "explanation": factories.MORE_TIME},
    "go_on_without_identity": {"reason": "x"},
    "keep_files": {},
    "match": {"account_ref": "acc-1", "reason": "x"},
    "no_account": {"reason": "x"},
    "note": {"text": "x"},
    "record_identity": {"answered_on": dt.date(2026, 3, 5), "how": "x"},
    "release": {},
    "review": {"verdict": "approved", "reason": "x"},
    "review_erasure": {"verdict": "approved", "reason": "x"},
    "take": {},
    "uphold": {},
    "withdraw": {"evidence": factories.EVIDENCE},
}
"""What each act's form says; of `link`, which has no rule, nothing."""
ALL = {act.name: act for act in [*acts.WITH_PAGE, *acts.FOR_MANY]}


@pytest.mark.parametrize("state", STARTS)
def test_an_act_is_refused_with_the_sentence_that_its_button_shows(
    state, member, officer, second_officer
):
    ticket = _in_state(state, officer, second_officer)
    before = Ticket.objects.values().get(pk=ticket.pk)
    refused = {
        name: sentence
        for name, act in ALL.items()
        if (sentence := act.why_not(case_of(ticket), officer))
    }

    raised = {}
    for name in refused:
        with pytest.raises(Refusal) as refusal:
            ALL[name].do(ticket=ticket, version=ticket.version, actor=officer, **SAID[name])
        raised[name] = str(refusal.value)

    assert raised == refused
    assert {"release", "review", "match"} <= refused.keys()
    assert Ticket.objects.values().get(pk=ticket.pk) == before


def test_every_act_is_in_the_matrix():
    assert SAID.keys() | {"link"} == ALL.keys()


def test_the_map_is_the_one_of_the_rules():
    assert {state: sorted(nexts) for state, nexts in NEXT_STATES.items()} == {
        "received": ["identity_check", "in_review", "withdrawn"],
        "identity_check": ["closed_unidentified", "in_review", "withdrawn"],
        "in_review": ["extended", "partly_upheld", "refused", "upheld", "withdrawn"],
        "extended": ["partly_upheld", "refused", "upheld", "withdrawn"],
        **{state: [] for state in FINAL_STATES},
    }


@pytest.mark.parametrize("act", ACTS.values())
def test_an_act_on_a_ticket_that_changed_meanwhile_is_refused(act, member, officer):
    ticket = factories.objection("acc-0", is_vouched=False, purposes=[SAFETY])
    seen = Ticket.objects.get(pk=ticket.pk)
    acts.assign.do(ticket=ticket, officer=officer, version=1, actor=officer)
    seen.refresh_from_db = lambda *args, **kwargs: None

    with pytest.raises(StaleEdit, match="look at it again"):
        act(seen, officer)


def test_a_closed_person_who_objects_again_gets_a_new_ticket_that_restricts(
    member, officer, second_officer
):
    first = factories.withdraw(factories.objection("acc-0"), officer, second_officer)
    factories.send_letters(first)

    second = factories.objection("acc-0")

    assert (second.linked_to, second.state) == (first, TicketState.RECEIVED)
    assert {o.member_id for o in Objection.objects.restricting(AI)} == {member}


def test_a_ticket_whose_words_are_erased_can_only_be_upheld(member, officer):
    ticket = factories.reviewed(factories.objection("acc-0", purposes=[SAFETY]), officer)
    Requester.objects.filter(ticket=ticket).delete()

    with pytest.raises(PersonalDataErased):
        decide(ticket, officer, {SAFETY: Outcome.REFUSED}, **WEIGHED)
    decide(ticket, officer, {SAFETY: Outcome.UPHELD})

    assert effects(ticket) == {SAFETY: "upheld"}
    assert list(Letter.objects.filter(kind="upheld")) == []


def test_every_refusal_is_a_sentence_for_people(member, officer):
    ticket = factories.reviewed(factories.objection("acc-0"), officer)

    with pytest.raises(Refusal) as refusal:
        acts.begin_review.do(ticket=ticket, version=ticket.version, actor=officer)

    assert str(refusal.value) == (
        f"{ticket} is in review and cannot become in review. From here it can become:"
        " extended, upheld, partly upheld, refused, withdrawn."
    )
