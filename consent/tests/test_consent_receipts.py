"""A person's consents as receipts: ISO/IEC TS 27560 fields, DPV terms, and no receipt for a setting left alone."""

import json
from pathlib import Path

import jsonschema
import pytest
from django.conf import settings

from consent import consent_receipts
from consent.models import Decision, Member
from consent.tests.test_setting_page import browser_of
from ledger.models import AccessRecord
from tools import factories

pytestmark = pytest.mark.django_db(transaction=True)

SCHEMA = json.loads((Path(__file__).parent / "consent_receipts.schema.json").read_text())


@pytest.fixture
def opt_in(officer, second_officer) -> None:
    """Generative AI asks for consent in Korea and is default-on in the United States, under one notice."""
    factories.allow(officer, second_officer, codes=["KR"], rule="opt-in")
    factories.allow(officer, second_officer, codes=["US"])
    factories.publish(officer, second_officer, version="2026-01", categories=["posts", "profile"])


def member_in(country: str) -> Member:
    return Member.objects.get(pk=factories.add_member("customer-1", country))


def answer(member: Member) -> dict:
    found = consent_receipts.receipts_of(member)
    jsonschema.validate(found, SCHEMA)
    return found


def yes(product, **more):
    return factories.decide("customer-1", "allow", actor=product, notice_version="2026-01", **more)


def test_a_consent_has_a_receipt_with_who_what_when_and_under_which_notice(opt_in, product):
    member = member_in("KR")
    yes(product)
    row = Decision.objects.get()

    found = answer(member)

    (receipt,) = found["receipts"]
    record = receipt["record"]
    assert record["pii_principal_id"] == "customer-1"
    assert record["party_identification"][0]["party_name"] == settings.CONTROLLER_NAME
    assert record["privacy_notice"]["notice_version"] == "2026-01"
    assert record["privacy_notice"]["notice_url"] == "test"
    (purpose,) = record["purposes"]
    assert [one["pii_type"] for one in purpose["pii_information"]] == ["posts", "profile"]
    assert (purpose["lawful_basis"], purpose["jurisdictions"]) == ("eu-gdpr:A6-1-a", ["KR"])
    (event,) = record["events"]
    assert (event["event_type"], event["channel"], event["ledger_entry"]) == (
        "dpv:ConsentGiven",
        "product",
        row.entry_id,
    )
    (standing,) = found["standings"]
    assert (standing["status"], standing["consent_record"]) == (
        "dpv:ConsentGiven",
        record["record_id"],
    )


def test_its_id_is_the_same_each_time_and_says_nothing_about_the_account(opt_in, product):
    member = member_in("KR")
    yes(product)

    first, again = answer(member), answer(member)

    assert first == again
    assert "customer" not in first["receipts"][0]["receipt_id"]


def test_a_withdrawal_is_an_event_of_the_same_record(opt_in, product):
    member = member_in("KR")
    yes(product)
    factories.decide("customer-1", "deny", actor=product)

    found = answer(member)

    (receipt,) = found["receipts"]
    assert [one["event_type"] for one in receipt["record"]["events"]] == [
        "dpv:ConsentGiven",
        "dpv:ConsentWithdrawn",
    ]
    assert found["standings"][0]["status"] == "dpv:ConsentWithdrawn"
    assert found["opt_outs"] == []


def test_a_setting_left_alone_or_left_on_is_no_consent(opt_in, product):
    member = member_in("US")
    alone = answer(member)
    yes(product)
    left_on = answer(member)

    for found in (alone, left_on):
        assert found["receipts"] == []
        (standing,) = found["standings"]
        assert standing["status"] == "dpv:LegitimateInterestNotObjected"
        assert standing["consent_record"] is None
        assert "has not consented" in standing["sentence"]


def test_a_yes_under_no_notice_is_no_consent(opt_in, product):
    member = member_in("KR")
    factories.decide("customer-1", "allow", actor=product, notice_version="")

    found = answer(member)

    assert found["receipts"] == []
    assert found["standings"][0]["status"] is None


def test_an_opt_out_is_told_as_such_and_is_no_withdrawal(opt_in, product):
    member = member_in("US")
    factories.decide("customer-1", "deny", actor=product)

    found = answer(member)

    assert found["receipts"] == []
    (act,) = found["opt_outs"]
    assert act["event_type"] == "dpv:OptingOutFromProcess"
    assert found["standings"][0]["status"] == "dpv:LegitimateInterestObjected"


def test_an_objection_by_form_is_no_silence(opt_in):
    member = member_in("US")
    factories.objection("customer-1", purposes=["generative-ai"])

    assert answer(member)["standings"][0]["status"] == "dpv:LegitimateInterestObjected"


# --- Doors --------------------------------------------------------------------------------------


def test_the_product_asks_for_them_and_the_read_is_on_record(opt_in, product, client_of):
    member = member_in("KR")
    yes(product)

    told = client_of(product).post(
        "/api/v1/members/consent-receipts",
        {"account_ref": "customer-1"},
        content_type="application/json",
    )

    jsonschema.validate(told.json(), SCHEMA)
    assert len(told.json()["receipts"]) == 1
    read = AccessRecord.objects.latest("pk")
    assert (read.kind, read.subject) == ("member.consent_receipts", f"member:{member.pk}")


def test_the_member_downloads_them_from_the_setting_page(opt_in, product, client):
    member = member_in("KR")
    yes(product)
    browser = browser_of(member)

    page = browser.get("/settings/ai-training/")
    assert "/settings/ai-training/receipts" in page.text
    file = browser.get("/settings/ai-training/receipts")

    assert file["Content-Type"].startswith("application/ld+json")
    assert "attachment" in file["Content-Disposition"]
    jsonschema.validate(json.loads(file.content), SCHEMA)
    assert client.get("/settings/ai-training/receipts").status_code == 403
