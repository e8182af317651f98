"""Every page of every role in a real browser: no breach of the content security policy, no axe violation,
and the journeys that must work end to end.
"""

import datetime as dt
import re
import smtplib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import pytest
import time_machine
from django.conf import settings
from django.contrib.auth.models import User
from django.core.mail.backends.base import BaseEmailBackend
from django.urls import reverse
from django.utils import timezone
from django.utils.text import capfirst
from playwright.sync_api import expect

from common.identity import tokens
from common.staff.site import HistoryModelAdmin, PortalModelAdmin, site
from consent.choices import Purpose
from consent.models import Decision, Member, Notice, RegionRule
from consent.public import member_links
from consent.rulebook import proposing
from deliveries.models import Delivery, Recipient, TrainedModel, Waiver
from deliveries.receipts import completing
from deliveries.use import starting
from ledger.models import Entry
from objections import acts, tasks
from objections.choices import LetterKind
from objections.letters import composing
from objections.letters.texts import Text, built_in
from objections.models import Letter, LetterTemplate, Ticket
from objections.public import forms
from objections.ticket import uploads
from tools import factories, pictures
from tools.browsing import Visitor, in_a_browser
from training_runs.models import Assessment, Manifest, Run
from training_runs.runs import assessments, freezing, registering, verifying

pytestmark = in_a_browser

NOTHING: list[str] = []


@dataclass
class World:
    """Something on every page: members, a waiting proposal, runs in three states, a token."""

    number: int
    waiting: RegionRule
    registered: Run
    requested: Run
    manifest: Manifest


@pytest.fixture
def world(officer: User, second_officer: User, engineer: User, administrator: User) -> World:
    factories.open_world(officer, second_officer)
    number = factories.add_member("customer-1")
    factories.add_members(20)
    factories.add_members(5, country="DE", prefix="de")
    factories.evidence_of(Notice.objects.get(), officer)
    factories.decide("acc-1", "deny", actor=officer)
    manifest = factories.freeze(engineer)
    with_child = factories.register(engineer, parent=manifest.run)
    assert with_child.parent == manifest.run
    requested = registering.start(run=factories.register(engineer), actor=engineer)
    waiting = _propose_lift(officer)
    tokens.issue_token(
        user=engineer, name="tracker", scopes=["runs:read"], days=5, actor=administrator
    )
    return World(number, waiting, factories.register(engineer), requested, manifest)


def _propose_lift(proposer: User) -> RegionRule:
    today = timezone.now().date()
    proposing.propose_rule(
        purpose="generative-ai", countries=["DE", "FR"], rule="excluded", effective_from=today,
        source="a regulator's statement", actor=proposer,
    )  # fmt: skip
    return proposing.propose_rule(
        purpose="generative-ai", countries=["DE", "FR"], rule="default-on", effective_from=today,
        source="a later statement", actor=proposer,
    )  # fmt: skip


class NoSuchMailbox(BaseEmailBackend):
    """A mail server that knows the address is wrong."""

    def send_messages(self, messages: Any) -> int:
        raise smtplib.SMTPRecipientsRefused({messages[0].to[0]: (550, b"unknown")})


@dataclass
class Desk:
    """A ticket for every act, a letter in every standing, a text that was edited, an incident."""

    received: Ticket
    set_aside: Ticket
    identity_asked: Ticket
    in_review: Ticket
    proposed: Ticket
    answered: Ticket
    sent: Letter
    failed: Letter
    by_post: Letter
    template: LetterTemplate


@pytest.fixture
def desk(world: World, officer: User, second_officer: User, settings: Any) -> Desk:
    long_ago = timezone.now() - dt.timedelta(days=40)
    with time_machine.travel(long_ago):
        asked = factories.objection(statement="Out, please.")
        asked = acts.ask_identity.do(
            ticket=asked, **factories.IDENTITY, version=asked.version or 0, actor=officer
        )
        tasks.send_letters()
    answered = factories.uphold(factories.objection("acc-2", country="SE"), officer)
    tasks.send_letters()
    received = factories.objection(name="Nora", statement="I was\nstalked.", email="n@example.org")
    factories.attach(ticket=received, files=[uploads.check("a.txt", b"words")], actor=officer)
    factories.note(ticket=received, text="She called, too.", actor=officer)
    shorter = Text("Our answer is yes ({{ reference }})", built_in(LetterKind.UPHELD).body)
    template = factories.put_into_use(LetterKind.UPHELD, shorter, officer, second_officer)
    # A run was frozen with the member since: an incident.
    in_review = factories.objection("acc-3", purposes=Purpose.values, received_at=long_ago)
    factories.objection("acc-3", country="GB")
    proposed = factories.objection("acc-4")
    factories.withdraw(factories.objection("acc-5"), officer, second_officer)
    acts.withdraw.do(
        ticket=proposed,
        evidence=factories.EVIDENCE,
        version=proposed.version or 0,
        actor=second_officer,
    )
    settings.EMAIL_BACKEND = f"{__name__}.{NoSuchMailbox.__name__}"
    tasks.send_letters()
    posted = factories.objection(channel="paper", email="", postal_address="Maj\nLund")
    for row in (asked, answered, proposed):
        row.refresh_from_db()
    return Desk(
        received=received,
        set_aside=factories.objection(is_vouched=False, looks_automatic=True),
        identity_asked=asked,
        in_review=factories.reviewed(in_review, officer),
        proposed=proposed,
        answered=answered,
        sent=answered.letters.latest("pk"),
        failed=proposed.letters.get(),
        by_post=posted.letters.get(),
        template=template,
    )


ROLES = ["officer", "engineer", "auditor", "administrator", "stranger"]


def lists_of(me: User) -> dict[str, PortalModelAdmin]:
    """The lists that a person may look at, by the names of their addresses."""
    return {
        f"{model._meta.app_label}_{model._meta.model_name}": admin
        for model, admin in site._registry.items()
        if isinstance(admin, PortalModelAdmin)
        and me.has_perm(f"{model._meta.app_label}.view_{model._meta.model_name}")
    }


@dataclass
class Use:
    """A run in training and one that asks for a waiver, with deliveries, a receipt, a recipient and a model."""

    delivery: Delivery
    frozen: Run
    waiver: Waiver
    assessment: Assessment
    told: tuple[str, int]


@pytest.fixture
def use(
    world: World, desk: Desk, officer: User, second_officer: User, engineer: User, product: User
) -> Use:
    factories.live(world.manifest.run, engineer, officer, second_officer, product)
    frozen = factories.freeze(engineer).run
    delivery = factories.deliver(frozen, engineer)
    return Use(
        delivery=delivery,
        frozen=frozen,
        waiver=Waiver.objects.get(),
        assessment=assessments.write(
            run=factories.register(engineer, purpose="personalisation", parent=frozen),
            actor=engineer,
            **factories.ASSESSMENT,
        )[0],
        told=(desk.answered.reference, Recipient.objects.get().pk),
    )


def pages_of(me: User, role: str, world: World, desk: Desk, use: Use) -> list[str]:
    """The address of every page the role has: each list, the first row of it, its history, each act."""
    addresses = [reverse("admin:index"), reverse("admin:password_change")]
    for label, admin in lists_of(me).items():
        addresses.append(reverse(f"admin:{label}_changelist"))
        row = admin.model._default_manager.first()
        if row is not None:
            addresses.append(reverse(f"admin:{label}_change", args=[row.pk]))
            if isinstance(admin, HistoryModelAdmin):
                addresses.append(reverse(f"admin:{label}_history", args=[row.pk]))
    run = world.manifest.run.pk
    acts: dict[str, list[tuple[str, Sequence[Any]]]] = {
        "officer": [
            ("consent_member_look_up", []),
            ("consent_member_deny", [world.number]),
            ("consent_regionrule_add", []),
            ("consent_regionrule_today", []),
            ("consent_regionrule_review", [world.waiting.pk]),
            ("consent_notice_add", []),
            ("consent_notice_delivered", [Notice.objects.latest("pk").pk]),
            ("consent_notice_withdraw", [Notice.objects.latest("pk").pk]),
            ("training_runs_run_change", [run]),
            ("training_runs_run_verify", [run]),
            ("training_runs_assessment_change", [use.assessment.pk]),
            ("training_runs_assessment_review", [use.assessment.pk]),
            ("objections_ticket_add", []),
            ("objections_ticket_look_up", []),
            ("objections_figures", []),
            *((f"objections_ticket_{act}", [ticket.pk]) for ticket, act in acts_on(desk)),
            ("objections_ticket_letter", [desk.sent.pk]),
            ("objections_ticket_letter_again", [desk.failed.pk]),
            ("objections_ticket_letter_repeat", [desk.sent.pk]),
            ("objections_ticket_letter_posted", [desk.by_post.pk]),
            ("objections_letter_change", [desk.failed.pk]),
            *texts_of(desk),
            ("objections_lettertemplate_edit", [desk.template.kind]),
            ("deliveries_waiver_decide", [use.waiver.pk]),
            ("deliveries_to_tell", []),
            ("deliveries_tell", use.told),
        ],
        "engineer": [
            ("training_runs_run_add", []),
            ("training_runs_run_change", [run]),
            ("training_runs_run_change", [world.requested.pk]),
            ("training_runs_run_withdrawn", [run]),
            ("training_runs_run_incidents", [run]),
            ("training_runs_run_start", [world.registered.pk]),
            ("training_runs_run_cancel", [world.registered.pk]),
            ("training_runs_run_rename", [world.registered.pk]),
            ("training_runs_run_assess", [world.registered.pk]),
            ("consent_regionrule_today", []),
            ("deliveries_request", [use.frozen.pk]),
            ("deliveries_ask_waiver", [use.frozen.pk]),
            ("deliveries_delivery_renew", [use.delivery.pk]),
            ("deliveries_delivery_cancel", [use.delivery.pk]),
            ("deliveries_trainedmodel_add", []),
            ("deliveries_trainedmodel_edit", [TrainedModel.objects.get().pk]),
            ("deliveries_trainedmodel_add_run", [TrainedModel.objects.get().pk]),
        ],
        "auditor": [
            ("training_runs_run_change", [run]),
            ("consent_regionrule_today", []),
            ("objections_figures", []),
            ("objections_ticket_change", [desk.received.pk]),
            ("objections_ticket_change", [desk.proposed.pk]),
            *texts_of(desk),
            ("auditing_dossiers", []),
            ("auditing_member_dossier", [world.number]),
            ("auditing_run_dossier", [run]),
            ("auditing_run_dossier", [world.registered.pk]),
            ("auditing_state", []),
            ("ledger_entry_change", [world.manifest.entry_id]),
        ],
        "administrator": [
            ("auth_user_add", []),
            ("common_servicetoken_add", []),
            ("deliveries_recipient_add", []),
            ("deliveries_recipient_edit", [use.told[1]]),
        ],
        "stranger": [],
    }
    return addresses + [reverse(f"admin:{name}", args=args) for name, args in acts[role]]


def acts_on(desk: Desk) -> Iterable[tuple[Ticket, str]]:
    """Each act on a ticket that is ready for it, and the page of that ticket."""
    for act in (
        "change", "take", "assign", "begin_review", "ask_identity", "match", "link", "withdraw", "note",
        "attach", "confirm_address", "correct_address", "correct_receipt", "correct_country",
    ):  # fmt: skip
        yield desk.received, act
    yield from ((desk.set_aside, act) for act in ("change", "release", "close_abuse"))
    yield desk.identity_asked, "record_identity"
    yield desk.identity_asked, "go_on_without_identity"
    yield desk.identity_asked, "close_unidentified"
    yield from ((desk.in_review, act) for act in ("change", "extend", "decide"))
    yield from ((desk.proposed, act) for act in ("change", "review"))
    yield from ((desk.answered, act) for act in ("change", "erase"))


def texts_of(desk: Desk) -> list[tuple[str, list[Any]]]:
    kind = desk.template.kind
    return [
        ("objections_lettertemplate_kind", [kind]),
        ("objections_lettertemplate_version", [kind, desk.template.number]),
        ("objections_lettertemplate_version", [kind, 0]),
    ]


@pytest.mark.parametrize("role", ROLES)
def test_every_page_is_accessible_in_light_and_dark_and_keeps_the_content_security_policy(
    role: str,
    world: World,
    desk: Desk,
    use: Use,
    visit: Any,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # More rows of the same find nothing more, and a list that goes on has its page numbers looked at too.
    monkeypatch.setattr(PortalModelAdmin, "list_per_page", 5)
    me = request.getfixturevalue(role)

    assert faults_of(visit(me), pages_of(me, role, world, desk, use)) == {}


def faults_of(visitor: Visitor, paths: Iterable[str]) -> dict[str, list[str]]:
    """What is wrong with pages, as far as anything is."""
    found = {path: visitor.faults_of(path) for path in paths}
    return {path: faults for path, faults in found.items() if faults}


def test_pages_that_answer_what_an_officer_typed_are_accessible_and_keep_the_policy(
    desk: Desk, officer: User, visit: Any
) -> None:
    visitor = visit(officer)
    faults = {}

    page = visitor.open("admin:objections_ticket_changelist")
    page.get_by_label("Select all").check()
    page.get_by_label("Action:").select_option("assign")
    page.get_by_role("button", name="Go").click()
    faults["bulk"] = visitor.faults_here()
    visitor.open("admin:objections_ticket_look_up")
    page.get_by_label("E-mail address or account").fill("acc-3")
    page.get_by_role("button", name="Find").click()
    expect(page.get_by_role("heading", name="2 tickets")).to_be_visible()
    faults["found"] = visitor.faults_here()
    visitor.open("admin:objections_ticket_decide", desk.in_review.pk)
    page.get_by_label("Refuse: in again once the letter counts as delivered").first.check()
    page.get_by_label("Uphold: out for good").last.check()
    page.get_by_role("button", name="Preview the letter").click()
    expect(page.get_by_role("region", name="Text of the letter")).to_be_visible()
    faults["preview"] = visitor.faults_here()
    page.get_by_role("button", name="Record the decision").click()
    expect(page.get_by_role("alert")).to_be_visible()
    faults["refused"] = visitor.faults_here()
    visitor.open("admin:objections_lettertemplate_edit", desk.template.kind)
    page.get_by_label("Subject").fill("Yes ({{ reference }})")
    page.get_by_role("button", name="Preview").click()
    faults["text"] = visitor.faults_here()

    assert faults == dict.fromkeys(faults, NOTHING)


def test_pages_that_answer_what_an_auditor_typed_are_accessible_and_keep_the_policy(
    world: World, desk: Desk, auditor: User, visit: Any
) -> None:
    visitor = visit(auditor)
    asked = {
        "narrowed": ("ledger_entry_changelist", f"about={desk.received.reference}"),
        "nothing": ("ledger_entry_changelist", "words=never+written"),
        "mistakes": ("ledger_entry_changelist", "about=TR-1&first=2026-01-02&last=2026-01-01"),
        "unknown": ("auditing_dossiers", "of=TR-1"),
        "a member": ("auditing_state", f"what=member&which={world.number}&entry=20"),
        "a ticket": ("auditing_state", f"what=ticket&which={desk.answered.reference}&entry=60"),
        "rules": ("auditing_state", "what=rules&purpose=safety&entry=20"),
        "notices": ("auditing_state", "what=notices&entry=2"),
        "a run": ("auditing_state", f"what=run&which={world.manifest.run.reference}&entry=1"),
        "no state": ("auditing_state", "what=run&which=&entry="),
    }

    faults = {
        name: visitor.faults_of(f"{reverse(f'admin:{page}')}?{query}")
        for name, (page, query) in asked.items()
    }

    assert faults == dict.fromkeys(asked, NOTHING)


def test_logging_in_is_accessible_and_keeps_the_policy(officer: User, visit: Any) -> None:
    visitor = visit(None)

    faults = visitor.faults_of(reverse("admin:login"))
    page = visitor.page
    page.get_by_label("Username").fill("olga")
    page.get_by_label("Password").fill("correct horse battery")
    page.get_by_role("button", name="Log in").click()

    assert faults == NOTHING
    expect(page.get_by_role("heading", name="Waiting for you", exact=True)).to_be_visible()


def test_the_pages_of_members_are_accessible_and_keep_the_policy(
    officer: User, second_officer: User, visit: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forms, "FASTEST", dt.timedelta(0))
    factories.open_world(officer, second_officer)
    visitor = visit(None)
    page = visitor.page
    faults = {"no link": visitor.faults_of("/settings/ai-training/")}

    faults["form"] = visitor.faults_of("/objection/")
    page.get_by_role("button", name="Send my objection").click()
    expect(page.get_by_role("heading", name="Nothing has been sent yet")).to_be_visible()
    faults["mistakes"] = visitor.faults_here()
    page.get_by_label("Generative AI").check()
    page.get_by_label("Your e-mail address").fill("maj@example.org")
    page.get_by_role("button", name="Send my objection").click()
    expect(page.get_by_role("heading", name="We have your objection")).to_be_visible()
    faults["filed"] = visitor.faults_here()
    link = composing.confirmation_link(Ticket.objects.worked().get())["link"]
    faults["confirm"] = visitor.faults_of(link.removeprefix(settings.PUBLIC_URL))
    page.get_by_role("button", name="Yes, this is my address").click()
    expect(page.get_by_role("status")).to_be_visible()
    faults["confirmed"] = visitor.faults_here()
    faults["setting"] = visitor.faults_of(link_for("customer-1"))
    faults["notice"] = visitor.faults_of(f"/notices/{Notice.objects.get().version}/")
    faults["member's form"] = visitor.faults_of("/objection/")
    faults["expired"] = visitor.faults_of("/objection/confirm/no-link/")

    # The browser logs these as errors; they are as they should be.
    statuses = {one: faults.pop(one) for one in ("no link", "mistakes", "expired")}
    assert {one: re.findall(r"status of (\d+)", "".join(said)) for one, said in statuses.items()} == {
        "no link": ["403"], "mistakes": ["422"], "expired": ["410"],
    }  # fmt: skip
    assert {one: said[1:] for one, said in statuses.items()} == dict.fromkeys(statuses, NOTHING)
    assert faults == dict.fromkeys(faults, NOTHING)


def test_error_pages_are_accessible_and_keep_the_policy(officer: User, visit: Any) -> None:
    visitor = visit(officer)
    paths = {"/admin/nowhere/": 404, "/admin/auth/user/": 403, "/admin/objections/ticket/?state=x": 400,
             "/objektion/": 404}  # fmt: skip

    for path, status in paths.items():
        found = visitor.faults_of(path)
        # The browser logs the status as an error; nothing else is wrong.
        assert len(found) == 1, path
        assert f"status of {status}" in found[0]
    visitor.open("admin:index")
    visitor.page.context.clear_cookies(name="csrftoken")
    visitor.page.get_by_role("button", name="Log out").click()
    expect(visitor.page.get_by_text("The page you sent was too old")).to_be_visible()
    visitor.page.get_by_role("link", name="To your start page").click()
    expect(visitor.page.get_by_role("heading", name="Waiting for you", exact=True)).to_be_visible()


def test_what_is_wrong_with_a_page_is_found(visit: Any) -> None:
    visitor = visit(None)
    page = visitor.open("admin:login")

    page.evaluate(
        """() => {
            document.querySelector("label").remove();
            document.querySelector("form").setAttribute("style", "margin: 0");
            document.body.append(
                Object.assign(document.createElement("img"), {src: "https://elsewhere.example/", alt: ""}));
            const pale = new CSSStyleSheet();
            pale.replaceSync("@media (prefers-color-scheme: dark) { .submit-row input { color: gray } }");
            document.adoptedStyleSheets.push(pale);
            document.documentElement.style.minWidth = "400px";
        }"""
    )

    found = visitor.faults_here()
    assert [one for one in found if "Content Security Policy" not in one] == [
        "style-src-attr inline ",
        "img-src https://elsewhere.example/ ",
        "label: #id_username",
        'in the dark: color-contrast: input[type="submit"]',
        "400 px wide on a telephone",
    ]


def link_for(account_ref: str) -> str:
    """The path by which a new member opens the setting page."""
    member = Member.objects.get(pk=factories.add_member(account_ref))
    return member_links.link_for(member).url.removeprefix(settings.PUBLIC_URL)


# --- Journeys -----------------------------------------------------------------------------------


def test_a_member_switches_the_setting_off_and_on_without_script(
    officer: User, second_officer: User, visit: Any
) -> None:
    factories.open_world(officer, second_officer)
    visitor = visit(None, java_script_enabled=False)

    page = visitor.page
    page.goto(visitor.address + link_for("customer-1"))
    assert page.url == f"{visitor.address}/settings/ai-training/"
    page.get_by_role("button", name="Switch it off").click()
    off = Decision.objects.get()
    expect(page.get_by_role("status")).to_contain_text(f"Recorded as no. {off.entry_id}")
    page.get_by_role("button", name="Switch it on").click()

    expect(page.get_by_role("status")).to_contain_text("You switched it on.")
    assert [row.choice for row in Decision.objects.order_by("pk")] == ["deny", "allow"]


def test_an_officer_finds_a_member_and_records_a_deny(
    world: World, officer: User, visit: Any
) -> None:
    visitor = visit(officer)

    page = visitor.open("admin:consent_member_look_up")
    page.get_by_label("Account reference").fill("customer-1")
    page.get_by_role("button", name="Look up").click()
    assert "customer-1" not in page.url
    page.get_by_role("link", name="Record deny").click()
    page.get_by_label("Reason").fill("asked by telephone")
    page.get_by_role("button", name="Record the deny").click()

    expect(
        page.get_by_text("because the member's setting for the purpose is off").first
    ).to_be_visible()
    decision = Decision.objects.get(member=world.number)
    assert (decision.choice, decision.channel, decision.entry.actor) == ("deny", "staff", officer)
    assert decision.entry.reason == "asked by telephone"


def test_a_lift_proposed_by_one_officer_is_approved_by_another(
    world: World, officer: User, second_officer: User, visit: Any
) -> None:
    proposer, colleague = visit(officer), visit(second_officer)

    page = proposer.open("admin:consent_regionrule_add")
    page.get_by_label("Countries").fill("UK, XX1")
    page.get_by_label("Rule").select_option("opt-in")
    page.get_by_label("Source").fill("a statement of the regulator")
    page.get_by_role("button", name="Propose it").click()
    expect(page.get_by_text("Unknown countries: XX1")).to_be_visible()
    page.get_by_label("Countries").fill("DE")
    page.get_by_role("button", name="Propose it").click()
    proposal = RegionRule.objects.order_by("-pk").first()
    page.get_by_role("link", name="Review").click()
    expect(page.get_by_text("You proposed it yourself")).to_be_visible()

    page = colleague.open("admin:index")
    page.get_by_role("link", name=capfirst(str(proposal))).click()
    expect(page.get_by_text("Germany")).to_be_visible()
    page.get_by_label("Approve it").check()
    page.get_by_label("Reason").fill("the statement says so")
    page.get_by_role("button", name="Record it").click()

    expect(page.get_by_text("approved by otto")).to_be_visible()
    proposal.refresh_from_db()
    assert (proposal.review.verdict, proposal.review.reviewer) == ("approved", second_officer)


def test_proposer_and_reviewer_read_how_many_members_a_lift_lets_in(
    world: World, officer: User, second_officer: User, product: User, visit: Any
) -> None:
    factories.decide("de-1", "deny", actor=product)
    sentence = "lets in 4 members in 1 country; 1 more objected and stay out."
    proposer, colleague = visit(officer), visit(second_officer)

    page = proposer.open("admin:consent_regionrule_add")
    page.get_by_label("Countries").fill("DE")
    page.get_by_label("Source").fill("a statement of the regulator")
    page.get_by_role("button", name="Preview").click()

    expect(page.get_by_text(sentence)).to_be_visible()
    expect(page.get_by_role("row", name="Germany 4 0 1 0")).to_be_visible()
    assert proposer.faults_here() == NOTHING
    page.get_by_role("button", name="Propose it").click()
    expect(page.get_by_text(sentence)).to_be_visible()

    proposal = RegionRule.objects.order_by("-pk").first()
    page = colleague.open("admin:consent_regionrule_review", proposal.pk)
    expect(page.get_by_text(sentence)).to_be_visible()


def test_an_engineer_registers_previews_and_starts_a_run(
    world: World, engineer: User, visit: Any
) -> None:
    visitor = visit(engineer)

    page = visitor.open("admin:training_runs_run_add")
    page.get_by_label("Tracker's run id").fill("mlflow-1")
    page.get_by_label("Posts and articles").check()
    page.get_by_role("button", name="Register it").click()
    page.get_by_role("link", name="Preview and start").click()
    expect(page.get_by_text("Out: the member's setting for the purpose is off")).to_be_visible()
    page.get_by_role("button", name="Start the run").click()
    run = Run.objects.get(tracker_run_id="mlflow-1")
    expect(page.get_by_text("waiting for its manifest").first).to_be_visible()
    verifying.verify(freezing.freeze(run.pk))
    page.reload()

    bars = page.locator(".shares svg")
    assert bars.count() > 5
    assert bars.first.bounding_box()["width"] > 100
    expect(page.get_by_text("agrees", exact=True)).to_be_visible()
    page.get_by_label("Account reference").fill("acc-1")
    page.get_by_role("button", name="Look up").click()
    expect(
        page.get_by_text(f"was out of {run.reference} because the member's setting")
    ).to_be_visible()
    assert "acc-1" not in page.url


def test_a_delivery_is_requested_trained_on_and_completed_on_a_waiver_that_an_officer_approves(
    world: World, engineer: User, officer: User, visit: Any
) -> None:
    run = world.manifest.run
    engineers, officers = visit(engineer), visit(officer)

    page = engineers.open("admin:training_runs_run_change", run.pk)
    expect(page.get_by_text("Nothing was delivered")).to_be_visible()
    page.get_by_role("link", name="Request a delivery").click()
    page.get_by_role("button", name="Request the delivery").click()
    expect(page.get_by_text("is being made.").first).to_be_visible()
    delivery = factories.made(Delivery.objects.get())
    page.reload()
    expect(page.get_by_text("delivered", exact=True)).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("link", name="members.parquet").click()
    assert sha256(download.value.path().read_bytes()).hexdigest() == delivery.files[0]["sha256"]
    starting.begin(run=Run.objects.get(pk=run.pk), actor=engineer)
    page.get_by_role("link", name=run.reference).first.click()
    expect(page.get_by_text(f"training began on {delivery.reference}")).to_be_visible()
    page.get_by_role("link", name="Ask to complete without a receipt").click()
    page.get_by_label("Reasons").fill("The tool that prepares this data cannot sign yet.")
    page.get_by_role("button", name="Ask for a waiver").click()
    expect(page.get_by_text("waiting for a privacy officer")).to_be_visible()

    page = officers.open("admin:index")
    page.get_by_role("link", name=re.compile(run.reference)).first.click()
    page.get_by_role("link", name="Decide").click()
    page.get_by_label("Approve").check()
    page.get_by_label("Your reasons").fill("It is checked by hand this once.")
    page.get_by_role("button", name="Record the decision").click()
    expect(page.get_by_text("The decision is recorded.")).to_be_visible()

    completing.complete(run=Run.objects.get(pk=run.pk), actor=engineer)
    page = engineers.open("admin:training_runs_run_change", run.pk)
    expect(page.get_by_text("completed on a waiver")).to_be_visible()


def test_an_auditor_finds_out_without_script_whether_and_why_a_member_was_used(
    world: World, auditor: User, visit: Any
) -> None:
    visitor = visit(auditor, java_script_enabled=False)
    denied = Decision.objects.get(entry__actor_name="olga")
    run = world.manifest.run

    page = visitor.open("admin:index")
    page.get_by_role("link", name="Dossiers").click()
    page.get_by_label("Member, run or ticket").fill(str(denied.member_id))
    page.get_by_role("button", name="Open the dossier").click()
    expect(page.get_by_text("In 0 of 1 frozen run.")).to_be_visible()
    expect(page.get_by_text("the member's setting for the purpose is off").first).to_be_visible()
    page.get_by_role("link", name=run.reference).click()
    expect(page.get_by_role("heading", name=f"Dossier of {run.reference}")).to_be_visible()
    page.go_back()
    page.get_by_role("link", name=f"entry #{denied.entry_id}").click()
    expect(page.get_by_role("heading", name="Decision: 1 row added")).to_be_visible()
    page.get_by_role("link", name="Ledger entries").first.click()
    page.get_by_label("Who").fill("olga")
    page.get_by_label("Kind").select_option("consent.decision")
    page.get_by_role("button", name="Show", exact=True).click()
    expect(page.get_by_text("1 ledger entry")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("link", name="This list as a file (NDJSON)").click()

    (line,) = download.value.path().read_text().splitlines()
    assert f'"sequence":{denied.entry_id}' in line


def test_an_auditor_reads_a_run_its_history_and_the_entry_behind_it(
    world: World, auditor: User, visit: Any
) -> None:
    visitor = visit(auditor)

    page = visitor.open("admin:training_runs_run_change", world.manifest.run.pk)
    assert page.get_by_role("link", name="Preview and start").count() == 0
    page.get_by_role("link", name="History").click()
    page.get_by_role("link", name=f"#{world.manifest.entry_id}").click()

    expect(page.get_by_role("heading", name="run.frozen")).to_be_visible()
    expect(page.get_by_role("heading", name="Manifest: 1 row added")).to_be_visible()
    assert Entry.objects.filter(actor=auditor).count() == 0


@pytest.mark.parametrize("picture", ["ticket", "run"])
def test_the_pages_on_the_readmes_pictures_have_what_the_captions_name(
    picture, visit, world, desk, officer, engineer
):
    named = pictures.captions()[picture]
    opened = {
        "ticket": lambda: visit(officer).open("admin:objections_ticket_change", desk.in_review.pk),
        "run": lambda: visit(engineer).open(
            "admin:training_runs_run_change", world.manifest.run_id
        ),
    }

    page = opened[picture]()

    assert [name for name in named if not pictures.part_of(page, name).is_visible()] == []
