"""One objection as people live it, in a real browser: filed, confirmed, worked by two officers, answered; and what
each training run that was frozen meanwhile did with the person.
"""

import datetime as dt
import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core import mail
from django.core.mail import EmailMessage
from playwright.sync_api import Page, expect

from consent.choices import Purpose
from consent.models import Member
from consent.public import member_links
from objections import tasks
from objections.models import Ticket
from objections.public import forms
from tools import factories
from tools.browsing import in_a_browser
from training_runs.models import Manifest
from training_runs.runs import explaining, freezing, verifying

pytestmark = in_a_browser

IN: list[str] = []
"""Nothing keeps the person out."""

SAID = [
    ["Did you send it? Then please open this page and confirm it"],
    ["these purposes: Personalisation, Moderation and safety.", "even if we are late"],
    [
        "The account that you name has another address than yours.",
        "Please write to us in which year and month you joined.",
    ],
    # Once more, with the day that counts now.
    ["these purposes: Personalisation, Moderation and safety."],
    ["Two teams use the data in four systems, and both must look.", "Nothing changes for you."],
    [
        "- Personalisation: upheld - Moderation and safety: refused",
        "Accounts of stalkers are found by this training alone.",
        "It protects the person who objects as well as all others.",
        "Without it we would find fewer stalkers, and later than now.",
        "Then that ends for: Moderation and safety.",
        "You can complain to the Swedish Authority for Privacy Protection (IMY).",
        "You can also go to court",
    ],
]
"""What each letter must say, in the order in which they leave."""


class Runs:
    """The runs of the journey: one for each purpose whenever they are frozen."""

    def __init__(self, person: Member, owner: User) -> None:
        self.person, self.owner = person, owner
        self.frozen: list[tuple[Manifest, list[str]]] = []

    def freeze(self) -> dict[str, list[str]]:
        """For each purpose, why a run frozen now leaves the person out; a verifier derived the same manifests."""
        reasons = {}
        for purpose in Purpose.values:
            manifest = factories.freeze(self.owner, purpose=purpose)
            found = freezing.load(manifest).reasons(self.person.pk)
            assert explaining.explain(manifest.run, self.person).frozen == found
            self.frozen.append((manifest, found))
            reasons[purpose] = found
        return reasons

    def are_as_frozen(self) -> bool:
        """Whether every manifest still says what it said, and can still be derived."""
        return all(
            freezing.load(manifest).reasons(self.person.pk) == reasons
            and verifying.verify(manifest).agreement == "agrees"
            for manifest, reasons in self.frozen
        )


# --- What each of them does ---------------------------------------------------------------------


def file_the_form(page: Page, *, account: str) -> Ticket:
    page.get_by_label("Personalisation").check()
    page.get_by_label("Moderation and safety").check()
    page.get_by_label("Your e-mail address").fill("Maj@example.org")
    page.get_by_label("Your name").fill("Maj Ström")
    page.get_by_label("Your account").fill(account)
    page.get_by_label("Where you live").select_option("Sweden")
    page.get_by_label("Why, in your words").fill("I was stalked, and do not want to be found.")
    page.get_by_role("button", name="Send my objection").click()
    ticket = Ticket.objects.worked().get()
    expect(page.get_by_role("status")).to_contain_text(ticket.reference)
    return ticket


def follow_the_link(page: Page, letter: EmailMessage) -> None:
    link = re.search(r"^ +(http\S+)$", letter.body, re.MULTILINE)
    assert link is not None
    page.goto(link[1])
    page.get_by_role("button", name="Yes, this is my address").click()
    expect(page.get_by_role("status")).to_contain_text("Your address is confirmed")


def log_in(page: Page, username: str) -> None:
    page.get_by_label("Username").fill(username)
    page.get_by_label("Password").fill("correct horse battery")
    page.get_by_role("button", name="Log in").click()


def take_from_the_queue(page: Page, ticket: Ticket) -> None:
    page.get_by_role("link", name="The queue").click()
    page.get_by_role("button", name=f"Take {ticket}").click()
    expect(page.get_by_text(f"{ticket} is yours.")).to_be_visible()
    page.get_by_role("link", name=ticket.reference, exact=True).click()


def ask_for_identity(page: Page) -> None:
    page.get_by_role("link", name="Ask for identity").click()
    page.get_by_label("What makes you doubt who it is").fill(
        "The account that you name has another address than yours."
    )
    page.get_by_label("What you need to know").fill(
        "Please write to us in which year and month you joined."
    )
    page.get_by_role("button", name="Preview the letter").click()
    letter = page.get_by_role("region", name="Text of the letter")
    expect(letter).to_contain_text("Please write to us in which year and month you joined.")
    page.get_by_role("button", name="Ask for identity").click()
    expect(page.get_by_text("asks for identity; the letter is on its way")).to_be_visible()


def record_the_answer(page: Page) -> None:
    page.get_by_role("link", name="Record the identity answer").click()
    page.get_by_label("How it was answered").fill("By mail, with the right year.")
    page.get_by_role("button", name="Record the identity answer").click()
    expect(page.get_by_text("Identity is answered")).to_be_visible()


def extend_with_notice(page: Page) -> None:
    page.get_by_role("link", name="Extend with notice").click()
    page.get_by_label("the request is complex").check()
    page.get_by_label("Why it takes longer").fill(
        "Two teams use the data in four systems, and both must look."
    )
    page.get_by_role("button", name="Send the notice").click()
    expect(page.get_by_text("is extended once it is sent")).to_be_visible()


def uphold_one_and_refuse_the_other(page: Page) -> None:
    page.get_by_role("link", name="Decide").click()
    personalisation = page.get_by_role("group", name="Personalisation")
    personalisation.get_by_label("Uphold: out for good").check()
    safety = page.get_by_role("group", name="Moderation and safety")
    safety.get_by_label("Refuse: in again once the letter counts as delivered").check()
    page.get_by_label("The compelling ground").fill(
        "Accounts of stalkers are found by this training alone."
    )
    page.get_by_label("Balancing").fill("It protects the person who objects as well as all others.")
    page.get_by_label("The reasons").fill(
        "Without it we would find fewer stalkers, and later than now."
    )
    page.get_by_role("button", name="Record the decision").click()
    expect(page.get_by_text("Proposed: a colleague reviews")).to_be_visible()


def approve(page: Page, ticket: Ticket) -> None:
    page.get_by_role("link", name=f"{ticket}: partly upheld").click()
    page.get_by_role("link", name="Review it").click()
    expect(
        page.get_by_text("Accounts of stalkers are found by this training alone.").first
    ).to_be_visible()
    page.get_by_label("Approve it").check()
    page.get_by_label("Reason").fill("ground and balancing are sound")
    page.get_by_role("button", name="Record your word").click()
    expect(page.get_by_text(f"Approved: {ticket} is partly upheld")).to_be_visible()


# --- The journey --------------------------------------------------------------------------------


def test_an_objection_goes_from_the_form_to_a_lawful_answer_and_the_runs_follow_it(
    officer: User,
    second_officer: User,
    engineer: User,
    visit: Any,
    live_server: Any,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings.PUBLIC_URL = live_server.url
    # A scripted person types faster than any other: that would be set aside.
    monkeypatch.setattr(forms, "FASTEST", dt.timedelta(0))
    factories.open_world(officer, second_officer)
    factories.add_members(20)
    person = Member.objects.get(pk=factories.add_member("acc-maj", country="SE"))
    of_the_person = Runs(person, engineer)
    at_home, at_the_desk, colleague = (visit(None) for _ in range(3))

    assert of_the_person.freeze() == dict.fromkeys(Purpose.values, IN)

    ticket = file_the_form(at_home.open("objection"), account="acc-maj")

    while_open = {
        "generative-ai": IN, "personalisation": ["objection_open"], "safety": ["objection_open"],
    }  # fmt: skip
    assert of_the_person.freeze() == while_open

    tasks.send_letters()
    follow_the_link(at_home.page, mail.outbox[0])
    tasks.send_letters()
    page = at_the_desk.open("admin:index")
    log_in(page, "olga")
    take_from_the_queue(page, ticket)
    ask_for_identity(page)
    tasks.send_letters()
    page.reload()
    record_the_answer(page)
    extend_with_notice(page)
    assert str(Ticket.objects.get(pk=ticket.pk).state) == "in_review"
    tasks.send_letters()
    uphold_one_and_refuse_the_other(page)
    expect(page.get_by_role("link", name="Review it")).to_have_count(0)
    page.get_by_role("button", name="Log out").click()
    assert of_the_person.freeze() == while_open

    page = colleague.open("admin:index")
    log_in(page, "otto")
    approve(page, ticket)

    assert of_the_person.freeze() == {**while_open, "personalisation": ["objection_upheld"]}

    tasks.send_letters()
    page.reload()

    expect(page.get_by_text("upheld: out for good")).to_be_visible()
    answered = {"generative-ai": IN, "personalisation": ["objection_upheld"], "safety": IN}
    assert of_the_person.freeze() == answered
    assert of_the_person.are_as_frozen()
    ticket.refresh_from_db()
    assert [(letter.to, letter.subject) for letter in mail.outbox] == [
        (["maj@example.org"], f"{subject} ({ticket})")
        for subject in (
            "Please confirm your objection",
            "We have received your objection",
            "A question about your objection",
            "We have received your objection",
            "We need more time for your objection",
            "Our answer to your objection",
        )
    ]
    assert [
        [words for words in expected if words not in " ".join(letter.body.split())]
        for expected, letter in zip(SAID, mail.outbox, strict=True)
    ] == [[], [], [], [], [], []]

    # The setting is a matter of its own: neither flips the other.
    page = at_home.page
    page.goto(member_links.link_for(person).url)
    page.get_by_role("button", name="Switch it off").click()

    assert of_the_person.freeze() == {
        "generative-ai": ["opted_out"], "personalisation": ["objection_upheld"], "safety": IN,
    }  # fmt: skip
    page.get_by_role("button", name="Switch it on").click()
    expect(page.get_by_role("status")).to_contain_text("You switched it on.")
    assert of_the_person.freeze() == answered
