"""Taking in: nothing genuine is lost, what is late is an incident, one person's tickets belong together."""

import datetime as dt

import pytest
import time_machine
from django.conf import settings
from django.utils import timezone

from consent import services as consent
from consent.models import Member
from objections import intake, services, tasks, uploads
from objections.choices import Effect, State
from objections.errors import LinkExpired, NotAllowedHere, TicketIdReused
from objections.intake import Filing
from objections.models import Attachment, Incident, Letter, Objection, Requester, Ticket
from portal.errors import InvalidInput
from portal.models import Entry
from tools import factories
from training_runs import archives
from training_runs import services as runs

PERSON = {"purposes": ["safety"], "channel": "product", "email": "person@example.org"}


def file(**facts) -> Ticket:
    return intake.receive(Filing(**{**PERSON, **facts}), actor="test")


# --- What is taken, what is not -----------------------------------------------------------------


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
        ({"received_at": timezone.now() + dt.timedelta(hours=1)}, "received_at"),
        ({"received_at": dt.datetime(2018, 5, 24, tzinfo=dt.UTC)}, "received_at"),
    ],
)
@pytest.mark.django_db
def test_what_nobody_could_work_is_refused_by_name_and_leaves_nothing(facts, field):
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
    file(files=[upload], source_id="form-1")

    kept = Attachment.objects.get(ticket=ticket)
    assert uploads.open_file(kept.key).read() == b"text"
    with time_machine.travel(timezone.now() + dt.timedelta(days=2)):
        tasks.daily()
    stored = [path for path in settings.ATTACHMENT_DIR.rglob("*") if path.is_file()]
    assert [path.name for path in stored] == [kept.key]


@pytest.mark.django_db
def test_somebody_without_an_account_is_served_too():
    ticket = file(channel="form", statement="A member posted about me.")

    assert (ticket.member, ticket.state) == (None, State.RECEIVED)
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

    intake.confirm(link_of(ticket))
    intake.confirm(link_of(ticket))

    ticket.refresh_from_db()
    assert ticket.confirmed_at is not None
    assert ticket.letters.filter(kind="acknowledgement").count() == 1


@pytest.mark.django_db
def test_an_old_or_altered_link_confirms_nothing_and_the_ticket_stands():
    ticket = file(channel="form")
    token = link_of(ticket)

    with pytest.raises(LinkExpired):
        intake.confirm(token[:-1] + ("A" if token[-1] != "A" else "B"))
    with (
        time_machine.travel(timezone.now() + dt.timedelta(days=8)),
        pytest.raises(LinkExpired),
    ):
        intake.confirm(token)

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

    released = intake.release(ticket=several[-1], actor=officer)
    assert (released.is_set_aside, released.letters.count()) == (False, 1)


@pytest.mark.django_db
def test_members_and_staff_are_no_flood():
    factories.add_members(1)
    member = Member.objects.get()

    several = [file(member=member) for _ in range(7)] + [file(channel="paper") for _ in range(7)]

    assert not any(ticket.is_set_aside for ticket in several)


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

    services.match(ticket=ticket, account_ref="acc-0", reason="x", version=1, actor=officer)

    assert [o.member_id for o in Objection.objects.restricting("safety")] == [number]
    ticket.refresh_from_db()
    with pytest.raises(NotAllowedHere, match="already"):
        services.match(
            ticket=ticket, account_ref="acc-0", reason="x", version=ticket.version, actor=officer
        )


# --- Incidents ----------------------------------------------------------------------------------


@pytest.fixture
def frozen(officer, second_officer, engineer):
    """A run for safety with everybody in it."""
    factories.open_world(officer, second_officer)
    factories.add_members(2)
    return factories.freeze(engineer, purpose="safety")


def incidents() -> list[tuple[str, str]]:
    return list(Incident.objects.values_list("ticket__reference", "run"))


@pytest.mark.django_db(transaction=True)
def test_an_objection_that_lay_about_while_a_run_froze_is_an_incident(frozen):
    before = frozen.frozen_at - dt.timedelta(seconds=1)

    late = file(account_ref="acc-0", channel="paper", received_at=before)
    file(account_ref="acc-1", channel="paper")
    file(account_ref="acc-1", channel="paper", received_at=before, purposes=["personalisation"])

    assert incidents() == [(late.reference, frozen.run.reference)]
    assert Incident.objects.get().frozen_at == frozen.frozen_at


@pytest.mark.django_db(transaction=True)
def test_a_run_that_was_being_frozen_meanwhile_is_found_later(frozen, engineer, monkeypatch):
    run = runs.start(run=factories.register(engineer, purpose="safety"), actor=engineer)
    keep = archives.store

    def store(data):
        # The cut is taken, the manifest is not recorded yet.
        file(account_ref="acc-0", received_at=timezone.now() - dt.timedelta(seconds=30))
        file(account_ref="acc-1")
        return keep(data)

    with monkeypatch.context() as patch:
        patch.setattr(archives, "store", store)
        runs.freeze(run.pk)
    ticket = Ticket.objects.get(member__reference__account_ref="acc-0")
    assert (ticket.reference, run.reference) not in incidents()

    tasks.daily()
    tasks.daily()

    found = [row for row in incidents() if row[1] == run.reference]
    assert found == [(ticket.reference, run.reference)]


@pytest.mark.django_db(transaction=True)
def test_receipt_is_corrected_backwards_only_moves_the_clock_and_lists_the_runs(frozen, officer):
    ticket = file(account_ref="acc-0")
    earlier = ticket.received_at - dt.timedelta(days=3)

    def correct(received_at, reason="The letter's stamp."):
        ticket.refresh_from_db()
        return services.correct_receipt(
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

    services.match(ticket=ticket, account_ref="acc-0", reason="x", version=1, actor=officer)

    assert incidents() == [(ticket.reference, second.run.reference)]


@pytest.mark.django_db(transaction=True)
def test_an_earlier_receipt_of_a_closed_ticket_lists_the_runs_and_leaves_its_clock(frozen, officer):
    ticket = factories.uphold(file(account_ref="acc-0"), officer)
    due = ticket.due_on

    services.correct_receipt(
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
    runs._included.cache_clear()

    ticket = file(account_ref="acc-0", received_at=frozen.frozen_at - dt.timedelta(hours=1))

    assert ticket.objections.get().effect == "restricting"
    assert incidents() == []
    # Mended, the run is found by the daily look.
    archive.write_bytes(damaged)
    tasks.daily()
    assert incidents() == [(ticket.reference, frozen.run.reference)]


@pytest.mark.django_db
def test_an_old_form_sent_again_after_the_answer_is_a_new_ticket_that_restricts(
    officer, second_officer
):
    factories.add_members(1)
    first = file(channel="form", account_ref="acc-0", source_id="form-1")
    factories.send_letters(factories.withdraw(first, officer, second_officer))
    assert not Objection.objects.restricting("safety").exists()

    second = file(channel="form", account_ref="acc-0", source_id="form-1")

    assert second.pk != first.pk
    assert Objection.objects.restricting("safety").count() == 1


@pytest.mark.django_db
def test_a_member_erased_while_filing_is_nobody_we_know(officer):
    factories.add_members(1)
    filing = Filing(**PERSON, member=Member.objects.get())
    consent.erase_member(account_ref="acc-0", actor=officer, reason="test")

    ticket = intake.receive(filing, actor="test")

    assert (ticket.member, ticket.is_authenticated) == (None, False)


@pytest.mark.django_db
def test_linking_joins_whole_groups(officer):
    first, second = file(email="a@example.org"), file(email="b@example.org")
    third = file(email="b@example.org")

    services.link(ticket=third, other=first, reason="x", version=third.version, actor=officer)

    linked = Ticket.objects.order_by("pk").values_list("linked_to", flat=True)
    assert list(linked) == [None, first.pk, first.pk]
    second.refresh_from_db()
    assert second.linked_to == first


@pytest.mark.django_db
def test_a_link_to_a_wrong_address_does_not_confirm_the_corrected_one(officer):
    ticket = file(channel="form", email="wrong@example.org")
    old = link_of(ticket)
    services.correct_address(
        ticket=ticket,
        email="right@example.org",
        postal_address="",
        reason="x",
        version=1,
        actor=officer,
    )

    with pytest.raises(LinkExpired):
        intake.confirm(old)

    ticket.refresh_from_db()
    assert ticket.confirmed_at is None
    assert ticket.letters.filter(kind="confirmation").count() == 2


@pytest.mark.django_db
def test_an_officer_corrects_whose_law_it_is(officer):
    with time_machine.travel(dt.datetime(2026, 1, 2, 12, tzinfo=dt.UTC), tick=False):
        ticket = file(country="")
        services.correct_country(
            ticket=ticket, country="US", region="CA", reason="x", version=1, actor=officer
        )

    ticket.refresh_from_db()
    assert (ticket.regime, ticket.country) == ("us-ca", "US")
    assert ticket.due_on == dt.date(2026, 1, 26)
