"""A member's standing, over HTTP."""

import pytest

from ledger.models import AccessRecord
from tools import factories

pytestmark = pytest.mark.django_db


def ask(client, account_ref="acc-0"):
    return client.post(
        "/api/v1/members/standing", {"account_ref": account_ref}, content_type="application/json"
    )


def test_a_standing_says_choice_rule_and_reasons_for_every_purpose(
    client_of, product, officer, second_officer
):
    factories.open_world(officer, second_officer)
    (number,) = factories.add_members(1)
    factories.decide("acc-0", "deny", actor=product)

    answer = ask(client_of(product)).json()

    assert answer["member_number"] == number
    by_purpose = {row["purpose"]: row for row in answer["standings"]}
    assert by_purpose["generative-ai"] == {
        "purpose": "generative-ai",
        "choice": "deny",
        "rule": "default-on",
        "is_in": False,
        "reasons": [
            {
                "code": "opted_out",
                "sentence": "the member's setting for the purpose is off",
                "ground": "GDPR Art. 21(1)",
            }
        ],
        "legal_basis": None,
        "sentence": "The member is out because the member's setting for the purpose is off.",
    }
    assert by_purpose["safety"]["choice"] == "default"
    assert by_purpose["safety"]["is_in"]
    assert by_purpose.keys() == {"generative-ai", "personalisation", "safety"}


def test_the_read_is_recorded_by_number(client_of, product):
    (number,) = factories.add_members(1)

    ask(client_of(product))

    record = AccessRecord.objects.get()
    assert (record.kind, record.subject) == ("member.standing", f"member:{number}")


def test_an_unknown_account_is_not_repeated_in_the_answer(client_of, product):
    answer = ask(client_of(product), "requester@example.org")

    assert answer.status_code == 404
    assert b"unknown@" not in answer.content


def test_a_look_up_of_an_unknown_member_is_recorded_as_a_read(client_of, product):
    ask(client_of(product), "requester@example.org")

    record = AccessRecord.objects.get()
    assert (record.kind, record.subject) == ("member.standing", "member:unknown")


def test_a_member_on_the_default_is_in_and_has_not_consented(
    client_of, product, officer, second_officer
):
    factories.open_world(officer, second_officer)
    factories.add_members(1)

    standing = ask(client_of(product)).json()["standings"][0]

    assert standing == {
        "purpose": "generative-ai",
        "choice": "default",
        "rule": "default-on",
        "is_in": True,
        "reasons": [],
        "legal_basis": "GDPR Art. 6(1)(f), legitimate interest",
        "sentence": "The member is in: on by default; the member has not consented, and has not"
        " objected (GDPR Art. 6(1)(f), legitimate interest).",
    }


def test_a_member_who_gave_consent_is_in_by_it(client_of, product, officer, second_officer):
    factories.allow(officer, second_officer, purposes=["generative-ai"], rule="opt-in")
    factories.publish(officer, second_officer)
    factories.add_members(1)
    factories.decide("acc-0", "allow", actor=product)

    standing = ask(client_of(product)).json()["standings"][0]

    assert (standing["is_in"], standing["rule"], standing["legal_basis"]) == (
        True,
        "opt-in",
        "GDPR Art. 6(1)(a), consent",
    )


def test_where_no_rule_names_the_country_the_standing_says_so(client_of, product):
    factories.add_members(1)

    standing = ask(client_of(product)).json()["standings"][0]

    assert (standing["is_in"], standing["rule"], standing["legal_basis"]) == (False, "none", None)
    assert standing["reasons"][0] == {
        "code": "region",
        "sentence": "no rule allows the purpose in the member's country",
        "ground": "the region rule of the country",
    }
