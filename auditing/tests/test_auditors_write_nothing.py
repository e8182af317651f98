"""An auditor at every address, by every method, with a session and with a token: nothing is written.

What may appear is the record of what they read and what logging in leaves. An address that is not tried here fails.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.urls import reverse

from common import registry
from common.identity import tokens
from common.staff.site import site
from deliveries.models import Recipient
from ledger.checkpoints import signing
from ledger.models import Checkpoint, Entry
from objections.models import Ticket
from portal.tests import test_access_matrix as matrix
from training_runs.models import Manifest, Run

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.slow,
    pytest.mark.one_engine,
]

# Fixtures of the matrix: a world in which every table has a row.
people = matrix.people
run = matrix.run

METHODS = ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"]
WRITES = ["POST", "PUT", "PATCH", "DELETE"]

GROWS = {"ledger_accessrecord", "ledger_checkpointdelivery", "common_madefile"}
"""What reading leaves: who read it, who holds a checkpoint now, and the long file that was asked for."""
LOGIN = {"django_session", "auth_user", "common_failedsignins"}
"""What logging in and out leaves; of users only the time of their last login."""

ASKS = {
    "api:run-explanation",
    "api:member-proof",
    "admin:training_runs_run_explain",
    "admin:auditing_answer",
}
"""A POST here only asks: a reference is typed, and must not end in an address."""
OF_ONESELF = {
    "admin:login", "admin:logout", "admin:password_change", "api:token-renewals",
    "objection", "objection-confirm", "objection-filed", "setting", "setting-link",
}  # fmt: skip
"""One's own login, password and token, and acts that need no login: they do not ask for the auditor's role."""
SHOWS = {"admin:index", "admin:app_list", "admin:jsi18n", "start",
         "admin:password_change_done"}  # fmt: skip
"""Answers every method like a GET, or leads elsewhere."""


def state() -> dict[str, Any]:
    """Every row of every table, but what reading and logging in leave."""
    found = {}
    with connection.cursor() as cursor:
        for table in sorted(connection.introspection.table_names(cursor)):
            if table in GROWS | LOGIN:
                continue
            cursor.execute(f'SELECT * FROM "{table}" ORDER BY 1')
            found[table] = cursor.fetchall()
        cursor.execute(
            "SELECT id, username, password, is_active, is_staff, is_superuser, email FROM auth_user ORDER BY 1"
        )
        found["auth_user"] = cursor.fetchall()
    return found


def places(run: Run) -> Iterator[tuple[str, str]]:
    """Each address of the portal, by its name: for pages of a model with its first row."""
    special = {
        "admin:app_list": "/admin/auth/",
        "admin:(?P<url>.*)$": "/admin/nowhere",
        "admin:auditing_checkpoint_download": reverse(
            "admin:auditing_checkpoint_download", args=[Checkpoint.objects.latest("size").size]
        ),
        "admin:portal_file": reverse("admin:portal_file", args=["0" * 32]),
        "admin:portal_file_download": reverse("admin:portal_file_download", args=["0" * 32]),
        "admin:auditing_entry_proof": reverse("admin:auditing_entry_proof", args=[1]),
        "admin:auditing_answer": reverse("admin:auditing_answer", args=[1]),
        "admin:auditing_member_dossier": reverse("admin:auditing_member_dossier", args=[1]),
        "admin:auditing_run_dossier": reverse("admin:auditing_run_dossier", args=[run.pk]),
        "admin:deliveries_request": reverse("admin:deliveries_request", args=[run.pk]),
        "admin:deliveries_ask_waiver": reverse("admin:deliveries_ask_waiver", args=[run.pk]),
        "admin:deliveries_tell": reverse(
            "admin:deliveries_tell", args=["member:1", Recipient.objects.get().pk]
        ),
        "admin:auditing_state": reverse("admin:auditing_state") + "?what=notices&entry=2",
    }
    for name in matrix.ADDRESSES:
        found = matrix.admin_page(name)
        if name in special:
            yield name, special[name]
        elif name.startswith("admin:") and found and name not in matrix.ADMIN_PAGES:
            label, page = found
            model = apps.get_model(label)
            # A model without rows in this world is asked for one that is not there.
            row = model._base_manager.order_by("pk").first() or model(pk=1)
            yield name, matrix.page_of(label, name, page, row)
            if page == "export":
                yield name, reverse(name, args=["ndjson"])
        else:
            yield name, matrix.address(name, run)


def bodies(run: Run) -> dict[str, list[dict[str, Any]]]:
    """What might make a form go through, by method: nothing, and a bit of everything the forms ask for.

    Forms are sent by POST: the other methods are asked with everything alone.
    """
    ticket = Ticket.objects.worked().latest("pk")
    everything = {
            "who": "#1", "account_ref": "acc-0", "reason": "x", "title": "x", "version": ticket.version,
            "purpose": "generative-ai", "choice": "deny", "verdict": "approved", "text": "x",
            "member": "1", "outcome": "upheld", "countries": "DE", "rule": "excluded", "source": "x",
            "effective_from": "2026-01-01", "tracker_run_id": "x", "data_categories": ["posts"],
            "trained_digest": "0" * 64, "name": "x", "user": "1", "scopes": ["runs:read"], "days": "1",
            "username": "x", "password1": "a battery of horses", "password2": "a battery of horses",
            "groups": ["1"], "is_active": "on", "is_staff": "on", "tickets": f"{ticket.pk}:1",
            "action": "verify_again", "_selected_action": [str(run.pk)], "post": "yes", "subject": "x",
            "body": "x", "_save": "1",
    }  # fmt: skip
    return {
        method: [{}, everything] if method == "POST" else [everything if method in WRITES else {}]
        for method in METHODS
    }


def ask(client: Client, method: str, url: str, body: Any) -> Any:
    send: Callable[..., Any] = getattr(client, method.lower())
    if method in ("GET", "HEAD"):
        answer = send(url)
    elif "/api/" in url or method != "POST":
        answer = send(url, json.dumps(body), content_type="application/json")
    else:
        answer = send(url, body)
    if answer.streaming:
        b"".join(answer.streaming_content)
        answer.close()
    return answer


def status_of(answer: Any) -> int:
    """Being sent to the login page is being refused."""
    if answer.status_code == 302 and "/login/" in answer["Location"]:
        return 401
    return int(answer.status_code)


def tried(client: Client, run: Run) -> dict[tuple[str, str], set[int]]:
    """Every address by every method: the statuses of the answers."""
    found: dict[tuple[str, str], set[int]] = {}
    given = bodies(run)
    for name, url in places(run):
        for method in METHODS:
            for body in given[method]:
                if name in OF_ONESELF and method in WRITES:
                    continue
                statuses = found.setdefault((name, method), set())
                statuses.add(status_of(ask(client, method, url, body)))
    return found


def assert_only_asked(found: dict[tuple[str, str], set[int]]) -> None:
    """What writes is refused; only look-ups, and the lists' own forms, answer a POST."""
    refused = {401, 403, 404, 405}
    let_in = sorted(
        {
            name
            for (name, method), statuses in found.items()
            if method in WRITES and not statuses <= refused
        }
    )
    lists = {f"admin:{m._meta.app_label}_{m._meta.model_name}_changelist" for m in site._registry}
    redirects = {name for name in let_in if name.endswith("/<path:object_id>/")}
    # Django's admin answers methods it does not know, and a POST to a list or a page it may show, like a GET.
    pages = {name.removesuffix("list") for name in lists}
    assert set(let_in) <= ASKS | SHOWS | lists | pages | redirects
    crashed = {place for place, statuses in found.items() if any(one >= 500 for one in statuses)}
    assert crashed == set()


def test_with_a_session_nothing_is_written(run: Run, auditor: User, client_of: Any) -> None:
    signing.sign_now()
    client = client_of(auditor)
    before, entries = state(), Entry.objects.count()

    found = tried(client, run)

    assert_only_asked(found)
    after = state()
    assert {table for table in after if after[table] != before[table]} == set()
    assert Entry.objects.count() == entries


def test_with_a_token_of_every_scope_nothing_is_written(run: Run, auditor: User) -> None:
    signing.sign_now()
    _, plain = tokens.issue_token(
        user=auditor, name="all", scopes=list(registry.scopes), days=1, actor="test"
    )
    client = Client(headers={"Authorization": f"Bearer {plain}"})
    before = state()

    found = tried(client, run)

    assert_only_asked(found)
    after = state()
    assert {table for table in after if after[table] != before[table]} == set()


def test_no_permission_of_the_auditors_is_one_to_write(auditor: User, db: Any) -> None:
    kinds = {name.partition(".")[2].partition("_")[0] for name in auditor.get_all_permissions()}

    assert kinds == {"view", "explain"}


def test_asking_answers(run: Run, auditor: User, client_of: Any) -> None:
    url = reverse("admin:training_runs_run_explain", args=[run.pk])

    answer = client_of(auditor).post(url, {"who": "#1"})

    assert answer.status_code == 200
    assert Manifest.objects.exists()
    assert f"in {run.reference}" in answer.text
