"""Taking in: nothing genuine is lost, what is late is an incident, one person's tickets belong together."""

import datetime as dt

import pytest
import time_machine
from django.conf import settings
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from consent import accounts
from consent.imports import importing
from consent.models import Member
from ledger.errors import InvalidInput
from ledger.models import Entry
from ledger.verification.verifying import verify_ledger
from objections import acts, tasks
from objections.choices import Effect, TicketState
from objections.errors import FormUsed, LinkExpired, NotAllowedHere, TicketIdReused
from objections.intake import receiving
from objections.intake.receiving import Filing
from objections.letters import composing
from objections.letters.texts import date_in_words
from objections.models import Attachment, Letter, Objection, Requester, Ticket
from objections.public import progress
from objections.staff import queue
from objections.ticket import uploads
from objections.ticket.case import case_of
from tools import factories
from training_runs.incidents import finding
from training_runs.manifests import archives
from training_runs.models import Incident
from training_runs.runs import freezing
from training_runs.runs import registering as runs

PERSON = {"purposes": ["safety"], "channel": "product", "email": "person@example.org"}


def file(**facts) -> Ticket:
    return receiving.receive(Filing(**{**PERSON, **facts}), actor="test")


# --- What is taken, what is not -----------------------------------------------------------------


@pytest.mark.parametrize(
    "received_at",
    [
        timezone.now() + dt.timedelta(days=9000),
        dt.datetime(2018, 5, 24, tzinfo=dt.UTC),
        dt.datetime(1970, 1, 1, tzinfo=dt.UTC),
    ],
    ids=["the future", "before the GDPR", "no clock set"],
)
@pytest.mark.django_db
def test_an_objection_is_not_refused_for_the_time_that_a_sender_gives(received_at):
    factories.add_member("acc-0")

    ticket = file(account_ref="acc-0", channel="product", received_at=received_at)

    assert ticket.received_at == ticket.recorded_at
    assert [one.effect for one in ticket.objections.all()] == ["restricting"]


@pytest.mark.parametrize(
    ("facts", "field"),
    [
        ({"purposes": []}, "purposes"),
        ({"purposes": ["advertising"]}, "purposes"),
        ({"kind": "complaint"}, "kind"),
        ({"channel": "telepathy"}, "channel"),
        ({"email": ""}, "email"),
        ({"email": "not an address"}, "email"),
        ({"email": "a@b.example\r\nBcc: c@d.example"}, "email"),
        ({"statement": "w" * 20_001}, "statement"),
        ({"name": "n" * 201}, "name"),
        ({"source_id": "s" * 65}, "source_id"),
    ],
)
@pytest.mark.django_db
def test_a_filing_that_no_officer_could_work_is_refused_by_field_and_leaves_nothing(facts, field):
    with pytest.raises(InvalidInput) as refusal:
        file(**facts)

    assert refusal.value.field == field
    assert (Ticket.objects.count(), Entry.objects.count()) == (0, 0)


@pytest.mark.django_db
def test_the_same_again_is_the_same_ticket_and_another_body_is_refused():
    first = file(source_id="form-1")
    again = file(source_id="form-1")

    assert (again.pk, Entry.objects.count(), Letter.objects.count()) == (first.pk, 1, 1)
    with pytest.raises(TicketIdReused):
        file(source_id="form-1", statement="another")
    assert Ticket.objects.count() == 1


@pytest.mark.django_db
def test_files_are_kept_with_the_ticket_and_swept_when_it_is_not_taken():
    upload = uploads.check("proof.txt", b"text")

    ticket = file(files=[upload], source_id="form-1")
    uploads.store(upload)

    kept = Attachment.objects.get(ticket=ticket)
    assert uploads.open_file(kept.key).read() == b"text"
    with time_machine.travel(timezone.now() + dt.timedelta(days=2)):
        tasks.sweep_files()
    assert stored_files() == [kept.key]


def stored_files() -> list[str]:
    homes = (settings.ATTACHMENT_DIR, settings.QUARANTINE_DIR)
    return [path.name for home in homes for path in home.rglob("*") if path.is_file()]


@pytest.mark.django_db
def test_the_files_of_a_replay_are_not_kept_twice():
    upload = uploads.check("proof.txt", b"text")
    file(files=[upload], source_id="form-1")

    file(files=[upload], source_id="form-1")

    assert stored_files() == [Attachment.objects.get().key]


@pytest.mark.django_db
def test_a_person_without_an_account_is_served_too():
    ticket = file(channel="form", statement="A member posted about me.")

    assert (ticket.member, ticket.state) == (None, TicketState.RECEIVED)
    assert ticket.letters.get().kind == "confirmation"
    assert list(Objection.objects.values_list("member", "effect")) == [(None, Effect.RESTRICTING)]


@pytest.mark.parametrize(
    ("country", "region", "known_country", "regime"),
    [
        ("DE", "", "US", "eu"),
        ("uk", "", "US", "uk"),
        ("IM", "", "US", "uk"),
        ("CH", "", "US", "ch"),
        ("US", "CA", "US", "us-ca"),
        ("US", "NY", "US", "eu"),
        ("ZZ", "", "", "eu"),
        # What a stranger leaves open the account does not tell them.
        ("", "", "GB", "eu"),
    ],
)
@pytest.mark.django_db
def test_the_clock_is_that_of_the_persons_law(country, region, known_country, regime):
    factories.add_member("acc-0", known_country)

    ticket = file(country=country, region=region, account_ref="acc-0")

    assert ticket.regime == regime
    assert ticket.clock["regime"] == regime


@pytest.mark.parametrize(
    ("country", "region", "received_on", "due_on"),
    [
        ("US", "CA", "2026-06-30", "2026-07-21"),
        ("US", "NY", "2026-06-30", "2026-07-30"),
        ("BR", "", "2026-06-30", "2026-07-30"),
        ("JP", "", "2026-07-01", "2026-08-04"),
        ("DE", "", "2026-07-01", "2026-08-04"),
        ("CH", "", "2026-07-01", "2026-07-31"),
    ],
)
@pytest.mark.django_db
def test_the_ticket_keeps_the_day_of_receipt_of_its_law_and_what_is_sent_and_shown_names_it(
    country, region, received_on, due_on
):
    with time_machine.travel("2026-06-30T23:30Z", tick=False):
        ticket = file(country=country, region=region)
        _, letter = composing.compose(case_of(ticket), "acknowledgement")

    assert (ticket.clock["receipt_date"], str(ticket.due_on)) == (received_on, due_on)
    day = dt.date.fromisoformat(received_on)
    assert f"on {date_in_words(day)}" in letter.body
    assert f"on {date_in_words(day)}." in progress.of(ticket).sentences[0]
    [line] = queue.lines(Ticket.objects.all())
    assert line[queue.HEADER.index("received")] == day


@pytest.mark.django_db
def test_a_corrected_country_counts_from_its_own_day(officer):
    with time_machine.travel("2026-06-30T23:30Z", tick=False):
        ticket = factories.reviewed(file(country="DE", channel="email"), officer)
        ticket = acts.correct_country.do(
            ticket=ticket,
            country="BR",
            region="",
            reason="The letter says so.",
            version=ticket.version,
            actor=officer,
        )

    assert ticket.clock["receipt_date"] == "2026-06-30"
    assert ticket.clock["time_zone"] == "America/Noronha"
    assert str(ticket.due_on) == "2026-07-30"


@pytest.mark.django_db
def test_what_a_member_leaves_open_the_account_says():
    factories.add_member("acc-0", "GB")

    ticket = file(member=Member.objects.get())

    assert (ticket.regime, ticket.country) == ("uk", "GB")


# --- Confirmation -------------------------------------------------------------------------------


def link_of(ticket: Ticket) -> str:
    body = ticket.letters.select_related("text").get(kind="confirmation").text.body
    (link,) = [word for word in body.split() if word.startswith(settings.PUBLIC_URL)]
    return link.rstrip("/").rpartition("/")[2]


@pytest.mark.django_db
def test_following_the_link_confirms_once_and_is_acknowledged():
    ticket = file(channel="form")

    receiving.confirm(link_of(ticket))
    receiving.confirm(link_of(ticket))

    ticket.refresh_from_db()
    assert ticket.confirmed_at is not None
    assert ticket.letters.filter(kind="acknowledgement").count() == 1


@pytest.mark.django_db
def test_an_old_or_altered_link_confirms_nothing_and_the_ticket_stands():
    ticket = file(channel="form")
    token = link_of(ticket)

    with pytest.raises(LinkExpired):
        receiving.confirm(token[:-1] + ("A" if token[-1] != "A" else "B"))
    with (
        time_machine.travel(timezone.now() + dt.timedelta(days=8)),
        pytest.raises(LinkExpired),
    ):
        receiving.confirm(token)

    ticket.refresh_from_db()
    assert (ticket.confirmed_at, ticket.objections.get().effect) == (None, "restricting")


# --- Floods -------------------------------------------------------------------------------------


@pytest.mark.parametrize("same", [{"sender": "192.0.2.1"}, {"email": "one@example.org"}])
@pytest.mark.django_db
def test_what_comes_in_floods_is_set_aside_restricts_and_is_not_written_to(same, officer, settings):
    settings.FLOOD_PER_NETWORK = settings.FLOOD_PER_ADDRESS
    several = [
        file(**{"channel": "form", "email": f"p{i}@example.org", "sender": f"192.0.2.{i}", **same})
        for i in range(settings.FLOOD_PER_ADDRESS + 2)
    ]

    assert [ticket.is_set_aside for ticket in several] == [False] * 5 + [True] * 2
    assert Objection.objects.restricting("safety").count() == 7
    assert [ticket.letters.count() for ticket in several] == [1] * 5 + [0] * 2

    released = factories.release(ticket=several[-1], actor=officer)
    assert (released.is_set_aside, released.letters.count()) == (False, 1)


@pytest.mark.django_db
def test_what_staff_key_in_is_no_flood():
    several = [file(channel=channel) for channel in ("paper", "email") for _ in range(7)]

    assert not any(ticket.is_set_aside for ticket in several)


@pytest.mark.parametrize("channel", ["form", "product"])
@pytest.mark.django_db
def test_letters_for_one_member_are_limited(channel, settings):
    factories.add_members(2)
    member, other = Member.objects.order_by("pk")

    to_others = [
        file(channel=channel, member=member, email=f"p{i}@example.org")
        for i in range(settings.FLOOD_PER_ADDRESS + 2)
    ]
    to_one = [
        file(channel=channel, member=other if i % 2 else None, email="one@example.org")
        for i in range(settings.FLOOD_PER_ADDRESS + 1)
    ]

    assert [ticket.is_set_aside for ticket in to_others] == [False] * 5 + [True] * 2
    assert [ticket.letters.count() for ticket in to_others] == [1] * 5 + [0] * 2
    assert [ticket.is_set_aside for ticket in to_one] == [False] * 5 + [True]
    assert {ticket.is_authenticated for ticket in to_others} == {True}
    assert Objection.objects.restricting("safety").filter(member=member).count() == 7


@pytest.mark.django_db
def test_a_member_is_no_flood_because_others_name_the_account_or_share_the_network(settings):
    settings.FLOOD_PER_NETWORK = settings.FLOOD_PER_ADDRESS
    factories.add_members(1)
    for i in range(6):
        file(channel="form", account_ref="acc-0", email=f"p{i}@example.org", sender="192.0.2.1")

    ticket = file(channel="form", member=Member.objects.get(), sender="192.0.2.1")

    assert ticket.is_set_aside is False


@pytest.mark.django_db
def test_a_form_that_a_program_filled_in_is_set_aside_also_for_a_member():
    factories.add_members(1)

    ticket = file(channel="form", member=Member.objects.get(), looks_automatic=True)

    assert (ticket.is_set_aside, ticket.letters.count()) == (True, 0)


@pytest.mark.parametrize(
    ("facts", "is_greeted"),
    [
        ({"channel": "form"}, False),
        ({"channel": "product"}, False),
        ({"channel": "paper"}, True),
        ({"channel": "email"}, True),
    ],
)
@pytest.mark.django_db
def test_a_member_is_greeted_by_name_only_where_the_address_is_known_to_be_theirs(
    facts, is_greeted
):
    factories.add_members(1)

    ticket = file(member=Member.objects.get(), name="Claim your prize", **facts)

    letter = ticket.letters.select_related("text").get(kind="acknowledgement")
    assert ("Claim your prize" in letter.text.body) is is_greeted


@pytest.mark.django_db
def test_a_network_address_is_kept_as_a_keyed_hash_only():
    file(channel="form", sender="192.0.2.77")

    assert len(Requester.objects.get().sender_hash) == 64
    assert "192.0.2.77" not in str(Requester.objects.values().get())


# --- One person ---------------------------------------------------------------------------------


@pytest.mark.django_db
def test_tickets_of_one_person_are_linked_to_the_first():
    factories.add_members(2)
    first = file(account_ref="acc-0", email="a@example.org")
    by_member = file(account_ref="acc-0", email="b@example.org")
    by_email = file(email="B@Example.org")
    other = file(account_ref="acc-1", email="c@example.org")

    linked = {ticket.reference: ticket.linked_to for ticket in (first, by_member, by_email, other)}
    assert list(linked.values()) == [None, first, first, None]


@pytest.mark.django_db
def test_a_ticket_that_named_no_account_is_matched_to_one_and_keeps_it_out(officer):
    (number,) = factories.add_members(1)
    ticket = file(channel="email")

    acts.match.do(ticket=ticket, account_ref="acc-0", reason="x", version=1, actor=officer)

    assert [o.member_id for o in Objection.objects.restricting("safety")] == [number]
    ticket.refresh_from_db()
    with pytest.raises(NotAllowedHere, match="already"):
        acts.match.do(
            ticket=ticket, account_ref="acc-0", reason="x", version=ticket.version, actor=officer
        )


@pytest.mark.parametrize("order", [("named", "other"), ("other", "named")])
@pytest.mark.django_db
def test_a_match_leaves_every_ticket_linked_to_a_first_one_and_none_to_itself(officer, order):
    factories.add_members(1)
    filed = {}
    for name in order:
        facts = {"account_ref": "acc-0"} if name == "named" else {}
        filed[name] = file(email=f"{name}@example.org", **facts)
    head, child = filed["other"], file(email="other@example.org")

    for ticket in (child, head):
        ticket.refresh_from_db()
        acts.match.do(
            ticket=ticket, account_ref="acc-0", reason="x", version=ticket.version, actor=officer
        )

    first, *others = Ticket.objects.order_by("pk")
    assert first.linked_to is None
    assert [ticket.linked_to for ticket in others] == [first, first]


@pytest.mark.django_db
def test_a_match_of_the_first_ticket_of_a_person_links_it_to_nothing(officer):
    factories.add_members(1)
    first = file(email="one@example.org")
    second = file(email="one@example.org", account_ref="acc-0")

    acts.match.do(ticket=first, account_ref="acc-0", reason="x", version=1, actor=officer)

    second.refresh_from_db()
    assert (Ticket.objects.get(pk=first.pk).linked_to, second.linked_to) == (None, first)


# --- Accounts that are not known yet ------------------------------------------------------------


def import_file(tmp_path, *account_refs: str) -> None:
    lines = [f"{ref},US,1990-05-17,open" for ref in account_refs]
    path = tmp_path / "members.csv"
    path.write_text("\n".join(["account_ref,country,birth_date,status", *lines]))
    importing.import_members(path=path, actor="test")


def out_of(purpose: str) -> list[str]:
    named = Objection.objects.exclude(effect=Effect.RESTRICTION_LIFTED).filter(
        purpose=purpose, ticket__state__isnull=False, member__isnull=False
    )
    return sorted(named.values_list("member__reference__account_ref", flat=True))


@pytest.mark.django_db(transaction=True)
def test_who_objected_before_we_knew_the_account_is_in_no_run(
    officer, second_officer, engineer, tmp_path
):
    factories.open_world(officer, second_officer)
    open_one = file(account_ref="new-1")
    again = file(account_ref="new-1", email="again@example.org")
    upheld = factories.uphold(file(account_ref="new-2", email="two@example.org"), officer)
    file(account_ref="never", email="three@example.org")

    import_file(tmp_path, "new-1", "new-2", "new-3")
    manifest = factories.freeze(engineer, purpose="safety")

    assert out_of("safety") == ["new-1", "new-1", "new-2"]
    assert manifest.included == 1
    again.refresh_from_db()
    assert again.linked_to == open_one
    entry = Entry.objects.get(kind="members.imported")
    touched = {ticket.history.order_by("pk").last().entry_id for ticket in (open_one, upheld)}
    assert touched == {entry.sequence}
    assert verify_ledger().problems == []


@pytest.mark.django_db
def test_who_objected_before_we_heard_of_a_decision_is_out_too(product):
    file(account_ref="new-1")

    factories.decide("new-1", "allow", actor=product)

    assert out_of("safety") == ["new-1"]


@pytest.mark.django_db
def test_a_test_account_belongs_to_no_person_who_names_it():
    ticket = file(account_ref="canary:minor")

    factories.add_member("canary:minor")

    ticket.refresh_from_db()
    assert ticket.member is None


@pytest.mark.django_db
def test_new_members_cost_one_question_while_no_ticket_waits_for_them():
    file(email="a@example.org")
    factories.add_members(2, prefix="known")
    file(account_ref="known-0")
    with CaptureQueriesContext(connection) as asked:
        factories.add_members(3)

    assert len([query for query in asked if "objections_" in query["sql"]]) == 1


# --- Incidents ----------------------------------------------------------------------------------


@pytest.fixture
def frozen(officer, second_officer, engineer):
    """A run for safety with everybody in it."""
    factories.open_world(officer, second_officer)
    factories.add_members(2)
    return factories.freeze(engineer, purpose="safety")


def incidents() -> list[tuple[str, str]]:
    return [
        (Entry.objects.get(sequence=one.cause).subject, one.run.reference)
        for one in Incident.objects.order_by("pk")
    ]


@pytest.mark.django_db(transaction=True)
def test_an_objection_that_lay_about_while_a_run_froze_is_an_incident(frozen):
    before = frozen.frozen_at - dt.timedelta(seconds=1)

    late = file(account_ref="acc-0", channel="paper", received_at=before)
    file(account_ref="acc-1", channel="paper")
    file(account_ref="acc-1", channel="paper", received_at=before, purposes=["personalisation"])

    assert incidents() == [(late.reference, frozen.run.reference)]


@pytest.mark.django_db(transaction=True)
def test_a_run_that_was_being_frozen_meanwhile_is_found_later(frozen, engineer, monkeypatch):
    run = runs.start(run=factories.register(engineer, purpose="safety"), actor=engineer)
    keep = archives.store

    def store(data):
        patch.undo()
        # The cut is taken, the manifest is not recorded yet.
        file(account_ref="acc-0", received_at=timezone.now() - dt.timedelta(seconds=30))
        file(account_ref="acc-1")
        return keep(data)

    with monkeypatch.context() as patch:
        patch.setattr(archives, "store", store)
        freezing.freeze(run.pk)
    ticket = Ticket.objects.get(member__reference__account_ref="acc-0")
    assert (ticket.reference, run.reference) not in incidents()

    finding.look()
    finding.look()

    found = [row for row in incidents() if row[1] == run.reference]
    assert found == [(ticket.reference, run.reference)]


@pytest.mark.django_db(transaction=True)
def test_receipt_is_corrected_backwards_only_moves_the_clock_and_lists_the_runs(frozen, officer):
    ticket = file(account_ref="acc-0")
    earlier = ticket.received_at - dt.timedelta(days=3)

    def correct(received_at, reason="The letter's stamp."):
        ticket.refresh_from_db()
        return acts.correct_receipt.do(
            ticket=ticket,
            received_at=received_at,
            reason=reason,
            version=ticket.version,
            actor=officer,
        )

    with pytest.raises(NotAllowedHere, match="backwards only"):
        correct(ticket.received_at + dt.timedelta(seconds=1))
    with pytest.raises(InvalidInput):
        correct(earlier, reason=" ")
    due = ticket.due_on
    digest = frozen.digest

    correct(earlier)
    correct(earlier - dt.timedelta(days=1))

    ticket.refresh_from_db()
    assert ticket.due_on < due
    assert incidents() == [(ticket.reference, frozen.run.reference)]
    frozen.refresh_from_db()
    assert frozen.digest == digest


@pytest.mark.django_db(transaction=True)
def test_matching_late_lists_the_runs_since_receipt(frozen, officer, engineer):
    ticket = file(channel="email")
    second = factories.freeze(engineer, purpose="safety")

    acts.match.do(ticket=ticket, account_ref="acc-0", reason="x", version=1, actor=officer)

    assert incidents() == [(ticket.reference, second.run.reference)]


@pytest.mark.django_db(transaction=True)
def test_an_earlier_receipt_of_a_closed_ticket_lists_the_runs_and_leaves_its_clock(frozen, officer):
    ticket = factories.uphold(file(account_ref="acc-0"), officer)
    due = ticket.due_on

    acts.correct_receipt.do(
        ticket=ticket,
        received_at=ticket.received_at - dt.timedelta(days=1),
        reason="x",
        version=ticket.version,
        actor=officer,
    )

    ticket.refresh_from_db()
    assert (ticket.due_on, incidents()) == (due, [(ticket.reference, frozen.run.reference)])


@pytest.mark.django_db(transaction=True)
def test_no_restriction_depends_on_old_archives(frozen, officer):
    archive = archives.path_of(frozen.digest)
    damaged = archive.read_bytes()
    archive.write_bytes(b"damaged")

    ticket = file(account_ref="acc-0", received_at=frozen.frozen_at - dt.timedelta(hours=1))

    assert ticket.objections.get().effect == "restricting"
    assert incidents() == []
    # Mended, the run is found by the next look.
    archive.write_bytes(damaged)
    finding.look()
    assert incidents() == [(ticket.reference, frozen.run.reference)]


@pytest.mark.django_db
def test_an_old_form_sent_again_after_the_answer_needs_a_new_page(officer, second_officer):
    factories.add_members(1)
    first = file(channel="form", account_ref="acc-0", source_id="form-1")
    factories.send_letters(factories.withdraw(first, officer, second_officer))
    assert not Objection.objects.restricting("safety").exists()

    with pytest.raises(FormUsed):
        file(channel="form", account_ref="acc-0", source_id="form-1")
    second = file(channel="form", account_ref="acc-0", source_id="form-2")

    assert second.pk != first.pk
    assert Objection.objects.restricting("safety").count() == 1


@pytest.mark.django_db
def test_a_member_erased_while_filing_is_unknown(officer):
    factories.add_members(1)
    filing = Filing(**PERSON, member=Member.objects.get())
    accounts.erase_member(account_ref="acc-0", actor=officer, reason="test")

    ticket = receiving.receive(filing, actor="test")

    assert (ticket.member, ticket.is_authenticated) == (None, False)


@pytest.mark.django_db
def test_linking_joins_whole_groups(officer):
    first, second = file(email="a@example.org"), file(email="b@example.org")
    third = file(email="b@example.org")

    acts.link.do(ticket=third, other=first, reason="x", version=third.version, actor=officer)

    linked = Ticket.objects.order_by("pk").values_list("linked_to", flat=True)
    assert list(linked) == [None, first.pk, first.pk]
    second.refresh_from_db()
    assert second.linked_to == first


@pytest.mark.django_db
def test_a_link_to_a_wrong_address_does_not_confirm_the_corrected_one(officer):
    ticket = file(channel="form", email="wrong@example.org")
    old = link_of(ticket)
    acts.correct_address.do(
        ticket=ticket,
        email="right@example.org",
        postal_address="",
        reason="x",
        version=1,
        actor=officer,
    )

    with pytest.raises(LinkExpired):
        receiving.confirm(old)

    ticket.refresh_from_db()
    assert ticket.confirmed_at is None
    assert ticket.letters.filter(kind="confirmation").count() == 2


@pytest.mark.django_db
def test_an_officer_corrects_whose_law_it_is(officer):
    with time_machine.travel(dt.datetime(2026, 1, 2, 12, tzinfo=dt.UTC), tick=False):
        ticket = file(country="")
        acts.correct_country.do(
            ticket=ticket, country="US", region="CA", reason="x", version=1, actor=officer
        )

    ticket.refresh_from_db()
    assert (ticket.regime, ticket.country) == ("us-ca", "US")
    assert ticket.due_on == dt.date(2026, 1, 26)


@pytest.mark.django_db(transaction=True)
def test_a_run_frozen_after_a_lawful_refusal_of_a_late_objection_is_no_incident(
    frozen, officer, second_officer, engineer
):
    late = factories.objection(
        "acc-1", purposes=["safety"], received_at=frozen.frozen_at - dt.timedelta(hours=1)
    )
    factories.send_letters(factories.withdraw(late, officer, second_officer))
    later = factories.freeze(engineer, purpose="safety")
    assert later.included == frozen.included

    finding.look()

    assert incidents() == [(late.reference, frozen.run.reference)]
