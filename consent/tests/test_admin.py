"""The privacy team's pages: what they do, what they refuse, what they leave behind."""

import datetime as dt
import re
from html import unescape
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import DatabaseError, connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from consent import accounts
from consent.models import Decision, Member, Notice, RegionRule, Review
from ledger.models import AccessRecord, Entry
from tools import factories

pytestmark = [pytest.mark.django_db, pytest.mark.one_engine]

DENY = {"purpose": "generative-ai", "reason": "asked by letter"}
RULE = {
    "purpose": "generative-ai",
    "countries": "EU, ch",
    "rule": "default-on",
    "effective_from": "2025-11-03",
    "source": "the company's notice",
}
NOTICE = {
    "version": "2025-11-03",
    "purposes": ["generative-ai"],
    "data_categories": ["posts"],
    "countries": "ALL",
    "published_on": "2025-09-18",
    "in_force_from": "2025-11-03",
    "texts": "[en]\nWe train models with your posts.\n\n[de]\nWir trainieren Modelle.",
    "address": "https://example.org/privacy",
    "source": "the public notice",
}


# --- Members ------------------------------------------------------------------------------------


def test_opening_a_member_leaves_a_record_of_the_reader(officer: User, client_of: Any) -> None:
    number = factories.add_member("customer-1")

    response = client_of(officer).get(reverse("admin:consent_member_change", args=[number]))

    read = AccessRecord.objects.get()
    assert response.status_code == 200
    assert (read.user, read.kind, read.subject) == (officer, "member.read", f"member:{number}")


def test_reading_a_members_history_leaves_a_record_too(auditor: User, client_of: Any) -> None:
    number = factories.add_member("customer-1")

    client_of(auditor).get(reverse("admin:consent_member_history", args=[number]))

    assert AccessRecord.objects.get().kind == "member.history_read"


def test_a_read_that_cannot_be_recorded_is_refused(
    officer: User, client_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = factories.add_member("customer-1")

    def full_disk(*args: Any, **kwargs: Any) -> None:
        raise DatabaseError

    monkeypatch.setattr(AccessRecord, "save", full_disk)
    response = client_of(officer).get(reverse("admin:consent_member_change", args=[number]))

    assert response.status_code == 503
    assert "The read could not be recorded, so it is refused." in response.text
    assert "customer-1" not in response.text


@pytest.mark.parametrize(("role", "is_shown"), [("officer", True), ("auditor", False)])
def test_the_account_reference_is_shown_to_officers_and_not_to_auditors(
    role: str, is_shown: bool, client_of: Any, request: pytest.FixtureRequest
) -> None:
    number = factories.add_member("customer-1")
    client = client_of(request.getfixturevalue(role))

    pages = [
        client.get(reverse("admin:consent_member_change", args=[number])).text,
        client.get(reverse("admin:consent_member_changelist")).text,
        client.get(reverse("admin:consent_member_history", args=[number])).text,
    ]

    assert ["customer-1" in page for page in pages] == [is_shown, False, False]


def test_looking_a_member_up_keeps_the_reference_out_of_the_address(
    officer: User, client_of: Any
) -> None:
    number = factories.add_member("customer-1")

    response = client_of(officer).post(
        reverse("admin:consent_member_look_up"), {"account_ref": "customer-1"}
    )

    assert response.url == reverse("admin:consent_member_change", args=[number])


def test_looking_up_an_unknown_account_says_so(officer: User, client_of: Any) -> None:
    response = client_of(officer).post(
        reverse("admin:consent_member_look_up"), {"account_ref": "unknown"}
    )

    assert "No member has this account_ref." in response.text


def test_the_members_page_says_where_the_member_stands(
    officer: User, second_officer: User, client_of: Any
) -> None:
    factories.open_world(officer, second_officer)
    number = factories.add_member("customer-1")
    factories.decide("customer-1", "deny", actor=officer)

    response = client_of(officer).get(reverse("admin:consent_member_change", args=[number]))

    assert "The member is out because the member's setting for the purpose is off." in unescape(
        response.text
    )


# --- Deny, never allow --------------------------------------------------------------------------


def test_staff_record_a_deny_with_a_reason(officer: User, client_of: Any) -> None:
    number = factories.add_member("customer-1")

    client_of(officer).post(reverse("admin:consent_member_deny", args=[number]), DENY)

    decision = Decision.objects.get()
    assert (decision.choice, decision.channel, decision.member_id) == ("deny", "staff", number)
    assert (decision.entry.actor, decision.entry.reason) == (officer, "asked by letter")


def test_looking_at_the_deny_page_records_nothing(officer: User, client_of: Any) -> None:
    number = factories.add_member("customer-1")

    response = client_of(officer).get(reverse("admin:consent_member_deny", args=[number]))

    assert "Every run frozen afterwards excludes the member" in response.text
    assert not Decision.objects.exists()


@pytest.mark.parametrize(
    "changes",
    [
        {"reason": ""},
        {"reason": "   "},
        {"purpose": "personalisation"},
        {"purpose": "nonsense"},
    ],
)
def test_a_deny_without_a_reason_or_for_another_purpose_is_refused(
    changes: dict[str, str], officer: User, client_of: Any
) -> None:
    number = factories.add_member("customer-1")

    response = client_of(officer).post(
        reverse("admin:consent_member_deny", args=[number]), DENY | changes
    )

    assert response.status_code == 200
    assert response.context["form"].errors
    assert not Decision.objects.exists()


def test_no_word_makes_staff_record_an_allow(officer: User, client_of: Any) -> None:
    number = factories.add_member("customer-1")

    client_of(officer).post(
        reverse("admin:consent_member_deny", args=[number]), DENY | {"choice": "allow"}
    )

    assert Decision.objects.get().choice == "deny"


def test_a_deny_for_an_erased_member_is_refused_in_words(officer: User, client_of: Any) -> None:
    number = factories.add_member("customer-1")
    accounts.erase_member(account_ref="customer-1", actor="test", reason="asked for it")

    response = client_of(officer).post(reverse("admin:consent_member_deny", args=[number]), DENY)

    assert "The account was erased; it is out for good already." in response.text


# --- Permissions of every own page --------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        ("consent_member_look_up", {"officer"}),
        ("consent_member_deny", {"officer"}),
        ("consent_regionrule_add", {"officer"}),
        ("consent_notice_add", {"officer"}),
        ("consent_regionrule_review", {"officer"}),
        ("consent_notice_review", {"officer"}),
        ("consent_regionrule_today", {"officer", "engineer", "auditor"}),
    ],
)
def test_an_own_page_opens_for_its_roles_only(
    name: str, allowed: set[str], client_of: Any, request: pytest.FixtureRequest
) -> None:
    people = ["officer", "engineer", "auditor", "administrator", "stranger"]
    users = {role: request.getfixturevalue(role) for role in people}
    second = request.getfixturevalue("second_officer")
    number = factories.add_member("customer-1")
    args = {
        "consent_member_deny": [number],
        "consent_regionrule_review": [factories.allow(second, users["officer"])[0].pk],
        "consent_notice_review": [factories.publish(second, users["officer"]).pk],
    }.get(name, [])

    statuses = {
        role: client_of(user).get(reverse(f"admin:{name}", args=args)).status_code
        for role, user in users.items()
    }

    assert statuses == {role: 200 if role in allowed else 403 for role in people}


# --- Rules and notices --------------------------------------------------------------------------


def test_adding_a_rule_proposes_it_with_groups_spelled_out(officer: User, client_of: Any) -> None:
    client_of(officer).post(reverse("admin:consent_regionrule_add"), RULE)

    row = RegionRule.objects.get()
    assert {"DE", "FR", "CH", "GF"} <= set(row.countries)
    assert "GB" not in row.countries
    assert (row.needs_approval, row.proposed_by) == (True, officer)


def test_wrong_countries_are_named_and_nothing_typed_is_lost(officer: User, client_of: Any) -> None:
    response = client_of(officer).post(
        reverse("admin:consent_regionrule_add"), RULE | {"countries": "DE, XQ, Atlantis"}
    )

    assert response.context["form"].errors["countries"] == ["Unknown countries: ATLANTIS, XQ."]
    assert "DE, XQ, Atlantis" in response.text
    assert not RegionRule.objects.exists()


def test_adding_a_notice_proposes_it(officer: User, client_of: Any) -> None:
    client_of(officer).post(reverse("admin:consent_notice_add"), NOTICE)

    row = Notice.objects.get()
    assert (row.version, row.purposes, len(row.countries)) == ("2025-11-03", ["generative-ai"], 250)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"in_force_from": "2025-09-01"}, "cannot be in force before it is published"),
        ({"version": "a/b"}, "Letters, digits, dots, dashes."),
        ({"purposes": []}, "This field is required."),
    ],
)
def test_a_notice_that_cannot_be_is_refused_in_words(
    changes: dict[str, Any], sentence: str, officer: User, client_of: Any
) -> None:
    response = client_of(officer).post(reverse("admin:consent_notice_add"), NOTICE | changes)

    assert sentence in response.text
    assert not Notice.objects.exists()


def test_a_second_person_approves_and_sees_what_changes(
    officer: User, second_officer: User, client_of: Any
) -> None:
    client_of(officer).post(reverse("admin:consent_regionrule_add"), RULE | {"countries": "DE FR"})
    row = RegionRule.objects.get()
    client = client_of(second_officer)
    address = reverse("admin:consent_regionrule_review", args=[row.pk])

    (change,) = client.get(address).context["changes"]
    client.post(address, {"verdict": "approved", "reason": "read the notice"})

    assert (change.before, change.after) == ("no rule, so excluded", "default-on")
    assert change.countries == "France, Germany"
    review = Review.objects.get()
    assert (review.verdict, review.reviewer) == ("approved", second_officer)
    assert review.entry.reason == "read the notice"


def test_the_proposer_is_told_why_they_cannot_review_and_cannot(
    officer: User, client_of: Any
) -> None:
    client = client_of(officer)
    client.post(reverse("admin:consent_regionrule_add"), RULE)
    address = reverse("admin:consent_regionrule_review", args=[RegionRule.objects.get().pk])

    looked = client.get(address)
    posted = client.post(address, {"verdict": "approved", "reason": "mine"})

    assert "You proposed it yourself" in looked.text
    assert 'type="submit" class="default"' not in looked.text
    assert "ask a colleague" in posted.text
    assert not Review.objects.exists()


def test_a_proposal_waits_on_the_start_page_of_the_others_only(
    officer: User, second_officer: User, client_of: Any
) -> None:
    client_of(officer).post(reverse("admin:consent_regionrule_add"), RULE)

    lines = {
        (user.username, panel.title): len(panel.lines)
        for user in (officer, second_officer)
        for panel in client_of(user).get(reverse("admin:index")).context["panels"]
    }

    title = "Proposals waiting for your review"
    assert (lines["olga", title], lines["otto", title]) == (0, 1)


def test_a_rule_of_the_same_day_recorded_later_keeps_its_place_in_the_review(
    officer: User, second_officer: User, client_of: Any
) -> None:
    client = client_of(officer)
    client.post(reverse("admin:consent_regionrule_add"), RULE | {"countries": "DE"})
    proposal = RegionRule.objects.get()
    client.post(
        reverse("admin:consent_regionrule_add"), RULE | {"countries": "DE", "rule": "excluded"}
    )

    response = client_of(second_officer).get(
        reverse("admin:consent_regionrule_review", args=[proposal.pk])
    )

    assert [change.is_change for change in response.context["changes"]] == [False]


def test_rules_today_groups_every_country_once(
    officer: User, second_officer: User, client_of: Any
) -> None:
    factories.allow(officer, second_officer, purposes=["generative-ai"], codes=["US", "CA"])

    response = client_of(officer).get(reverse("admin:consent_regionrule_today"))

    first, *_ = response.context["purposes"]
    assert [(row.word, row.count) for row in first["rows"]] == [("default-on", 2), ("no rule", 248)]


# --- Histories and lists ------------------------------------------------------------------------


def test_history_names_the_entry_the_actor_and_what_changed(
    officer: User, auditor: User, client_of: Any
) -> None:
    number = factories.add_member("customer-1")
    accounts.erase_member(account_ref="customer-1", actor=officer, reason="asked for it")

    page = client_of(auditor).get(reverse("admin:consent_member_history", args=[number])).text

    assert f"#{Entry.objects.first().pk}" in page
    assert "olga" in page
    assert "asked for it" in page
    assert "Status: open" in page


@pytest.mark.parametrize("role", ["officer", "engineer", "auditor", "administrator"])
@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_no_role_can_write_to_a_history_page(
    role: str, method: str, client_of: Any, request: pytest.FixtureRequest
) -> None:
    number = factories.add_member("customer-1")
    version = Member.history.get(id=number).pk
    client = client_of(request.getfixturevalue(role))
    before = list(Member.objects.values())

    statuses = [
        getattr(client, method)(address, {"country": "FR", "status": "closed"}).status_code
        for address in (
            reverse("admin:consent_member_history", args=[number]),
            reverse("admin:consent_member_simple_history", args=[number, version]),
        )
    ]

    assert statuses == ([405, 404] if role in ("officer", "auditor") else [403, 403])
    assert list(Member.objects.values()) == before


@pytest.mark.parametrize("label", ["member", "decision", "consent", "regionrule", "notice"])
def test_a_list_asks_no_more_questions_for_three_rows_than_for_one(
    label: str,
    officer: User,
    second_officer: User,
    client_of: Any,
) -> None:
    client = client_of(officer)
    address = reverse(f"admin:consent_{label}_changelist")
    counts = []

    for code in ["US", "CA", "BR"]:
        factories.add_member(f"customer-{code}")
        factories.decide(f"customer-{code}", "deny", actor=officer)
        factories.allow(officer, second_officer, purposes=["safety"], codes=[code])
        factories.publish(officer, second_officer)
        with CaptureQueriesContext(connection) as queries:
            client.get(address)
        counts.append(len(queries))

    assert counts[0] == counts[2]
    assert counts[0] <= 9


@pytest.mark.parametrize("label", ["member", "decision", "consent"])
def test_a_list_of_members_facts_is_read_on_record(
    label: str, auditor: User, client_of: Any
) -> None:
    client_of(auditor).get(reverse(f"admin:consent_{label}_changelist"))

    assert list(AccessRecord.objects.values_list("user", "kind", "subject")) == [
        (auditor.pk, f"{label}.listed", "list")
    ]


def test_a_decision_is_read_on_the_members_record(
    auditor: User, product: User, client_of: Any
) -> None:
    number = factories.add_member("customer-1")
    factories.decide("customer-1", "deny", actor=product)
    decision = Decision.objects.get()

    client_of(auditor).get(reverse("admin:consent_decision_change", args=[decision.pk]))

    assert AccessRecord.objects.get().subject == f"member:{number}"


@pytest.mark.parametrize("label", ["decision", "consent"])
@pytest.mark.parametrize(
    ("term", "found"),
    [("{number}", 1), (" {number} ", 1), ("{number}0", 0), ("x", 0), ("²", 0), ("9" * 30, 0)],
)
def test_members_rows_are_found_by_the_exact_number(
    label: str, term: str, found: int, auditor: User, product: User, client_of: Any
) -> None:
    number = factories.add_member("customer-1")
    factories.decide("customer-1", "deny", actor=product)

    with CaptureQueriesContext(connection) as queries:
        page = client_of(auditor).get(
            reverse(f"admin:consent_{label}_changelist"), {"q": term.format(number=number)}
        )

    assert page.context["cl"].result_count == found
    assert not any("UPPER(" in query["sql"] for query in queries)


def test_the_members_page_leads_to_the_members_decisions(
    officer: User, product: User, client_of: Any
) -> None:
    number = factories.add_member("customer-1")
    factories.decide("customer-1", "deny", actor=product)
    client = client_of(officer)

    page = client.get(reverse("admin:consent_member_change", args=[number]))

    address = f"{reverse('admin:consent_decision_changelist')}?q={number}"
    assert address in page.text
    assert client.get(address).context["cl"].result_count == 1


# --- Who, when and why --------------------------------------------------------------------------


@pytest.mark.parametrize(("role", "is_linked"), [("officer", False), ("auditor", True)])
def test_a_decisions_page_says_who_recorded_it_when_and_why(
    role: str, is_linked: bool, officer: User, client_of: Any, request: pytest.FixtureRequest
) -> None:
    number = factories.add_member("customer-1")
    client_of(officer).post(reverse("admin:consent_member_deny", args=[number]), DENY)
    decision = Decision.objects.get()

    page = client_of(request.getfixturevalue(role)).get(
        reverse("admin:consent_decision_change", args=[decision.pk])
    )

    assert _shown(page, "Recorded by:") == "olga"
    assert _shown(page, "Reason:") == "asked by letter"
    assert _shown(page, "Recorded at:")
    assert _shown(page, "Ledger entry:") == f"#{decision.entry_id}"
    link = reverse("admin:ledger_entry_change", args=[decision.entry_id])
    assert (link in page.text) == is_linked


@pytest.mark.parametrize(
    ("label", "form"), [("regionrule", RULE | {"reason": "the law says so"}), ("notice", NOTICE)]
)
def test_a_proposals_page_says_who_proposed_and_who_reviewed_it_and_why(
    label: str,
    form: dict[str, Any],
    officer: User,
    second_officer: User,
    auditor: User,
    client_of: Any,
) -> None:
    client_of(officer).post(reverse(f"admin:consent_{label}_add"), form)
    row = {"regionrule": RegionRule, "notice": Notice}[label].objects.get()
    address = reverse(f"admin:consent_{label}_change", args=[row.pk])
    before = client_of(auditor).get(address)
    client_of(second_officer).post(
        reverse(f"admin:consent_{label}_review", args=[row.pk]),
        {"verdict": "approved", "reason": "read the source"},
    )

    page = client_of(auditor).get(address)

    assert "Reviewed by" not in before.text
    assert _shown(page, "Recorded by:") == "olga"
    assert _shown(page, "Reason:") == form.get("reason", "none given")
    assert _shown(page, "Reviewed by:") == "otto: approved"
    assert _shown(page, "Reason of the review:") == "read the source"
    assert _shown(page, "Reviewed at:")
    assert _shown(page, "Ledger entry:") == f"#{row.entry_id}"


def _shown(page: Any, label: str) -> str:
    """What the page shows beside a label of its fields."""
    (found,) = re.findall(
        rf'<label>{label}</label>\s*<div class="readonly">(.*?)</div>', page.text, re.DOTALL
    )
    return re.sub(r"<[^>]+>", "", found).strip()


# --- What a reviewer should see -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("published", "in_force", "starts"),
    [
        (0, 45, []),
        (-5, 45, ["Published on"]),
        (-50, -5, ["Published on", "In force from"]),
        (3, 3, ["Published and in force on the same day: notice period: 0 days."]),
    ],
)
def test_the_review_of_a_notice_warns_of_dates_that_need_a_second_look(
    published: int,
    in_force: int,
    starts: list[str],
    officer: User,
    second_officer: User,
    client_of: Any,
) -> None:
    today = timezone.now().date()
    if published == in_force:
        factories.notice_period(0, officer, second_officer)
    dates = {
        "published_on": today + dt.timedelta(days=published),
        "in_force_from": today + dt.timedelta(days=in_force),
    }
    client_of(officer).post(reverse("admin:consent_notice_add"), NOTICE | dates)
    address = reverse("admin:consent_notice_review", args=[Notice.objects.get().pk])

    page = client_of(second_officer).get(address)

    warnings = page.context["warnings"]
    assert len(warnings) == len(starts)
    assert all(map(str.startswith, warnings, starts))
    assert ("Check again" in page.text) == bool(starts)


@pytest.mark.parametrize(
    ("given", "rule", "left_out"),
    [
        ("FI", "default-on", ["Åland Islands (with Finland)"]),
        ("FI AX", "default-on", []),
        ("US", "default-on", []),
        ("NO", "default-on", ["Bouvet Island, Svalbard and Jan Mayen (with Norway)"]),
    ],
)
def test_the_review_of_a_rule_names_the_territories_it_leaves_out(
    given: str,
    rule: str,
    left_out: list[str],
    officer: User,
    second_officer: User,
    client_of: Any,
) -> None:
    client_of(officer).post(
        reverse("admin:consent_regionrule_add"), RULE | {"countries": given, "rule": rule}
    )
    address = reverse("admin:consent_regionrule_review", args=[RegionRule.objects.get().pk])

    page = client_of(second_officer).get(address)

    assert page.context["left_out"] == left_out
    assert all(words in page.text for words in left_out)


@pytest.mark.parametrize("rule", ["default-on", "opt-in"])
def test_the_review_of_a_rule_for_the_eu_names_the_countries_that_follow_it(
    rule: str, officer: User, second_officer: User, client_of: Any
) -> None:
    client_of(officer).post(reverse("admin:consent_regionrule_add"), RULE | {"rule": rule})
    address = reverse("admin:consent_regionrule_review", args=[RegionRule.objects.get().pk])

    (words,) = client_of(second_officer).get(address).context["left_out"]

    assert words.startswith("Andorra, Aruba, ")
    assert words.endswith("Vatican City (follow the EU when it is excluded)")


@pytest.mark.parametrize(
    ("given", "rule", "added"),
    [
        ("FI DE", "excluded", "Åland Islands"),
        ("NO", "opt-in", "Bouvet Island, Svalbard and Jan Mayen"),
        ("FI DE", "default-on", ""),
        ("DE", "excluded", ""),
    ],
)
def test_the_countries_that_a_tightening_adds_are_shown_after_proposing(
    given: str, rule: str, added: str, officer: User, client_of: Any
) -> None:
    page = client_of(officer).post(
        reverse("admin:consent_regionrule_add"),
        RULE | {"countries": given, "rule": rule},
        follow=True,
    )

    said = f"Added, because they go with what you named: {added}."
    assert (said in page.text) == bool(added)
    assert ("Added, because" in page.text) == bool(added)
