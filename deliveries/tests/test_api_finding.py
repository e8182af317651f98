"""How a pipeline finds deliveries, receipts and data sets, and follows a delivery until it is made."""

import threading
import time
from dataclasses import dataclass

import pytest
from django.db import connections
from django.test import Client

from deliveries.made import ending, making, requesting
from deliveries.models import DataSet, Delivery, Receipt, Recipient
from ledger import entries
from tools import factories
from training_runs.models import Run

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.one_engine]


@dataclass
class Used:
    """Three runs in use: a parent, its child, and one of another team."""

    runs: list[Run]
    lists: list[Delivery]
    sets: list[Delivery]
    receipts: list[Receipt]
    data_sets: list[DataSet]


@pytest.fixture
def used(world, engineer, second_engineer) -> Used:
    factories.add_members(3)
    parent = factories.freeze(engineer).run
    people = [engineer, engineer, second_engineer]
    runs = [
        parent,
        factories.freeze(engineer, parent=parent).run,
        factories.freeze(second_engineer).run,
    ]
    runners = {
        person.pk: factories.registered_runner(person) for person in (engineer, second_engineer)
    }
    lists = [factories.deliver(run, one) for run, one in zip(runs, people, strict=True)]
    receipts = [
        factories.send_receipt(runners[one.pk], delivery, one)
        for delivery, one in zip(lists, people, strict=True)
    ]
    sets = [factories.deliver(run, one, form="set") for run, one in zip(runs, people, strict=True)]
    data_sets = [DataSet.objects.get(receipt=receipt) for receipt in receipts]
    return Used(runs, lists, sets, receipts, data_sets)


def found(api, path: str, query: str, key: str = "reference") -> list[str]:
    """Everything that a list has, read in pages of two."""
    rows: list[str] = []
    following = f"/api/v1/{path}?page_size=2&{query}"
    while following:
        answer = api.get(following)
        assert answer.status_code == 200, answer.content
        rows += [row[key] for row in answer.json()["results"]]
        following = answer.json()["next"]
    assert len(rows) == len(set(rows))
    return sorted(rows)


def names(*rows) -> list[str]:
    return sorted(row.reference for row in rows)


def test_deliveries_are_found_by_everything_a_pipeline_knows(api, used, engineer, second_engineer):
    parent, child, other = used.runs
    own_lists, own_sets = used.lists, used.sets
    partner = Recipient(name="partner", title="Partner", kind="affiliate")
    with entries.entry("recipient.changed", actor="test"):
        partner.save()
    lent = factories.deliver(parent, engineer, recipient=partner)
    ending.cancel(delivery=used.sets[0], actor=engineer, reason="test")

    def of(query: str) -> list[str]:
        return found(api, "deliveries", query)

    assert of("") == names(*own_lists, *own_sets, lent)
    assert of(f"run={parent.reference}") == names(own_lists[0], own_sets[0], lent)
    assert of("form=set") == names(*own_sets)
    assert of("state=cancelled") == names(own_sets[0])
    assert of("state=delivered&form=list") == names(*own_lists, lent)
    assert of("recipient=partner") == names(lent)
    assert of(f"digest={own_lists[2].digest}") == names(own_lists[2])
    assert of("team=team-of-emil") == names(*own_lists[:2], *own_sets[:2], lent)
    assert of("responsible=edda") == names(own_lists[2], own_sets[2])
    assert of(f"parent={parent.reference}") == names(own_lists[1], own_sets[1])
    assert of(f"tracker_run_id={child.tracker_run_id}") == names(own_lists[1], own_sets[1])
    assert of(f"tracker_run_id={other.tracker_run_id}&form=list") == names(own_lists[2])
    assert of("tracker_run_id=unknown") == of(f"digest={'0' * 64}") == []


def test_receipts_are_found_by_everything_a_pipeline_knows(api, used):
    parent, child, other = used.runs
    receipts = used.receipts

    def of(query: str) -> list[str]:
        return found(api, "receipts", query)

    assert of("") == names(*receipts)
    assert of(f"run={child.reference}") == names(receipts[1])
    assert of(f"delivery={used.lists[0].reference}") == names(receipts[0])
    assert of(f"digest={receipts[2].digest}") == names(receipts[2])
    assert of(f"output={used.data_sets[1].sha256}") == names(receipts[1])
    assert of("team=team-of-emil") == names(*receipts[:2])
    assert of("responsible=edda") == names(receipts[2])
    assert of(f"parent={parent.reference}") == names(receipts[1])
    assert of(f"tracker_run_id={other.tracker_run_id}") == names(receipts[2])
    assert of(f"run={parent.reference}&responsible=edda") == []
    assert of(f"output={'0' * 64}") == of(f"digest={'0' * 64}") == []


def test_data_sets_are_found_by_everything_a_pipeline_knows(api, used, engineer):
    parent, child, other = used.runs
    digests = [row.sha256 for row in used.data_sets]
    ending.cancel(delivery=used.lists[2], actor=engineer, reason="test")

    def of(query: str) -> list[str]:
        return found(api, "datasets", query, "sha256")

    assert of("") == sorted(digests)
    assert of("lease=valid") == sorted(digests[:2])
    assert of("lease=ended") == [digests[2]]
    assert of("prefix=clean/") == sorted(digests)
    assert of("prefix=raw/") == []
    assert of(f"run={child.reference}") == [digests[1]]
    assert of(f"receipt={used.receipts[0].reference}") == [digests[0]]
    assert of(f"delivery={used.lists[1].reference}") == [digests[1]]
    assert of(f"digest={digests[2]}") == [digests[2]]
    assert of("team=team-of-emil") == sorted(digests[:2])
    assert of("responsible=edda&lease=valid") == []
    assert of(f"parent={parent.reference}") == [digests[1]]
    assert of(f"tracker_run_id={other.tracker_run_id}") == [digests[2]]


UNKNOWN = {
    "team": ("unknown", "unknown_team"),
    "responsible": ("unknown", "unknown_responsible"),
    "parent": ("TR-1999-000001", "unknown_run"),
    "run": ("TR-1999-000001", "unknown_run"),
    "recipient": ("unknown", "unknown_recipient"),
    "delivery": ("DL-1999-000001", "unknown_delivery"),
    "receipt": ("RC-1999-000001", "unknown_receipt"),
    "state": ("gone", "unknown_word"),
    "form": ("csv", "unknown_word"),
    "lease": ("soon", "unknown_word"),
    "digest": ("ABC", "not_a_digest"),
    "output": ("ABC", "not_a_digest"),
    "owner": ("emil", "unknown_field"),
}
OF_RUNS = ["team", "responsible", "parent", "run", "digest", "owner"]
FILTERS = {
    "deliveries": [*OF_RUNS, "recipient", "state", "form"],
    "receipts": [*OF_RUNS, "delivery", "output"],
    "datasets": [*OF_RUNS, "delivery", "receipt", "lease"],
}


@pytest.mark.parametrize(
    ("path", "name"), [(path, one) for path in FILTERS for one in FILTERS[path]]
)
def test_a_value_that_the_portal_does_not_know_is_refused_with_its_field(api, path, name):
    value, code = UNKNOWN[name]

    answer = api.get(f"/api/v1/{path}?{name}={value}")

    assert answer.status_code == 400
    assert [(one["field"], one["code"]) for one in answer.json()["errors"]] == [(name, code)]


# --- ETag of the data sets ----------------------------------------------------------------------


def test_a_list_of_data_sets_that_is_the_same_is_not_sent_again(api, used, engineer, time_machine):
    path = "/api/v1/datasets?lease=valid"
    first = api.get(path)

    again = api.get(path, headers={"If-None-Match": first["ETag"]})
    other = api.get("/api/v1/datasets", headers={"If-None-Match": first["ETag"]})
    ending.cancel(delivery=used.lists[0], actor=engineer, reason="test")
    fewer = api.get(path, headers={"If-None-Match": first["ETag"]})
    time_machine.move_to(used.lists[2].leased_until)
    api.force_login(engineer)
    late = api.get(path, headers={"If-None-Match": fewer["ETag"]})

    assert (again.status_code, again.content, again["ETag"]) == (304, b"", first["ETag"])
    # The same rows, and the same answer: a list of its own is the same list.
    assert other.status_code == 304
    assert [len(one.json()["results"]) for one in (first, fewer, late)] == [3, 2, 0]
    assert len({first["ETag"], fewer["ETag"], late["ETag"]}) == 3


def test_a_closed_gate_says_so_again_whole_with_its_etag(api, used, engineer):
    path = f"/api/v1/runs/{used.runs[0].reference}/gate"
    ending.cancel(delivery=used.lists[0], actor=engineer, reason="test")
    ending.cancel(delivery=used.sets[0], actor=engineer, reason="test")
    closed = api.get(path)

    again = api.get(path, headers={"If-None-Match": closed["ETag"]})

    assert (closed.status_code, again.status_code) == (409, 409)
    assert closed.json() == again.json()
    assert closed["ETag"] == again["ETag"]


# --- Waiting for a delivery ---------------------------------------------------------------------


@pytest.fixture
def wanted(run, engineer) -> Delivery:
    return requesting.request(run=run, actor=engineer)[0]


class Asking(threading.Thread):
    """A request in a thread of its own; `answer` and `seconds` once it has ended."""

    def __init__(self, user, url, **headers):
        super().__init__()
        self.client, self.url, self.headers = Client(), url, headers
        self.client.force_login(user)
        self.start()

    def run(self):
        began = time.monotonic()
        try:
            self.answer = self.client.get(self.url, headers=self.headers)
        finally:
            connections.close_all()
        self.seconds = time.monotonic() - began

    def ended(self):
        self.join(30)
        assert not self.is_alive()
        return self.answer


def test_a_wait_ends_when_the_delivery_is_made(engineer, wanted):
    asking = Asking(engineer, f"/api/v1/deliveries/{wanted.reference}?wait=30")

    making.make(wanted.pk)

    answer = asking.ended()
    assert (answer.status_code, answer.json()["state"]) == (200, "delivered")
    assert "Retry-After" not in answer
    assert asking.seconds < 15


def test_a_delivery_that_has_not_changed_is_not_sent_again(api, wanted):
    path = f"/api/v1/deliveries/{wanted.reference}"
    waits = api.get(path)
    began = time.monotonic()
    same = api.get(f"{path}?wait=1", headers={"If-None-Match": waits["ETag"]})
    waited = time.monotonic() - began
    making.make(wanted.pk)
    made = api.get(f"{path}?wait=30", headers={"If-None-Match": waits["ETag"]})
    known = api.get(path, headers={"If-None-Match": made["ETag"]})

    assert [waits.get("Retry-After"), same.get("Retry-After")] == ["2", "2"]
    assert (same.status_code, same.content) == (304, b"")
    assert 1 <= waited < 10
    assert (made.status_code, made.json()["state"]) == (200, "delivered")
    assert (known.status_code, known.get("Retry-After")) == (304, None)


def test_a_wait_for_the_end_of_a_delivery_ends_with_it(engineer, api, run):
    delivery = factories.deliver(run, engineer)
    path = f"/api/v1/deliveries/{delivery.reference}"
    asking = Asking(engineer, f"{path}?wait=30", **{"If-None-Match": api.get(path)["ETag"]})

    ending.cancel(delivery=delivery, actor=engineer, reason="test")

    assert asking.ended().json()["state"] == "cancelled"
    assert asking.seconds < 15


@pytest.mark.parametrize("wait", ["-1", "61", "soon"])
def test_a_wait_out_of_bounds_is_refused_with_its_field(api, wanted, wait):
    answer = api.get(f"/api/v1/deliveries/{wanted.reference}?wait={wait}")

    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == "wait"
