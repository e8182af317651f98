"""The report of a delivery for people: every member by number, no account, and no list for programs."""

import csv
import io

import pytest
from django.urls import reverse

from common.files import made_files
from common.models import MadeFile
from consent.models import AccountReference
from deliveries.made import archives, ending, requesting
from deliveries.models import Delivery
from deliveries.staff import report
from ledger.models import AccessRecord
from tools import factories

pytestmark = pytest.mark.django_db(transaction=True)


def fetched(client, delivery: Delivery) -> bytes:
    """The report as a person gets it: asked for, made by a worker, downloaded."""
    asked = client.get(reverse("admin:deliveries_delivery_report", args=[delivery.pk]))
    assert asked.status_code == 302
    made_files.make_due()
    key = asked["Location"].rstrip("/").rpartition("/")[2]
    page = client.get(asked["Location"])
    assert "report-for-people.csv" in page.content.decode()
    answer = client.get(reverse("admin:portal_file_download", args=[key]))
    assert f"{delivery.reference}-report-for-people.csv" in answer["Content-Disposition"]
    return answer.getvalue()


@pytest.fixture
def delivery(run, engineer, product) -> Delivery:
    """Five members, one of whom has left, and one whose content has a first day."""
    factories.decide("acc-0", "deny", actor=product)
    factories.decide("acc-1", "deny", actor=product)
    factories.decide("acc-1", "allow", actor=product)
    return factories.deliver(run, engineer)


@pytest.mark.parametrize("reader", ["officer", "auditor"])
def test_every_member_is_in_it_once_by_number_and_no_account(request, client_of, delivery, reader):
    data = fetched(client_of(request.getfixturevalue(reader)), delivery)

    rows = list(csv.reader(io.StringIO(data.decode("utf-8-sig"))))
    head = rows.index(list(report.COLUMNS))
    archive = archives.load(delivery)
    found = {int(number): (said, day) for number, said, day in rows[head + 1 :]}
    assert rows[0] == [report.SAYS]
    assert "no list for programs" in rows[0][0]
    facts = {row[0]: row[1] for row in rows[1:head] if row}
    assert (facts["delivery"], facts["delivered"], facts["subtracted"]) == (
        delivery.reference, "4", "1",
    )  # fmt: skip
    assert len(rows[head + 1 :]) == len(found) == 5
    assert {number for number, (said, _) in found.items() if said == "yes"} == set(
        archive.delivered
    )
    assert {number for number, (said, _) in found.items() if said == "no"} == set(
        archive.subtracted
    )
    ((day, members),) = archive.cohorts.items()
    assert {number for number, (_, said) in found.items() if said} == set(members)
    assert {said for _, said in found.values()} == {"", day.isoformat()}
    for account_ref in AccountReference.objects.values_list("account_ref", flat=True):
        assert account_ref.encode() not in data


def test_a_download_is_on_record_with_its_digest(client_of, officer, delivery):
    fetched(client_of(officer), delivery)

    read = AccessRecord.objects.get(kind="delivery.report")
    row = MadeFile.objects.get(kind="delivery-report")
    assert read.subject == delivery.reference
    assert read.purpose == f"csv, 5 rows, sha-256={row.digest}"


def test_the_page_offers_it_to_those_who_may_have_it(
    client_of, officer, auditor, engineer, delivery
):
    address = reverse("admin:deliveries_delivery_change", args=[delivery.pk])
    link = reverse("admin:deliveries_delivery_report", args=[delivery.pk])

    offered = [link in client_of(one).get(address).content.decode() for one in (officer, auditor)]

    assert offered == [True, True]
    assert link not in client_of(engineer).get(address).content.decode()
    assert client_of(engineer).get(link).status_code == 403


def test_it_stays_after_the_lease_because_it_has_no_account(client_of, officer, engineer, delivery):
    ending.cancel(delivery=delivery, actor=engineer, reason="not needed")

    assert fetched(client_of(officer), delivery)


def test_what_is_not_made_or_too_long_for_a_spreadsheet_is_refused(
    client_of, officer, run, engineer, monkeypatch
):
    waiting, _ = requesting.request(run=run, actor=engineer)
    link = reverse("admin:deliveries_delivery_report", args=[waiting.pk])
    early = client_of(officer).get(link)
    factories.made(waiting)
    monkeypatch.setattr(report, "MAX_ROWS", 4)

    late = client_of(officer).get(link)

    assert (early.status_code, late.status_code) == (409, 409)
    assert "5 members" in late.content.decode()
    assert not MadeFile.objects.filter(kind="delivery-report").exists()
