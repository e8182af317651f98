"""Notices: their texts, the period before their force, how they were delivered, and their withdrawal."""

import datetime as dt
import hashlib
import json

import pytest
from django.urls import reverse

from consent.choices import DataCategory, ReviewVerdict
from consent.errors import AlreadyWithdrawn, NoticeTooEarly
from consent.models import Notice, NoticeDelivery, NoticeWithdrawal
from consent.rulebook import days, notices, policies, proposing, rules
from consent.verification import notices_are_their_texts
from ledger import clock
from ledger.errors import InvalidInput
from ledger.models import Entry
from ledger.verification.verifying import verify_ledger
from tools import factories
from training_runs.runs import verifying

pytestmark = pytest.mark.django_db(transaction=True)

MAY, JUNE, JULY = dt.date(2026, 5, 1), dt.date(2026, 6, 1), dt.date(2026, 7, 1)


def facts(**other):
    return {
        "version": "2026-06",
        "purposes": ["generative-ai"],
        "data_categories": ["posts"],
        "countries": ["US", "BR"],
        "published_on": MAY,
        "in_force_from": JUNE,
        "texts": factories.TEXTS,
        "source": "test",
        **other,
    }


def proposed(officer, **other):
    return proposing.propose_notice(**facts(**other), actor=officer)


def approve(row, second_officer):
    return proposing.review(
        proposal=row, verdict=ReviewVerdict.APPROVED, actor=second_officer, reason="read"
    )


# --- The text ---------------------------------------------------------------------------------------


def test_a_notice_has_the_digest_of_its_texts_in_canonical_form(officer):
    row = proposed(officer, texts={"pt-BR": "Olá\r\nmundo", "de": "Grüße"})

    said = json.dumps(
        {"de": "Grüße", "pt-BR": "Olá\nmundo"}, ensure_ascii=False, separators=(",", ":")
    )
    assert row.texts_sha256 == hashlib.sha256(said.encode()).hexdigest()
    assert (row.languages, list(notices_are_their_texts())) == (["de", "pt-BR"], [])


@pytest.mark.parametrize(
    "texts",
    [
        {},
        {"en": "  "},
        {"en": "\u200b"},
        {"english": "Hello."},
        {"EN": "Hello."},
        {"en_GB": "Hello."},
        {"en": "x" * (notices.MAX_TEXT + 1)},
        {f"a{letter}": "x" * 90_000 for letter in "abcdefghijklm"},
    ],
)
def test_a_notice_without_a_readable_text_is_refused(officer, texts):
    with pytest.raises(InvalidInput) as refused:
        proposed(officer, texts=texts)

    assert refused.value.field == "texts"
    assert not Notice.objects.exists()


def test_another_text_is_another_notice(officer, client_of):
    row = proposed(officer)

    answer = client_of(officer).post(
        reverse("admin:consent_notice_add"),
        {**facts(countries="US BR", texts="[en]\nOther words."), "address": "", "reason": ""},
    )

    assert "There is a notice 2026-06 already" in answer.text
    assert Notice.objects.get() == row


def test_a_text_above_the_length_of_a_leaf_is_sealed_by_its_digest(officer, second_officer):
    approve(proposed(officer, texts={"en": "A long notice. " * 6_000}), second_officer)

    assert verify_ledger().problems == []


def test_the_digest_of_other_texts_is_found(officer, guards_of_migrations):
    row = proposed(officer)
    row.texts = {"en": "Other words."}

    assert notices.digest_of(row.texts) != row.texts_sha256


# --- The period -------------------------------------------------------------------------------------


def test_a_notice_needs_thirty_days_unless_a_row_says_otherwise(officer):
    with pytest.raises(NoticeTooEarly, match="from 2026-05-31 at the earliest: 30 days of notice"):
        proposed(officer, in_force_from=dt.date(2026, 5, 30))

    assert proposed(officer, in_force_from=dt.date(2026, 5, 31)).pk


def test_the_longest_period_of_its_countries_holds_and_is_named(officer, second_officer):
    policy(officer, days=120, country="BR")

    with pytest.raises(
        NoticeTooEarly, match=r"2026-08-29 at the earliest: 120 days .* in Brazil\."
    ):
        proposed(officer)

    assert proposed(officer, countries=["US"]).pk


def policy(officer, days, country="", since=dt.date(2026, 1, 1)):
    return proposing.propose_policy(
        kind="notice-days", value=days, country=country, effective_from=since, source="law",
        actor=officer,
    )  # fmt: skip


def test_a_longer_period_applies_at_once_and_a_shorter_one_waits(officer, second_officer):
    longer = policy(officer, 60)
    shorter = policy(officer, 10, country="US")
    found = [
        (row.needs_approval, policies.notice_days(MAY, ["BR", "US"])) for row in (longer, shorter)
    ]
    approve(shorter, second_officer)

    assert found == [(False, {"BR": 60, "US": 60}), (True, {"BR": 60, "US": 60})]
    assert policies.notice_days(MAY, ["BR", "US"]) == {"BR": 60, "US": 10}


def test_a_period_set_after_the_proposal_refuses_its_approval(officer, second_officer):
    row = proposed(officer)
    policy(officer, 45)

    with pytest.raises(NoticeTooEarly, match="2026-06-15 at the earliest: 45 days"):
        approve(row, second_officer)

    assert rules.notices_in_force(JULY) == []
    proposing.review(
        proposal=row, verdict=ReviewVerdict.REJECTED, actor=second_officer, reason="too early"
    )


def test_the_reviewer_reads_the_earliest_day(officer, second_officer, client_of):
    row = proposed(officer)
    policy(officer, 45)

    answer = client_of(second_officer).post(
        reverse("admin:consent_notice_review", args=[row.pk]),
        {"verdict": "approved", "reason": "read"},
    )

    assert "from 2026-06-15 at the earliest" in answer.text


# --- Delivered --------------------------------------------------------------------------------------


def test_evidence_of_a_delivery_is_sealed_and_shown(officer, second_officer, client_of):
    row = proposed(officer)
    form = {
        "channel": "banner", "countries": "BR", "cohort": "", "delivered_from": "2026-05-01",
        "delivered_until": "2026-05-20", "recipients": "61204", "source": "send log 17", "reason": "",
    }  # fmt: skip
    client = client_of(officer)

    client.post(reverse("admin:consent_notice_delivered", args=[row.pk]), form)
    client.post(reverse("admin:consent_notice_delivered", args=[row.pk]), form)

    found = NoticeDelivery.objects.get()
    shown = client.get(reverse("admin:consent_notice_change", args=[row.pk])).text
    assert (found.entry.kind, found.entry.actor) == ("notice.delivery_recorded", officer)
    assert all(words in shown for words in ("61,204", "a banner in the product", "send log 17"))
    assert row.texts_sha256 in shown


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"channel": "pigeon"}, "channel"),
        ({"countries": [], "cohort": " "}, "countries"),
        ({"delivered_until": factories.LONG_AGO - dt.timedelta(1)}, "delivered_until"),
        ({"delivered_until": dt.date(2126, 1, 1)}, "delivered_until"),
        ({"recipients": -1}, "recipients"),
        ({"source": " "}, "source"),
    ],
)
def test_evidence_that_cannot_be_is_refused(officer, change, field):
    row = proposed(officer)

    with pytest.raises(InvalidInput) as refused:
        factories.evidence_of(row, officer, **change)

    assert refused.value.field == field


def test_the_product_records_a_delivery_by_api(officer, product, client_of):
    row = proposed(officer)
    sent = {
        "channel": "e-mail", "cohort": "wave 2", "delivered_from": "2026-05-01",
        "delivered_until": "2026-05-02", "recipients": 12, "source": "log",
    }  # fmt: skip
    client = client_of(product)

    answers = [
        client.post(
            f"/api/v1/notices/{row.version}/deliveries", sent, content_type="application/json"
        )
        for _ in range(2)
    ]

    assert [one.status_code for one in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()
    listed = client_of(officer).get(f"/api/v1/notices/{row.version}/deliveries").json()["results"]
    assert listed == [answers[0].json()]


# --- Withdrawn --------------------------------------------------------------------------------------


def withdraw(notice, officer, day=MAY, source="the letters never left"):
    return notices.withdraw(notice=notice, withdrawn_from=day, source=source, actor=officer)


def test_a_withdrawn_notice_covers_nothing_from_that_day_on(officer, second_officer):
    factories.allow(officer, second_officer, codes=["US"])
    row = factories.publish(officer, second_officer, in_force_from=MAY)
    withdraw(row, officer, JULY)

    covered = [
        rules.ruling("generative-ai", days.on(day), [DataCategory.POSTS], book).covered
        for day in (JUNE, JULY)
        for book in (None, rules.Book.read())
    ]

    assert covered == [{"US"}, {"US"}, frozenset(), frozenset()]


def test_a_book_of_the_past_does_not_know_a_later_withdrawal(officer, second_officer):
    row = factories.publish(officer, second_officer, in_force_from=MAY)
    size = Entry.objects.count()
    withdraw(row, officer, MAY)

    assert rules.notices_in_force(JULY, rules.Book.read(size)) == [row]
    assert rules.notices_in_force(JULY, rules.Book.read()) == []


def test_the_end_of_a_notice_brings_the_one_it_superseded_not_back(officer, second_officer):
    first = factories.publish(officer, second_officer, in_force_from=MAY)
    second = proposed(officer, supersedes=first)
    approve(second, second_officer)

    withdraw(second, officer, JULY)

    assert rules.notices_in_force(JUNE) == [second]
    assert rules.notices_in_force(JULY) == []


def test_a_withdrawal_may_become_earlier_and_never_later(officer, second_officer):
    row = factories.publish(officer, second_officer, in_force_from=MAY)
    first = withdraw(row, officer, JULY)

    assert withdraw(row, officer, JULY) == first
    with pytest.raises(AlreadyWithdrawn, match="from 2026-07-01 on already"):
        withdraw(row, officer, JULY + dt.timedelta(1))
    withdraw(row, officer, JUNE)

    assert (NoticeWithdrawal.objects.count(), rules.notices_in_force(JUNE)) == (2, [])


def test_the_freeze_and_the_history_leave_out_whom_only_a_withdrawn_notice_covered(
    officer, second_officer, engineer
):
    factories.allow(officer, second_officer)
    row = factories.publish(officer, second_officer, codes=["US"])
    factories.publish(officer, second_officer, codes=["DE"])
    factories.add_members(5)
    factories.add_members(2, country="DE", prefix="de")
    before = factories.freeze(engineer)

    # Its day has begun in the United States, whatever the time is here.
    withdraw(row, officer, clock.today() - dt.timedelta(days=1))
    after = factories.freeze(engineer)

    assert (before.included, after.included) == (7, 2)
    assert after.header["notices"] != before.header["notices"]
    # The manifest of before is as it was: a withdrawal that came later is none at its cut.
    assert verifying.verify(before).agreement == "agrees"


def test_an_officer_previews_and_withdraws_alone(officer, second_officer, client_of):
    factories.open_world(officer, second_officer)
    factories.add_members(3)
    row = Notice.objects.get()
    address = reverse("admin:consent_notice_withdraw", args=[row.pk])
    form = {"withdrawn_from": str(clock.today()), "source": "a finding", "reason": ""}
    client = client_of(officer)

    preview = client.post(address, form | {"preview": "Preview"})
    assert "keeps out 3 members in 1 country" in preview.text
    assert not NoticeWithdrawal.objects.exists()
    client.post(address, form)

    assert rules.notices_in_force(clock.today()) == []
    assert (
        "It covers nothing from"
        in client.get(reverse("admin:consent_notice_change", args=[row.pk])).text
    )


def test_the_api_withdraws_and_lists_the_day(officer, client_of):
    row = proposed(officer)
    client = client_of(officer)

    answer = client.post(
        f"/api/v1/notices/{row.version}/withdrawals",
        {"withdrawn_from": "2026-06-15", "source": "a finding"},
        content_type="application/json",
    )

    assert answer.status_code == 201
    shown = client.get(f"/api/v1/notices/{row.version}").json()
    assert (shown["withdrawn_from"], shown["texts"]) == ("2026-06-15", factories.TEXTS)


# --- The page for everyone --------------------------------------------------------------------------


def test_the_text_is_public_once_approved_in_the_readers_language(officer, second_officer, client):
    row = proposed(officer)
    address = reverse("notice-text", args=[row.version])
    assert client.get(address).status_code == 404

    approve(row, second_officer)

    assert "You may say no." in client.get(address).text
    assert "Wir trainieren" in client.get(address, headers={"Accept-Language": "de"}).text
    assert client.get(reverse("notice-text-in", args=[row.version, "fr"])).status_code == 404
    assert row.texts_sha256 in client.get(address).text
    withdraw(row, officer, JULY)
    assert "Withdrawn" in client.get(address).text
