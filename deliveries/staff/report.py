"""The report of a delivery for people: a table by member number for a spreadsheet, and never the list for programs.

It has no account: a spreadsheet changes accounts that look like formulas or numbers, and a table with a million accounts
would be a reveal of a million people. An officer who has to know a person grants a reveal of that one.
"""

import datetime as dt
import io
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.decorators.http import require_GET

from common.errors import TooManyRows
from common.files import exports, made_files
from common.models import MadeFile
from common.staff.file_views import sent_to_page
from common.staff.site import staff
from deliveries.errors import DeliveryNotReady
from deliveries.made import archives
from deliveries.models import Delivery
from ledger.reads.recording import record_read

MAX_ROWS = 1_000_000
"""Members of a report: spreadsheets take no more, and a report that is cut off would not be seen to be."""
PERMISSIONS = ("auditing.add_reveal", "ledger.view_entry")
"""One of them is needed: to grant reveals, or to audit. The team that trains has no use for a report, and has the list."""

SAYS = "A report for people, by member number. It is no list for programs: do not train on it, and join nothing to it."
COLUMNS = ("member_number", "in_the_delivery", "content_from")


def may_read(user: User) -> bool:
    return any(user.has_perm(permission) for permission in PERMISSIONS)


def lines(delivery: Delivery) -> Iterator[bytes]:
    """The whole report as CSV. Raises ManifestDamaged, OSError."""
    archive = archives.load(delivery)
    facts: list[Sequence[object]] = [
        ("delivery", delivery.reference),
        ("run", delivery.run.reference),
        ("purpose", delivery.run.purpose),
        ("delivered", delivery.rows),
        ("subtracted", delivery.subtracted),
        ("as_of", delivery.as_of),
        ("cut", delivery.cut),
        ("archive_sha256", delivery.digest),
        ("leased_until", delivery.leased_until),
        (),
        COLUMNS,
    ]
    return exports.csv_lines([SAYS], chain(facts, _members(archive)))


def _members(archive: archives.Archive) -> Iterator[Sequence[object]]:
    days: dict[int, dt.date] = {}
    for day, members in archive.cohorts.items():
        days.update(dict.fromkeys(members, day))
    for number in archive.delivered | archive.subtracted:
        yield number, number in archive.delivered, days.get(number)


class DeliveryReport(made_files.Maker):
    """`parameters`: `delivery`, a reference. A made delivery never changes."""

    kind = "delivery-report"

    def write(self, parameters: Mapping[str, Any], to: io.RawIOBase) -> dict[str, Any]:
        delivery = _delivery(parameters)
        for block in lines(delivery):
            to.write(block)
        return {"rows": delivery.rows + delivery.subtracted}

    def check_access(self, user: User, parameters: Mapping[str, Any]) -> None:
        if not may_read(user):
            raise PermissionDenied

    def record(self, user: User, row: MadeFile) -> None:
        said = f"csv, {row.facts['rows']} rows, sha-256={row.digest}"
        record_read(user, "delivery.report", row.parameters["delivery"], purpose=said)

    def name(self, parameters: Mapping[str, Any]) -> str:
        return f"{parameters['delivery']}-report-for-people.csv"

    def media_type(self, parameters: Mapping[str, Any]) -> str:
        return exports.MEDIA_TYPES[exports.CSV]

    def title(self, parameters: Mapping[str, Any]) -> str:
        return f"Report of {parameters['delivery']} for people"

    def back(self, parameters: Mapping[str, Any]) -> str:
        return reverse("admin:deliveries_delivery_change", args=[_delivery(parameters).pk])


def _delivery(parameters: Mapping[str, Any]) -> Delivery:
    return Delivery.objects.select_related("run").get(reference=parameters["delivery"])


@require_GET
def ask(request: HttpRequest, number: int) -> HttpResponse:
    """Have the report made; leads to its page. Raises DeliveryNotReady, TooManyRows."""
    if not may_read(staff(request)):
        raise PermissionDenied
    delivery: Delivery = get_object_or_404(Delivery, pk=number)
    if not delivery.digest:
        raise DeliveryNotReady(f"{delivery.reference} is {delivery.get_state_display()}.")
    count = delivery.rows + delivery.subtracted
    if count > MAX_ROWS:
        raise TooManyRows(
            f"{delivery.reference} has {count:,} members, and a spreadsheet takes {MAX_ROWS:,}. Ask about one member on"
            " the page of the run."
        )
    return sent_to_page(DeliveryReport.kind, {"delivery": delivery.reference}, staff(request))
