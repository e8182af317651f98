"""Region rules and notices over HTTP."""

import pytest
from django.contrib.auth.models import User

from consent.countries import GROUPS
from consent.models import Notice, RegionRule
from tools import factories

# The effects of a proposal are counted in a snapshot, a transaction of its own.
pytestmark = pytest.mark.django_db(transaction=True)

RULE = {
    "purpose": "generative-ai",
    "countries": ["EU", "CH"],
    "rule": "default-on",
    "effective_from": "2025-11-03",
    "source": "company notice of 2025-09-18",
}
NOTICE = {
    "version": "2025-09",
    "purposes": ["generative-ai"],
    "data_categories": ["posts"],
    "countries": ["uk"],
    "published_on": "2025-09-18",
    "in_force_from": "2025-11-03",
    "texts": {"en": "We train models with your posts.", "de": "Wir trainieren Modelle."},
    "address": "https://example.org/privacy",
    "source": "the company's page",
}


def post(client, path, body):
    return client.post(f"/api/v1/{path}", body, content_type="application/json")


def test_a_rule_names_groups_and_waits_for_a_second_person(client_of, officer, second_officer):
    proposed = post(client_of(officer), "region-rules", RULE)

    assert proposed.status_code == 201
    rule = proposed.json()
    assert set(rule["countries"]) == {*GROUPS["EU"], "CH"}
    assert rule["needs_approval"]
    assert rule["review"] is None
    assert rule["proposed_by"] == "olga"

    path = f"region-rules/{rule['id']}/review"
    own = post(client_of(officer), path, {"verdict": "approved", "reason": "fine"})
    approved = post(client_of(second_officer), path, {"verdict": "approved", "reason": "checked"})
    late = post(client_of(second_officer), path, {"verdict": "rejected", "reason": "no"})

    assert (own.status_code, own.json()["code"]) == (409, "needs_second_person")
    assert approved.status_code == 201
    assert (late.status_code, late.json()["code"]) == (409, "already_reviewed")
    (listed,) = client_of(officer).get("/api/v1/region-rules").json()["results"]
    assert listed["review"] == {
        "verdict": "approved",
        "reviewer": "otto",
        "entry": approved.json()["entry"],
    }


@pytest.mark.parametrize(
    ("change", "person", "status"),
    [
        ({}, "second_officer", 201),
        ({"reason": "another"}, "second_officer", 409),
        ({"verdict": "rejected"}, "second_officer", 409),
        ({}, "third_officer", 409),
    ],
)
def test_only_the_same_review_again_gets_the_first_answer(
    client_of, officer, second_officer, change, person, status
):
    rule = post(client_of(officer), "region-rules", RULE).json()
    path = f"region-rules/{rule['id']}/review"
    said = {"verdict": "approved", "reason": "checked"}
    third_officer = User.objects.create_user("otilie")
    third_officer.groups.set(second_officer.groups.all())
    people = {"second_officer": second_officer, "third_officer": third_officer}

    first = post(client_of(second_officer), path, said)
    again = post(client_of(people[person]), path, {**said, **change})

    assert first.status_code == 201
    assert again.status_code == status
    assert status == 409 or again.json() == first.json()


def test_a_tightening_holds_at_once(client_of, officer):
    answer = post(client_of(officer), "region-rules", {**RULE, "rule": "excluded"})

    assert answer.json()["needs_approval"] is False


def test_a_notice_is_proposed_and_reviewed_by_its_version(client_of, officer, second_officer):
    proposed = post(client_of(officer), "notices", NOTICE)
    again = post(client_of(officer), "notices", NOTICE)
    other = post(client_of(officer), "notices", {**NOTICE, "source": "elsewhere"})
    next_one = post(
        client_of(officer), "notices", {**NOTICE, "version": "2026-01", "supersedes": "2025-09"}
    )
    reviewed = post(
        client_of(second_officer), "notices/2025-09/review", {"verdict": "approved", "reason": "ok"}
    )

    assert proposed.status_code == 201
    assert proposed.json()["countries"] == ["GB"]
    assert (again.status_code, again.json()) == (201, proposed.json())
    assert (other.status_code, other.json()["code"]) == (422, "version_reused")
    assert next_one.json()["supersedes"] == "2025-09"
    assert reviewed.status_code == 201


@pytest.mark.parametrize(
    ("path", "good", "change", "field"),
    [
        ("region-rules", RULE, {"countries": []}, "countries"),
        ("region-rules", RULE, {"countries": ["Narnia"]}, "countries"),
        ("region-rules", RULE, {"countries": "EU"}, "countries"),
        ("region-rules", RULE, {"countries": [1]}, "countries.0"),
        ("region-rules", RULE, {"effective_from": "soon"}, "effective_from"),
        ("region-rules", RULE, {"effective_from": 20251103}, "effective_from"),
        ("region-rules", RULE, {"source": " "}, "source"),
        ("region-rules", RULE, {"rule": "never"}, "rule"),
        ("notices", NOTICE, {"version": "no spaces"}, "version"),
        ("notices", NOTICE, {"version": "a/b"}, "version"),
        ("notices", NOTICE, {"purposes": []}, "purposes"),
        ("notices", NOTICE, {"purposes": ["x"]}, "purposes.0"),
        ("notices", NOTICE, {"data_categories": {"posts": 1}}, "data_categories"),
        ("notices", NOTICE, {"in_force_from": "2025-09-17"}, "in_force_from"),
        ("notices", NOTICE, {"supersedes": "nothing"}, "supersedes"),
    ],
)
def test_a_broken_proposal_is_refused_by_field(client_of, officer, path, good, change, field):
    answer = post(client_of(officer), path, {**good, **change})

    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert not RegionRule.objects.exists()
    assert not Notice.objects.exists()


@pytest.mark.parametrize("path", ["region-rules/1/review", "notices/none/review"])
def test_what_does_not_exist_cannot_be_reviewed(client_of, officer, path):
    answer = post(client_of(officer), path, {"verdict": "approved", "reason": "ok"})

    assert answer.status_code == 404


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("path", ["region-rules", "notices"])
def test_a_list_asks_as_many_queries_for_one_as_for_three(
    client_of, officer, second_officer, path, count, django_assert_num_queries
):
    for code in ["US", "CA", "BR"][:count]:
        factories.allow(officer, second_officer, purposes=["safety"], codes=[code], rule="opt-in")
        factories.publish(officer, second_officer)
    api = client_of(officer)

    # Session, user, two for permissions, the rows with all beside them; withdrawals of all notices at once.
    with django_assert_num_queries(6 if path == "notices" else 5):
        answer = api.get(f"/api/v1/{path}")

    assert len(answer.json()["results"]) == count
