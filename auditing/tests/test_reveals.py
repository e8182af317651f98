"""An auditor sees a person's identity only with an officer's permission, for a while, and each look is on record."""

import datetime as dt

import pytest
import time_machine
from django.urls import reverse
from django.utils import timezone

from auditing import services
from auditing.models import Reveal
from consent import accounts
from consent.models import Member
from ledger.errors import InvalidInput
from ledger.models import AccessRecord, Entry
from tools import factories

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def reveal(auditor, officer):
    factories.add_members(3)
    return services.grant(
        auditor=auditor, subject="member:2", hours=1, reason="a complaint", actor=officer
    )


def test_the_ledger_says_who_granted_it_to_whom_and_why(reveal, auditor, officer):
    entry = Entry.objects.get(kind="reveal.granted")

    assert (entry.actor, entry.subject, entry.reason) == (officer, "member:2", "a complaint")
    assert reveal.until - entry.recorded_at == dt.timedelta(hours=1)


def test_a_look_is_recorded_and_shows_the_account(reveal, auditor):
    identity = services.look(reveal, auditor)

    assert identity.facts == [("Account reference", "acc-1")]
    record = AccessRecord.objects.get(kind="member.revealed")
    assert (record.user, record.subject, record.purpose) == (auditor, "member:2", "a complaint")


def test_a_ticket_shows_the_requester(auditor, officer):
    ticket = factories.objection(name="Maj Berg", email="maj@example.org")
    reveal = services.grant(
        auditor=auditor, subject=ticket.reference, hours=1, reason="x", actor=officer
    )

    facts = dict(services.look(reveal, auditor).facts)

    assert (facts["Name"], facts["E-mail"]) == ("Maj Berg", "maj@example.org")


def test_an_expired_reveal_or_one_of_another_person_shows_nothing(reveal, auditor, officer):
    with pytest.raises(services.RevealOver, match="another person"):
        services.look(reveal, officer)
    with (
        time_machine.travel(timezone.now() + dt.timedelta(hours=2), tick=False),
        pytest.raises(services.RevealOver, match="It ended"),
    ):
        services.look(reveal, auditor)

    assert not AccessRecord.objects.exists()


def test_an_erased_account_has_nothing_to_show(reveal, auditor, officer):
    accounts.erase_member(account_ref="acc-1", actor=officer, reason="test")

    assert services.look(reveal, auditor).facts == [("Account reference", "erased")]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"subject": "member:99"}, "subject"),
        ({"subject": "acc-1"}, "subject"),
        ({"subject": "OBJ-2026-000001"}, "subject"),
        ({"hours": 0}, "hours"),
        ({"hours": 73}, "hours"),
        ({"reason": " "}, "reason"),
    ],
)
def test_what_is_wrong_with_a_grant_is_named(auditor, officer, change, field):
    factories.add_members(1)
    asked = {"auditor": auditor, "subject": "member:1", "hours": 1, "reason": "x", "actor": officer}

    with pytest.raises(InvalidInput) as refusal:
        services.grant(**{**asked, **change})

    assert refusal.value.field == field
    assert not Reveal.objects.exists()


def test_only_an_auditor_is_granted_it(officer, second_officer):
    factories.add_members(1)

    with pytest.raises(InvalidInput, match="an active auditor"):
        services.grant(
            auditor=second_officer, subject="member:1", hours=1, reason="x", actor=officer
        )


def test_the_pages_from_grant_to_look(auditor, officer, client_of):
    factories.add_members(3)
    client_of(officer).post(
        reverse("admin:auditing_reveal_add"),
        {"auditor": auditor.pk, "subject": "member:3", "hours": 2, "reason": "a complaint"},
    )
    reveal = Reveal.objects.get()
    page = reverse("admin:auditing_reveal_look", args=[reveal.pk])

    seen = client_of(auditor).get(page)
    refused = client_of(officer).get(page)

    assert "acc-2" in seen.content.decode()
    assert (refused.status_code, "acc-2" in refused.content.decode()) == (403, False)


def test_without_a_reveal_an_auditor_sees_no_reference_anywhere_on_the_members_page(
    auditor, client_of
):
    factories.add_members(1)

    page = client_of(auditor).get(
        reverse("admin:consent_member_change", args=[Member.objects.get().pk])
    )

    assert "acc-0" not in page.content.decode()
