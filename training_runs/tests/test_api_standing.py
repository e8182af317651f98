"""Where a member stands, over HTTP."""

import pytest

from portal.models import AccessRecord
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
                "sentence": "the member switched the setting off",
                "ground": "GDPR Art. 21(1)",
            }
        ],
        "sentence": "The member is out because the member switched the setting off.",
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
    answer = ask(client_of(product), "somebody@example.org")

    assert answer.status_code == 404
    assert b"somebody" not in answer.content
    assert not AccessRecord.objects.exists()
