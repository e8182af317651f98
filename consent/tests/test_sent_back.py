"""A rejected rule or notice: its author hears of it and finds the words."""

import datetime as dt
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from consent.choices import ReviewVerdict
from consent.models import Notice, RegionRule
from consent.rulebook import proposing
from consent.sent_back import TOLD_DAYS

pytestmark = [pytest.mark.django_db, pytest.mark.one_engine]

WHY = "The statement names other countries."


def proposed_rule(officer: User) -> RegionRule:
    return proposing.propose_rule(
        purpose="generative-ai",
        countries=["BR", "IN"],
        rule="default-on",
        effective_from=dt.date(2026, 1, 1),
        source="a regulator's statement",
        reason="Asked for by counsel.",
        actor=officer,
    )


def proposed_notice(officer: User) -> Notice:
    return proposing.propose_notice(
        version="2026-01-01",
        purposes=["generative-ai"],
        data_categories=["posts"],
        countries=["BR", "IN"],
        published_on=dt.date(2025, 12, 1),
        in_force_from=dt.date(2026, 1, 1),
        texts={"en": "We train models.", "pt-BR": "Treinamos modelos."},
        source="https://example.org/notice",
        actor=officer,
    )


def reject(row: RegionRule | Notice, by: User) -> None:
    proposing.review(proposal=row, verdict=ReviewVerdict.REJECTED, actor=by, reason=WHY)


def told(client: Client) -> list[Any]:
    found = client.get(reverse("admin:index")).context["panels"]
    return [line for panel in found if panel.title == "Sent back to you" for line in panel.lines]


def test_a_rejected_rule_is_its_authors_first_task_with_its_words(
    officer: User, second_officer: User, client_of: Any
) -> None:
    reject(proposed_rule(officer), second_officer)
    client = client_of(officer)

    (line,) = told(client)
    answer = client.get(line.url)
    form = answer.context["form"]

    assert line.detail == f"sent back by otto: {WHY}"
    assert told(client_of(second_officer)) == []
    assert WHY in answer.content.decode()
    assert {name: str(form.initial[name]) for name in form.fields} == {
        "purpose": "generative-ai",
        "countries": "BR, IN",
        "rule": "default-on",
        "effective_from": "2026-01-01",
        "data_from": "None",
        "source": "a regulator's statement",
        "reason": "Asked for by counsel.",
    }


def test_a_rejected_notice_is_its_authors_first_task_with_its_words(
    officer: User, second_officer: User, client_of: Any
) -> None:
    reject(proposed_notice(officer), second_officer)
    client = client_of(officer)

    (line,) = told(client)
    form = client.get(line.url).context["form"]

    assert "version" not in form.initial
    assert form.initial["countries"] == "BR, IN"
    assert form.initial["source"] == "https://example.org/notice"
    assert form.initial["purposes"] == ["generative-ai"]


def test_it_is_no_task_any_more_once_it_is_proposed_again_or_after_a_month(
    officer: User, second_officer: User, client_of: Any
) -> None:
    reject(proposed_rule(officer), second_officer)
    reject(proposed_notice(officer), second_officer)
    client = client_of(officer)
    assert len(told(client)) == 2

    proposed_rule(officer)

    assert [line.text for line in told(client)] == ["Notice 2026-01-01"]
    with time_machine.travel(timezone.now() + dt.timedelta(days=TOLD_DAYS + 1), tick=False):
        assert told(client_of(officer)) == []


@pytest.mark.parametrize("asked", ["0", "x", "99999999", "1"])
def test_a_form_begins_with_no_proposal_that_was_not_rejected(
    asked: str, officer: User, client_of: Any
) -> None:
    row = proposed_rule(officer)
    asked = str(row.pk) if asked == "1" else asked

    answer = client_of(officer).get(reverse("admin:consent_regionrule_add"), {"again": asked})

    assert answer.status_code == 400
    assert "again" in answer.text
