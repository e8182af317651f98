"""Lists as files: what is shown is what is in them, the digest is on record, and no person is named."""

import base64
import csv
import hashlib
import io
import json
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import DatabaseError
from django.urls import reverse

from common.files import made_files
from common.staff import list_exports
from common.staff.list_exports import ExportedList
from common.staff.site import site
from ledger import entries
from ledger.models import AccessRecord, Entry
from tools import factories

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.one_engine]

LISTS = sorted(
    f"{model._meta.app_label}_{model._meta.model_name}"
    for model, found in site._registry.items()
    if isinstance(found, ExportedList)
)


@pytest.fixture
def world(officer: User, second_officer: User, engineer: User) -> None:
    factories.open_world(officer, second_officer)
    factories.add_members(3)
    factories.add_member("customer-secret")
    factories.decide("customer-secret", "deny", actor=officer)
    factories.objection("customer-secret", name="Nora Secret", email="nora.secret@example.org")
    manifest = factories.freeze(engineer)
    delivery = factories.training(manifest.run, engineer)
    factories.send_receipt(factories.registered_runner(engineer), delivery, engineer)
    factories.late(manifest.run)


def export(client: Any, label: str, form: str = "csv", **query: str) -> tuple[Any, bytes]:
    answer = client.get(reverse(f"admin:{label}_export", args=[form]), query)
    assert answer.status_code == 200, answer.text
    return answer, b"".join(answer.streaming_content)


def rows_of(form: str, data: bytes) -> list[dict[str, Any]]:
    if form == "csv":
        return list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline="")))
    return [json.loads(line) for line in data.splitlines()]


def test_these_lists_can_be_taken_along() -> None:
    assert LISTS == [
        "consent_decision",
        "consent_member",
        "deliveries_delivery",
        "deliveries_receipt",
        "ledger_accessrecord",
        "ledger_entry",
        "objections_ticket",
        "training_runs_incident",
        "training_runs_run",
        "training_runs_verification",
    ]


@pytest.mark.parametrize("label", LISTS)
@pytest.mark.parametrize("form", ["csv", "ndjson"])
def test_a_file_has_every_row_of_the_list_and_its_digest_is_on_record(
    label: str, form: str, world: None, auditor: User, client_of: Any
) -> None:
    client = client_of(auditor)
    client.get(reverse("admin:consent_member_change", args=[1]))
    listed = client.get(reverse(f"admin:{label}_changelist")).context["cl"].result_count

    answer, data = export(client, label, form)

    digest = hashlib.sha256(data)
    rows = rows_of(form, data)
    read = AccessRecord.objects.first()
    assert len(rows) == listed > 0
    assert answer["Repr-Digest"] == f"sha-256=:{base64.b64encode(digest.digest()).decode()}:"
    assert answer["Content-Length"] == str(len(data))
    assert "attachment" in answer["Content-Disposition"]
    assert (read.kind, read.subject) == (f"export.{label.rpartition('_')[2]}", "list")
    assert read.purpose == f"{form}, {listed} rows, sha-256={digest.hexdigest()}"
    assert b"ecret" not in data


@pytest.mark.parametrize(
    ("label", "query", "column", "values"),
    [
        ("ledger_entry", {"kind": "run.frozen"}, "kind", ["run.frozen"]),
        (
            "ledger_entry",
            {"actor": "emil"},
            "kind",
            [
                "receipt.accepted",
                "runner_key.registered",
                "run.training",
                "delivery.requested",
                "run.requested",
                "run.registered",
            ],
        ),
        ("ledger_accessrecord", {"q": "unknown"}, "kind", []),
        ("consent_member", {"status__exact": "closed"}, "status", ["closed"]),
        ("consent_decision", {"q": "4", "p": "1"}, "choice", ["deny"]),
        ("training_runs_run", {"state__exact": "cancelled"}, "run", []),
        ("training_runs_verification", {"agreement__exact": "agrees"}, "agreement", ["agrees"]),
    ],
)
def test_a_file_is_narrowed_like_the_list(
    label: str,
    query: dict[str, str],
    column: str,
    values: list[str],
    world: None,
    auditor: User,
    client_of: Any,
) -> None:
    _, data = export(client_of(auditor), label, "ndjson", **query)

    assert [row[column] for row in rows_of("ndjson", data)] == values


def test_values_stay_what_they_are_for_programs(world: None, auditor: User, client_of: Any) -> None:
    _, data = export(client_of(auditor), "ledger_entry", "ndjson", kind="run.frozen")

    (row,) = rows_of("ndjson", data)
    entry = Entry.objects.get(kind="run.frozen")
    assert row == {
        "sequence": entry.sequence,
        "recorded_at": f"{entry.recorded_at:%Y-%m-%dT%H:%M:%S.%f}Z",
        "actor_name": "system:freezer",
        "credential": "",
        "kind": "run.frozen",
        "subject": entry.subject,
        "reason": "",
        "leaf": entry.leaf,
    }


def test_a_reason_that_is_a_formula_is_text_in_a_spreadsheet(auditor: User, client_of: Any) -> None:
    with entries.entry("test.act", actor="test", reason="=1+1"):
        pass

    _, data = export(client_of(auditor), "ledger_entry")

    assert [row["reason"] for row in rows_of("csv", data)] == ["'=1+1"]


def test_a_read_that_cannot_be_recorded_is_no_file(
    world: None, auditor: User, client_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = client_of(auditor)

    def fail(self: Any, *args: Any, **kwargs: Any) -> None:
        raise DatabaseError

    monkeypatch.setattr(AccessRecord, "save", fail)
    answer = client.get(reverse("admin:ledger_entry_export", args=["csv"]))

    assert answer.status_code == 503
    assert "run.frozen" not in answer.text


def test_more_rows_than_a_file_takes_are_refused(
    world: None, auditor: User, client_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(list_exports, "MAX_ROWS", 3)
    client = client_of(auditor)

    whole = client.get(reverse("admin:ledger_entry_export", args=["csv"]))
    part = client.get(reverse("admin:ledger_entry_export", args=["csv"]), {"kind": "run.frozen"})

    assert whole.status_code == 409
    assert "The list has more than 3 rows. Narrow it down" in whole.text
    assert part.status_code == 200
    assert AccessRecord.objects.count() == 1


@pytest.mark.parametrize(
    ("query", "status"),
    [({"first": "yesterday"}, 400), ({"nonsense": "1"}, 400), ({"o": "x"}, 400)],
)
def test_a_filter_that_is_not_understood_gives_no_file(
    query: dict[str, str], status: int, world: None, auditor: User, client_of: Any
) -> None:
    address = reverse("admin:ledger_entry_export", args=["csv"])

    assert client_of(auditor).get(address, query).status_code == status


def test_an_unknown_form_is_not_found(world: None, auditor: User, client_of: Any) -> None:
    answer = client_of(auditor).get("/admin/ledger/entry/export/xlsx/")

    assert answer.status_code == 404


def test_the_list_links_to_its_files_with_its_filters(
    world: None, auditor: User, client_of: Any
) -> None:
    page = client_of(auditor).get(reverse("admin:ledger_entry_changelist"), {"kind": "run.frozen"})

    assert '/admin/ledger/entry/export/ndjson/?kind=run.frozen"' in page.text


@pytest.mark.parametrize("form", ["csv", "ndjson"])
def test_a_long_list_is_made_by_a_worker_for_the_person_who_asked(
    form: str,
    world: None,
    auditor: User,
    officer: User,
    client_of: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client = client_of(auditor)
    _, short = export(client, "consent_member", form, status__exact="open")
    monkeypatch.setattr(list_exports, "SHORT", 2)

    address = reverse("admin:consent_member_export", args=[form])
    waiting = client.get(address, {"status__exact": "open"}, follow=True)
    page = waiting.request["PATH_INFO"]
    made_files.make_due()
    answer = client.get(f"{page}download/")
    long = b"".join(answer.streaming_content)

    digest = hashlib.sha256(short).hexdigest()
    assert "The file is being made" in waiting.text
    assert "status__exact=open" in client.get(page).text
    assert long == short
    assert (answer["ETag"], answer["Content-Length"]) == (f'"{digest}"', str(len(short)))
    records = AccessRecord.objects.filter(kind="export.member").values_list("purpose", flat=True)
    assert len(records) == 2
    assert len(set(records)) == 1
    # Another person, and the same one without the right any more.
    assert client_of(officer).get(page).status_code == 403
    auditor.groups.clear()
    assert client.get(f"{page}download/").status_code == 403
