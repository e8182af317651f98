"""Auditors' pages and files name no person, although the database holds names."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.urls import reverse

from ledger.models import Entry
from tools import factories

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.one_engine]

IDENTITIES = [
    "customer-zoe",
    "Zoe Zander",
    "zoe@example.org",
    "Zander Lane",
    "stalked",
    "She called",
]


@pytest.fixture
def places(officer: User, second_officer: User, engineer: User) -> list[str]:
    """Every page and file about a member who objected in their own name and words."""
    factories.open_world(officer, second_officer)
    factories.add_members(2)
    number = factories.add_member("customer-zoe")
    factories.decide("customer-zoe", "deny", actor=officer)
    ticket = factories.objection(
        "customer-zoe",
        name="Zoe Zander",
        email="zoe@example.org",
        postal_address="1 Zander Lane",
        statement="I was stalked.",
    )
    factories.note(ticket=ticket, text="She called, too.", actor=officer)
    run = factories.freeze(engineer).run
    state = reverse("admin:auditing_state")
    entries = [
        reverse("admin:ledger_entry_change", args=[sequence])
        for sequence in Entry.objects.values_list("sequence", flat=True)
    ]
    lists = [
        reverse(f"admin:{label}_{page}", args=args)
        for label in ("ledger_entry", "consent_member", "consent_decision", "objections_ticket")
        for page, args in (("changelist", []), ("export", ["csv"]), ("export", ["ndjson"]))
    ]
    return [
        reverse("admin:auditing_member_dossier", args=[number]),
        reverse("admin:auditing_run_dossier", args=[run.pk]),
        f"{state}?what=member&which={number}&entry=1",
        f"{state}?what=ticket&which={ticket.reference}&entry=1",
        *entries,
        *lists,
    ]


@pytest.mark.parametrize("person", ["auditor", "officer"])
def test_no_person_is_named(
    person: str, places: list[str], request: pytest.FixtureRequest, client_of: Any
) -> None:
    """Officers may see who it is, on the pages that are for that."""
    client = client_of(request.getfixturevalue(person))

    found = {}
    for place in places:
        answer = client.get(place)
        body = b"".join(answer.streaming_content) if answer.streaming else answer.content
        if answer.status_code == 200:
            found[place] = [one for one in IDENTITIES if one.encode() in body]

    assert len(found) > 10
    assert {place: named for place, named in found.items() if named} == {}
