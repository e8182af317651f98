"""Every address × method × person, against a table. An address that is not in the table fails.

People, by their letter:
O privacy officer · E ML engineer, of the run's team · C a colleague of E · A auditor · D administrator ·
P the product's service · S staff without a role · - not logged in.
A letter in the table means: let in. Everybody else gets 401, 403, 404 or 405, or is sent to the login page.
"""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import Group, User
from django.test import Client
from django.urls import get_resolver, resolve, reverse
from django.urls.resolvers import URLResolver
from django.utils import timezone

from auditing import services as auditing
from auditing import verification
from common import registry
from common.files import made_files
from common.identity import tokens
from common.models import MadeFile
from consent import account_changes
from consent.models import AgeRule, Notice, RegionRule
from consent.rulebook import proposing
from deliveries.errors import DigestMismatch
from deliveries.lineage import accepting, events
from deliveries.made import account_map
from deliveries.models import DataSet, Delivery, Receipt, Recipient, RunnerKey, TrainedModel
from deliveries.receipts import waivers
from ledger import entries
from ledger.checkpoints import signing
from ledger.models import Checkpoint, ClockSettlement, ClockStep, Entry
from ledger.reads.recording import record_read
from objections import acts
from objections.letters.texts import built_in
from objections.models import Ticket
from objections.redaction import lending
from objections.ticket import uploads
from tools import factories
from training_runs.incidents import cases
from training_runs.models import Incident, Run
from training_runs.runs import assessments

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.slow,
    pytest.mark.one_engine,
]

PEOPLE = {
    "O": "officer",
    "E": "engineer",
    "C": "second_engineer",
    "A": "auditor",
    "D": "administrator",
    "P": "product",
    "S": "stranger",
}
SIGNED_IN = "OECADPS"
EVERYBODY = "OECADPS-"
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]

# --- The table ----------------------------------------------------------------------------------

PAGES = {
    # A redirect to the admin, whatever the method.
    "start": dict.fromkeys(METHODS, EVERYBODY),
    "healthz": {"GET": EVERYBODY},
    "readyz": {"GET": EVERYBODY},
    "api:schema": {"GET": EVERYBODY},
    "api:docs": {"GET": EVERYBODY},
    "api:decisions": {"POST": "P"},
    "api:decisions-bulk": {"POST": "P"},
    "api:accounts-merged": {"POST": "P"},
    "api:accounts-split": {"POST": "P"},
    "api:member-standing": {"POST": "P"},
    "api:member-consent-receipts": {"POST": "P"},
    "api:member-setting-link": {"POST": "P"},
    "api:objections": {"POST": "P"},
    "api:objection-detail": {"GET": "P"},
    "api:member-objections": {"POST": "P"},
    "api:region-rules": {"GET": "OECA", "POST": "O"},
    "api:region-rule-review": {"POST": "O"},
    "api:age-rules": {"GET": "OECA", "POST": "O"},
    "api:age-rule-review": {"POST": "O"},
    "api:notices": {"GET": "OECA", "POST": "O"},
    "api:notice-review": {"POST": "O"},
    "api:notice": {"GET": "OECA"},
    "api:notice-deliveries": {"GET": "OECA", "POST": "OP"},
    "api:notice-withdrawals": {"POST": "O"},
    "api:runs": {"GET": "OECA", "POST": "EC"},
    "api:run-detail": {"GET": "OECA"},
    "api:run-preview": {"GET": "OECA"},
    "api:run-start": {"POST": "E"},
    "api:run-assessments": {"GET": "OECA", "POST": "E"},
    "api:run-incidents": {"GET": "OEA"},
    "api:run-incident-acknowledgement": {"POST": "E"},
    "api:run-complete": {"POST": "E"},
    "api:run-cancel": {"POST": "E"},
    "api:run-explanation": {"POST": "OEA"},
    "api:run-withdrawn": {"GET": "E"},
    "api:run-manifest": {"GET": "OECA"},
    "api:run-archive": {"GET": "EA"},
    "api:run-members-csv": {"GET": "E"},
    "api:run-members-parquet": {"GET": "E"},
    "api:run-entries": {"GET": "EA"},
    "api:run-entry": {"GET": "EA"},
    "api:run-entry-proof": {"GET": "EA"},
    "api:run-deliveries": {"GET": "OECA", "POST": "E"},
    "api:run-training": {"POST": "E"},
    "api:run-heartbeat": {"POST": "E"},
    "api:run-fail": {"POST": "E"},
    "api:run-gate": {"GET": "OECA"},
    "api:run-acknowledgements": {"POST": "E"},
    "api:run-receipts": {"GET": "OECA", "POST": "E"},
    "api:run-waivers": {"POST": "E"},
    "api:deliveries": {"GET": "OECA"},
    "api:receipts": {"GET": "OECA"},
    "api:delivery": {"GET": "OECA"},
    "api:delivery-renewals": {"POST": "E"},
    "api:delivery-cancel": {"POST": "E"},
    "api:delivery-archive": {"GET": "EA"},
    "api:delivery-redaction-list": {"POST": "E"},
    "api:delivery-file": {"GET": "E"},
    "api:account-map": {"GET": "EC", "POST": "EC"},
    "api:account-map-file": {"GET": "EC"},
    "api:receipt": {"GET": "OECA"},
    "api:lineage": {"POST": "EC"},
    "api:data-sets": {"GET": "OECA"},
    "api:handovers": {"GET": "OECA", "POST": "E"},
    "api:models": {"GET": "OECA", "POST": "EC"},
    "api:model": {"GET": "OECA"},
    "api:model-runs": {"POST": "E"},
    "api:model-document": {"GET": "OECA"},
    "api:keys": {"GET": "EC", "POST": "EC"},
    "api:key-challenges": {"POST": "EC"},
    "api:key": {"DELETE": "E"},
    "api:me": {"GET": SIGNED_IN},
    # A token renews itself; a person has none here (common.tests.test_me).
    "api:token-renewals": {},
    "api:me-checkpoint": {"GET": "OECA"},
    "api:me-consistency": {"GET": "OECA"},
    "api:manifest-checkpoint": {"GET": "OECA"},
    "api:member-proof": {"POST": "OA"},
    "api:checkpoint": {"GET": "A"},
    "api:checkpoints": {"GET": "A"},
    "api:consistency": {"GET": "A"},
    "api:checkpoint-keys": {"GET": "A"},
    "api:ledger": {"GET": "A"},
    "api:reads": {"GET": "A"},
    "api:entry-proof": {"GET": "A"},
    # Only a member who came by a link from the product (consent.tests.test_member_links).
    "setting": {},
    "setting-link": {},
    "notice-text": {"GET": EVERYBODY},
    "notice-text-in": {"GET": EVERYBODY},
    "setting-receipts": {},
    # A forged link is answered like an old one.
    "objection": {"GET": EVERYBODY, "POST": EVERYBODY},
    "objection-filed": {"GET": EVERYBODY},
    "objection-confirm": {"GET": EVERYBODY, "POST": EVERYBODY},
}

# Django's admin answers any other method as it answers GET, so two are asked there.
ADMIN_PAGES = {
    "admin:index": {"GET": SIGNED_IN, "POST": SIGNED_IN},
    "admin:login": {"GET": EVERYBODY, "POST": EVERYBODY},
    # Who is not logged in is sent to the front page.
    "admin:logout": {"GET": "-", "POST": EVERYBODY},
    "admin:password_change": {"GET": SIGNED_IN, "POST": SIGNED_IN},
    "admin:password_change_done": {"GET": SIGNED_IN},
    "admin:jsi18n": {"GET": SIGNED_IN},
    "admin:autocomplete": {},
    "admin:objections_figures": {"GET": "OA"},
    # Of a part of the ledger.
    "admin:portal_file": {"GET": "A"},
    "admin:portal_file_download": {"GET": "A"},
    "admin:deliveries_request": {"GET": "E", "POST": "E"},
    "admin:deliveries_ask_waiver": {"GET": "E", "POST": "E"},
    "admin:deliveries_to_tell": {"GET": "OA"},
    "admin:deliveries_tell": {"GET": "O", "POST": "O"},
    "admin:auditing_checkpoint_download": {"GET": "A"},
    "admin:auditing_entry_proof": {"GET": "A"},
    "admin:auditing_answer": {"GET": "OA", "POST": "OA"},
    "admin:auditing_dossiers": {"GET": "OA"},
    "admin:auditing_member_dossier": {"GET": "OA"},
    "admin:auditing_run_dossier": {"GET": "OA"},
    "admin:auditing_state": {"GET": "OA"},
    "admin:app_list": {"GET": "AD", "POST": "AD"},
    "admin:(?P<url>.*)$": {},
}


@dataclass(frozen=True)
class Model:
    """The roles that may view a model's rows in the admin, add and change them; no role may delete."""

    view: str
    add: str = ""
    change: str = ""
    has_history: bool = False
    pages: dict[str, dict[str, str]] = field(default_factory=dict)

    def expected(self, page: str) -> dict[str, str]:
        history = {"GET": self.view} if self.has_history else {}
        return {
            "changelist": {"GET": self.view, "POST": self.view},
            "change": {"GET": self.view, "POST": self.change},
            "add": {"GET": self.add, "POST": self.add},
            "delete": {},
            "history": history,
            # simple-history's form of an old version, which could revert: it is closed.
            "simple_history": {},
            # A redirect to the change page, which asks.
            "<path:object_id>/": {"GET": SIGNED_IN, "POST": SIGNED_IN},
            **self.pages,
        }[page]


def both(who: str) -> dict[str, str]:
    return {"GET": who, "POST": who}


TICKET_ACTS = [
    "take", "assign", "begin_review", "release", "ask_identity", "record_identity",
    "go_on_without_identity", "match", "choose", "correct_match", "no_account", "link", "confirm_address", "correct_address",
    "correct_receipt", "correct_country", "extend", "decide", "withdraw", "close_unidentified",
    "close_abuse", "review", "note", "attach", "keep_files", "erase", "review_erasure",
]  # fmt: skip

ADMIN_MODELS = {
    "consent.member": Model(
        "OA",
        has_history=True,
        pages={"look_up": both("O"), "deny": both("O"), "export": {"GET": "OA"}},
    ),
    "consent.decision": Model("OA", pages={"export": {"GET": "OA"}}),
    "consent.consent": Model("OA"),
    "consent.accountchange": Model("OA"),
    "consent.regionrule": Model(
        "OECA", add="O", pages={"today": {"GET": "OECA"}, "review": both("O")}
    ),
    "consent.notice": Model(
        "OECA",
        add="O",
        pages={"review": both("O"), "delivered": both("O"), "withdraw": both("O")},
    ),
    "objections.ticket": Model(
        "OA",
        add="O",
        has_history=True,
        pages={
            **dict.fromkeys(TICKET_ACTS, both("O")),
            "attachment": {"GET": "O"},
            "letter": {"GET": "O"},
            "letter_text": {"GET": "O"},
            "letter_again": both("O"),
            "letter_repeat": both("O"),
            "letter_posted": both("O"),
            "letter_returned": both("O"),
            "look_up": both("O"),
            "export": {"GET": "OA"},
            "take_one": {"POST": "O"},
            "bulk": both("O"),
        },
    ),
    "objections.objection": Model("OA", has_history=True),
    "objections.lettertemplate": Model(
        "OA",
        pages={
            "changelist": {"GET": "OA"},
            "kind": {"GET": "OA"},
            "edit": both("O"),
            "review": both("O"),
            "version": {"GET": "OA"},
        },
    ),
    "objections.letter": Model("OA", has_history=True),
    "objections.proposal": Model("OA"),
    "objections.redactionentry": Model(
        "OA", has_history=True, pages=dict.fromkeys(["correct", "told", "erase"], both("O"))
    ),
    "objections.redactionloan": Model("OA"),
    "training_runs.run": Model(
        "OECA",
        add="EC",
        has_history=True,
        pages={
            "start": both("E"),
            "cancel": both("E"),
            "rename": both("E"),
            "assess": both("E"),
            "verify": both("O"),
            "withdrawn": {"GET": "OECA"},
            "incidents": {"GET": "OEA"},
            "explain": {"POST": "OEA"},
            "export": {"GET": "OECA"},
        },
    ),
    "training_runs.assessment": Model("OECA", pages={"review": both("O")}),
    "training_runs.incident": Model(
        "OEA",
        has_history=True,
        pages={
            # A team's people see the list of their own.
            "changelist": both("OECA"),
            "acknowledge": both("E"),
            "assess": both("O"),
            "review": both("O"),
            "close": both("O"),
            "export": {"GET": "OECA"},
        },
    ),
    "training_runs.team": Model(
        "AD",
        add="D",
        has_history=True,
        pages=dict.fromkeys(["edit", "add_person", "remove_person"], both("D")),
    ),
    "deliveries.delivery": Model(
        "OECA",
        has_history=True,
        pages={
            "renew": both("E"),
            "cancel": both("E"),
            "report": {"GET": "OA"},
            "export": {"GET": "OECA"},
        },
    ),
    "deliveries.receipt": Model("OECA", pages={"export": {"GET": "OECA"}}),
    "deliveries.dataset": Model("OECA"),
    "deliveries.waiver": Model("OECA", has_history=True, pages={"decide": both("O")}),
    "deliveries.runnerkey": Model("A", has_history=True),
    "deliveries.trainedmodel": Model(
        "OECA",
        add="EC",
        has_history=True,
        pages={"edit": both("E"), "add_run": both("E"), "document": {"GET": "OECA"}},
    ),
    "deliveries.recipienttold": Model("OA"),
    "deliveries.lineageevent": Model("A"),
    "consent.agerule": Model("OECA", add="O", pages={"review": both("O")}),
    "consent.policy": Model("OECA", add="O", pages={"review": both("O")}),
    "deliveries.recipient": Model("OECAD", add="D", has_history=True, pages={"edit": both("D")}),
    "training_runs.manifest": Model("OECA"),
    "training_runs.verification": Model("OECA", pages={"export": {"GET": "OECA"}}),
    "training_runs.finding": Model("OECA"),
    "training_runs.canary": Model("A"),
    "ledger.entry": Model("A", pages={"export": {"GET": "A"}}),
    "ledger.accessrecord": Model("A", pages={"export": {"GET": "A"}}),
    "ledger.checkpoint": Model("A"),
    "ledger.ledgercheck": Model("A"),
    "ledger.readbatch": Model("A"),
    "ledger.clockstep": Model("AD"),
    "ledger.clocksettlement": Model("AD", add="D"),
    # An officer grants it, and the auditor it was granted to looks.
    "auditing.reveal": Model("OA", add="O", pages={"look": {"GET": "A"}}),
    "common.servicetoken": Model("D", add="D", pages={"revoke": both("D")}),
    "auth.user": Model("AD", add="D", change="D", pages={"password_change": both("D")}),
    "auth.group": Model("AD"),
}

# What is needed before access is asked.
BODIES = {
    "api:run-fail": {"reason": "test"},
    "api:run-acknowledgements": {"digest": "0" * 64},
    "api:run-waivers": {"reasons": "there is no receipt of this run"},
    "api:delivery-cancel": {"reason": "test"},
    "api:model-runs": {"run": "TR-2026-000001"},
    "api:handovers": {"recipient": "affiliate", "given_on": str(dt.date.today())},
    "api:run-cancel": {"reason": "test"},
    "api:run-assessments": factories.ASSESSMENT,
    "api:run-explanation": {"account_ref": "acc-0"},
    "api:member-objections": {"account_ref": "acc-0"},
    "api:member-proof": {"member_number": 1},
}

# --- Walking and asking -------------------------------------------------------------------------


def addresses(resolver: URLResolver, namespace: str = "", below: str = "") -> Iterator[str]:
    """The name of every address; one without a name goes by its pattern."""
    for pattern in resolver.url_patterns:
        here = below + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            inner = f"{pattern.namespace}:" if pattern.namespace else ""
            # Inside the admin a model's addresses follow its label.
            yield from addresses(pattern, namespace + inner, "" if inner else here)
        else:
            yield namespace + (pattern.name or here)


def admin_page(name: str) -> tuple[str, str] | None:
    """The model and page of an address of the admin."""
    name = name.removeprefix("admin:")
    for label in ADMIN_MODELS:
        for start in (label.replace(".", "_") + "_", label.replace(".", "/") + "/"):
            if name.startswith(start):
                return label, name.removeprefix(start)
    return None


ADDRESSES = sorted(set(addresses(get_resolver())))
BY_MODEL: dict[str, list[tuple[str, str]]] = {}
for name in ADDRESSES:
    if name.startswith("admin:") and name not in ADMIN_PAGES and (found := admin_page(name)):
        BY_MODEL.setdefault(found[0], []).append((name, found[1]))


@pytest.fixture
def people(request, client_of):
    users = {letter: request.getfixturevalue(name) for letter, name in PEOPLE.items()}

    @cache
    def client(letter: str) -> Client:
        return client_of(users[letter]) if letter in users else Client()

    return client


@pytest.fixture
def run(people, officer, second_officer, engineer, auditor, product) -> Run:
    """A frozen run of E, in a world where every table has a row."""
    factories.open_world(officer, second_officer)
    factories.add_members(2)
    factories.decide("acc-1", "deny", actor="test")
    fill_desk(factories.objection("acc-1"), officer, second_officer)
    factories.objection(name="Quilla Zebrowski")
    lending.lend(delivery="DL-2026-000000", purpose="generative-ai", user=engineer)
    manifest = factories.freeze(engineer)
    completed = factories.freeze(engineer).run
    delivery = factories.training(completed, engineer)
    runner = factories.registered_runner(engineer)
    with pytest.raises(DigestMismatch):
        factories.send_receipt(runner, delivery, engineer, manifest="0" * 64)
    factories.send_receipt(runner, delivery, engineer)
    waivers.ask(run=completed, reasons="There is no receipt of this run.", actor=engineer)
    factories.use_of(completed, engineer, officer)
    cases.assess(
        incident=factories.incident(manifest.run, numbers=[999]), measures=["stopped"], tell_authority=False,
        tell_members=False, reasons="test", actor=second_officer,
    )  # fmt: skip
    child = factories.register(engineer, purpose="personalisation", parent=completed)
    assessments.write(run=child, actor=engineer, **factories.ASSESSMENT)
    factories.deliver(manifest.run, engineer)
    account_map.request(actor=engineer)
    account_map.make_due()
    accepting.keep(
        events.read(
            b'{"eventTime": "2026-11-01T10:00:00Z", "job": {"namespace": "a", "name": "b"}}'
        ),
        actor=engineer,
    )
    factories.ask_age(officer)
    proposing.propose_policy(
        kind="lease-days",
        value=60,
        effective_from=factories.LONG_AGO,
        source="test",
        actor=second_officer,
    )
    account_changes.split(
        source_id="s-1",
        account_ref="acc-0",
        new=["split-off"],
        split_at=timezone.now(),
        actor=product,
    )
    record_read(auditor, "manifest.read", manifest.run.reference)
    tokens.issue_token(user=product, name="x", scopes=["runs:read"], days=1, actor="test")
    auditing.grant(auditor=auditor, subject="member:1", hours=1, reason="test", actor=officer)
    verification.check_tonight(seconds=0)
    signing.sign_now()
    made_files.ask("ledger", {"after": 0, "upto": 5}, owner=auditor)
    made_files.make_due()
    with entries.entry("consent.decision", actor="test"):
        ClockStep(server_at=manifest.frozen_at).save()
    with entries.entry("clock.settled", actor="test"):
        ClockSettlement().save()
    return manifest.run


def fill_desk(ticket: Ticket, officer: User, second_officer: User) -> None:
    """A row of what else the desk keeps."""
    acts.withdraw.do(
        ticket=ticket, evidence=factories.EVIDENCE, version=ticket.version or 0, actor=officer
    )
    factories.attach(ticket=ticket, files=[uploads.check("a.txt", b"words")], actor=officer)
    text = replace(built_in("upheld"), subject="{{ reference }}")
    factories.put_into_use("upheld", text, officer, second_officer)


def address(name: str, run: Run) -> str:
    if name == "api:region-rule-review":
        return reverse(name, args=[RegionRule.objects.first().pk])
    if name == "api:age-rule-review":
        return reverse(name, args=[AgeRule.objects.get().pk])
    if name == "notice-text-in":
        return reverse(name, args=[Notice.objects.first().version, "en"])
    if name == "notice-text":
        return reverse(name, args=[Notice.objects.first().version])
    if name.startswith("api:notice-") or name == "api:notice":
        return reverse(name, args=[Notice.objects.get().version])
    if name == "api:objection-detail":
        return reverse(
            name, args=[Ticket.objects.worked().exclude(member=None).latest("pk").reference]
        )
    if name == "api:run-incident-acknowledgement":
        return reverse(name, args=[run.reference, Incident.objects.get(run=run).reference])
    if name in ("setting-link", "objection-confirm"):
        return reverse(name, args=["forged"])
    if name == "api:entry-proof":
        return reverse(name, args=[1])
    if name == "api:delivery-file":
        one = Delivery.objects.get(run=run)
        return reverse(name, args=[one.reference, one.files[0]["name"]])
    if name == "api:account-map-file":
        return reverse(name, args=["accounts-00000.parquet"])
    if name.startswith("api:delivery"):
        return reverse(name, args=[Delivery.objects.get(run=run).reference])
    if name == "api:handovers":
        return reverse(name, args=[DataSet.objects.get().sha256])
    if name == "api:model-document":
        return reverse(name, args=[TrainedModel.objects.get().name, "ai-act"])
    if name in ("api:model", "api:model-runs"):
        return reverse(name, args=[TrainedModel.objects.get().name])
    if name == "api:receipt":
        return reverse(name, args=[Receipt.objects.get().reference])
    if name == "api:key":
        return reverse(name, args=[RunnerKey.objects.get().fingerprint])
    if name in ("api:run-entry", "api:run-entry-proof"):
        entry = Entry.objects.filter(subject=run.reference).earliest("sequence")
        return reverse(name, args=[run.reference, entry.pk])
    of_a_run = name.startswith("api:run-") or name in (
        "api:manifest-checkpoint",
        "api:member-proof",
    )
    return reverse(name, args=[run.reference] if of_a_run else [])


def is_let_in(answer) -> bool:
    to_login = answer.status_code == 302 and "/login/" in answer["Location"]
    assert answer.status_code < 500
    return answer.status_code not in (401, 403, 404, 405) and not to_login


def let_in(people, method: str, url: str, body: object = None) -> str:
    """The letters of everybody who is let in."""
    found = ""
    for letter in EVERYBODY:
        kind = {} if "/admin/" in url else {"content_type": "application/json"}
        send = getattr(people(letter), method.lower())
        answer = send(url) if method == "GET" else send(url, body or {}, **kind)
        found += letter if is_let_in(answer) else ""
    return found


# --- The tests ----------------------------------------------------------------------------------


def test_every_address_is_in_the_table():
    pages = PAGES.keys() | ADMIN_PAGES.keys()
    undeclared = [name for name in ADDRESSES if name not in pages and not admin_page(name)]

    assert undeclared == []
    assert sorted(pages - set(ADDRESSES)) == []
    assert BY_MODEL.keys() == ADMIN_MODELS.keys()


def test_who_is_let_in(people, run):
    found = {
        name: {
            method: let_in(people, method, address(name, run), BODIES.get(name))
            for method in METHODS
        }
        for name in PAGES
    }

    assert found == {
        name: {method: rule.get(method, "") for method in METHODS} for name, rule in PAGES.items()
    }


def test_who_is_let_into_the_admin(people, run):
    special = {
        "admin:app_list": "/admin/auth/",
        "admin:(?P<url>.*)$": "/admin/nowhere",
        "admin:auditing_checkpoint_download": reverse(
            "admin:auditing_checkpoint_download", args=[Checkpoint.objects.latest("size").size]
        ),
        "admin:portal_file": reverse("admin:portal_file", args=[MadeFile.objects.get().key]),
        "admin:portal_file_download": reverse(
            "admin:portal_file_download", args=[MadeFile.objects.get().key]
        ),
        "admin:auditing_entry_proof": reverse("admin:auditing_entry_proof", args=[1]),
        "admin:deliveries_tell": reverse(
            "admin:deliveries_tell", args=["member:1", Recipient.objects.get().pk]
        ),
        "admin:deliveries_request": reverse("admin:deliveries_request", args=[run.pk]),
        "admin:deliveries_ask_waiver": reverse("admin:deliveries_ask_waiver", args=[run.pk]),
        "admin:auditing_answer": reverse("admin:auditing_answer", args=[1]),
        "admin:auditing_member_dossier": reverse("admin:auditing_member_dossier", args=[1]),
        "admin:auditing_run_dossier": reverse("admin:auditing_run_dossier", args=[run.pk]),
    }

    found = {}
    for name in ADMIN_PAGES:
        url = special.get(name) or reverse(name)
        found[name] = {method: let_in(people, method, url) for method in ("GET", "POST")}
        if name == "admin:logout":
            people.cache_clear()

    assert found == {
        name: {method: rule.get(method, "") for method in ("GET", "POST")}
        for name, rule in ADMIN_PAGES.items()
    }


def test_who_is_let_into_the_pages_of_a_model(people, run):
    expected, found = {}, {}
    for label, pages in BY_MODEL.items():
        row = apps.get_model(label)._base_manager.order_by("pk").first()
        for name, page in pages:
            url = page_of(label, name, page, row)
            for method in ("GET", "POST"):
                expected[name, method] = ADMIN_MODELS[label].expected(page).get(method, "")
                found[name, method] = let_in(people, method, url)

    assert found == expected


def page_of(label: str, name: str, page: str, row: Any) -> str:
    if page in ("changelist", "add", "today", "look_up", "take_one"):
        return reverse(name)
    if page == "export":
        return reverse(name, args=["csv"])
    if page == "bulk":
        return reverse(name, args=["take"])
    if page.startswith("letter"):
        return reverse(name, args=[row.letters.first().pk])
    if page == "attachment":
        return reverse(name, args=[row.attachments.first().pk])
    if page in ("kind", "edit", "review") and "lettertemplate" in name:
        return reverse(name, args=[row.kind])
    if page == "document":
        return reverse(name, args=[row.pk, "ai-act"])
    if page == "version":
        return reverse(name, args=[row.kind, row.number])
    if page == "simple_history":
        return reverse(name, args=[row.pk, row.history.first().pk])
    if page.startswith("<"):
        return reverse(f"admin:{label.replace('.', '_')}_changelist") + f"{row.pk}/"
    return reverse(name, args=[row.pk])


def test_a_token_without_the_scope_is_let_in_nowhere(run):
    everybody = run.team.responsible
    everybody.groups.set(Group.objects.all())
    one_missing, one_alone, expected = {}, {}, {}
    for name, methods in PAGES.items():
        for method, who in methods.items():
            if who in (EVERYBODY, SIGNED_IN):
                continue
            access = resolve(address(name, run)).func.cls.access[method]
            others = [scope for scope in registry.scopes if scope != access.scope]
            code = "scope_missing" if access.scope else "people_only"
            expected[name, method] = (403, code)
            refused = ask(everybody, others, method, name, run)
            one_missing[name, method] = (refused.status_code, refused.json()["code"])
            if access.scope:
                one_alone[name, method] = is_let_in(
                    ask(everybody, [access.scope], method, name, run)
                )

    assert one_missing == expected
    assert {method for (_, method), (_, code) in expected.items() if code == "people_only"} == {
        "POST"
    }
    assert all(one_alone.values())


def ask(user, scopes, method, name, run):
    """One request with a token of these scopes."""
    _, plain = tokens.issue_token(user=user, name="x", scopes=scopes, days=1, actor="test")
    kind = {} if method == "GET" else {"content_type": "application/json"}
    send = getattr(Client(headers={"Authorization": f"Bearer {plain}"}), method.lower())
    return send(address(name, run), BODIES.get(name, {}), **kind)
