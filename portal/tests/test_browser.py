"""Every page of every role in a real browser: no breach of the content security policy, no axe violation,
and the journeys that must work end to end.
"""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django.utils.text import capfirst
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from consent.models import Decision, RegionRule
from portal.models import Entry
from tools import factories
from training_runs import services
from training_runs.models import Manifest, Run

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(
        CHROMIUM is None,
        reason="CHROMIUM IS MISSING: no page was opened in a browser. Install it: apt-get install chromium",
    ),
]

FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip

# Reported by the page itself, so that a breach is seen whatever the browser logs.
REPORT_BREACHES = """
window.breaches = [];
document.addEventListener("securitypolicyviolation", event =>
    window.breaches.push(`${event.violatedDirective} ${event.blockedURI} ${event.sample}`));
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@dataclass
class Visitor:
    """A person in front of a browser."""

    context: BrowserContext
    page: Page
    address: str

    def open(self, name: str, *args: Any) -> Page:
        self.page.goto(self.address + reverse(name, args=args))
        return self.page


@pytest.fixture
def visit(browser: Browser, live_server: Any) -> Iterator[Any]:
    """`visit(user)` is that user, logged in, in a browser of their own."""
    contexts = []

    def enter(user: User | None, **options: Any) -> Visitor:
        context = browser.new_context(viewport={"width": 1280, "height": 900}, **options)
        contexts.append(context)
        if user is not None:
            client = Client()
            client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
            context.add_cookies(
                [
                    {
                        "name": "sessionid",
                        "value": client.cookies["sessionid"].value,
                        "url": live_server.url,
                    }
                ]
            )
        context.add_init_script(REPORT_BREACHES)
        return Visitor(context, context.new_page(), live_server.url)

    yield enter
    for context in contexts:
        context.close()


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
    from portal import tokens

    factories.open_world(officer, second_officer)
    number = factories.add_member("customer-1")
    factories.add_members(20)
    factories.add_members(5, country="DE", prefix="de")
    factories.decide("acc-1", "deny", actor=officer)
    manifest = factories.freeze(engineer)
    with_child = factories.register(engineer, parent=manifest.run)
    assert with_child.parent == manifest.run
    requested = services.start(run=factories.register(engineer), actor=engineer)
    waiting = _propose_lift(officer)
    tokens.issue_token(
        user=engineer, name="tracker", scopes=["runs:read"], days=5, actor=administrator
    )
    return World(number, waiting, factories.register(engineer), requested, manifest)


def _propose_lift(proposer: User) -> RegionRule:
    from consent import services as consent

    today = timezone.now().date()
    consent.propose_rule(
        purpose="generative-ai", countries=["DE", "FR"], rule="excluded", effective_from=today,
        source="a regulator's statement", actor=proposer,
    )  # fmt: skip
    return consent.propose_rule(
        purpose="generative-ai", countries=["DE", "FR"], rule="default-on", effective_from=today,
        source="a later statement", actor=proposer,
    )  # fmt: skip


LISTS = {
    "officer": ["consent_member", "consent_decision", "consent_consent", "consent_regionrule",
                "consent_notice", "objections_ticket", "objections_objection", "training_runs_run",
                "training_runs_manifest", "training_runs_verification", "training_runs_finding"],
    "engineer": ["consent_regionrule", "consent_notice", "training_runs_run", "training_runs_manifest",
                 "training_runs_verification", "training_runs_finding"],
    "auditor": ["portal_entry", "portal_accessrecord", "consent_member", "consent_decision",
                "consent_consent", "consent_regionrule", "consent_notice", "objections_ticket",
                "objections_objection", "training_runs_run", "training_runs_manifest",
                "training_runs_verification", "training_runs_finding", "training_runs_canary",
                "auth_user", "auth_group"],
    "administrator": ["auth_user", "auth_group", "portal_servicetoken"],
    "stranger": [],
}  # fmt: skip


def pages_of(role: str, world: World) -> list[str]:
    """The address of every page the role has: each list, the first row of it, its history, each act."""
    from portal.admin_site import HistoryModelAdmin, site

    admins = {f"{m._meta.app_label}_{m._meta.model_name}": a for m, a in site._registry.items()}
    addresses = [reverse("admin:index"), reverse("admin:password_change")]
    for label in LISTS[role]:
        addresses.append(reverse(f"admin:{label}_changelist"))
        row = admins[label].model._default_manager.first()
        if row is not None:
            addresses.append(reverse(f"admin:{label}_change", args=[row.pk]))
            if isinstance(admins[label], HistoryModelAdmin):
                addresses.append(reverse(f"admin:{label}_history", args=[row.pk]))
    run = world.manifest.run.pk
    acts: dict[str, list[tuple[str, list[Any]]]] = {
        "officer": [
            ("consent_member_look_up", []),
            ("consent_member_deny", [world.number]),
            ("consent_regionrule_add", []),
            ("consent_regionrule_today", []),
            ("consent_regionrule_review", [world.waiting.pk]),
            ("consent_notice_add", []),
            ("training_runs_run_change", [run]),
        ],
        "engineer": [
            ("training_runs_run_add", []),
            ("training_runs_run_change", [run]),
            ("training_runs_run_change", [world.requested.pk]),
            ("training_runs_run_withdrawn", [run]),
            ("training_runs_run_start", [world.registered.pk]),
            ("training_runs_run_cancel", [world.registered.pk]),
            ("training_runs_run_rename", [world.registered.pk]),
            ("consent_regionrule_today", []),
        ],
        "auditor": [
            ("training_runs_run_change", [run]),
            ("training_runs_run_verify", [run]),
            ("consent_regionrule_today", []),
        ],
        "administrator": [
            ("auth_user_add", []),
            ("portal_servicetoken_add", []),
        ],
        "stranger": [],
    }
    return addresses + [reverse(f"admin:{name}", args=args) for name, args in acts[role]]


@pytest.mark.parametrize("role", list(LISTS))
def test_every_page_keeps_the_content_security_policy(
    role: str, world: World, visit: Any, request: pytest.FixtureRequest
) -> None:
    visitor = visit(request.getfixturevalue(role))
    logged: list[str] = []
    visitor.page.on(
        "console", lambda message: logged.append(message.text) if message.type == "error" else None
    )

    found = {}
    for address in pages_of(role, world):
        answer = visitor.page.goto(visitor.address + address)
        breaches = [*visitor.page.evaluate("window.breaches"), *logged]
        if answer.status != 200 or breaches:
            found[address] = (answer.status, breaches)
        logged.clear()

    assert found == {}


@pytest.mark.parametrize("role", list(LISTS))
def test_every_page_is_accessible_in_light_and_dark(
    role: str, world: World, visit: Any, request: pytest.FixtureRequest
) -> None:
    # axe is injected as a script, which the policy forbids to everybody else.
    visitor = visit(request.getfixturevalue(role), bypass_csp=True, reduced_motion="reduce")

    found = {}
    for address in pages_of(role, world):
        visitor.page.emulate_media(color_scheme="light")
        visitor.page.goto(visitor.address + address)
        light = Axe().run(visitor.page).response["violations"]
        # Nothing but colours differs in the dark.
        visitor.page.emulate_media(color_scheme="dark")
        dark = visitor.page.evaluate("() => axe.run({runOnly: ['color-contrast']})")["violations"]
        if light or dark:
            found[address] = [
                (v["id"], [node["target"] for node in v["nodes"]][:4]) for v in [*light, *dark]
            ]

    assert found == {}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_logging_in_is_accessible_and_keeps_the_policy(
    scheme: str, officer: User, visit: Any
) -> None:
    visitor = visit(None, bypass_csp=True, color_scheme=scheme)
    strict = visit(None)

    violations = Axe().run(visitor.open("admin:login")).response["violations"]
    page = strict.open("admin:login")
    page.get_by_label("Username").fill("olga")
    page.get_by_label("Password").fill("correct horse battery")
    page.get_by_role("button", name="Log in").click()

    assert violations == []
    assert page.evaluate("window.breaches") == []
    expect(page.get_by_role("heading", name="What waits for you")).to_be_visible()


# --- Journeys -----------------------------------------------------------------------------------


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
    services.verify(services.freeze(run.pk))
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


def test_an_auditor_reads_a_run_its_history_and_the_entry_behind_it(
    world: World, auditor: User, visit: Any
) -> None:
    visitor = visit(auditor)

    page = visitor.open("admin:training_runs_run_change", world.manifest.run.pk)
    assert page.get_by_role("link", name="Preview and start").count() == 0
    page.get_by_role("link", name="History").click()
    page.get_by_role("link", name=f"#{world.manifest.entry_id}").click()

    expect(page.get_by_role("heading", name="run.frozen")).to_be_visible()
    expect(page.get_by_role("heading", name="manifest: 1 row")).to_be_visible()
    assert Entry.objects.filter(actor=auditor).count() == 0
