"""The start page: panels about deliveries, trainings and waivers."""

import datetime as dt

from django.http import HttpRequest
from django.urls import reverse

from common.staff import start_page
from common.staff.site import staff
from deliveries import recipients
from deliveries.choices import DeliveryState, WaiverState
from deliveries.models import Delivery, Waiver
from deliveries.staff.acts import page_of_delivery
from ledger import clock
from training_runs.errors import ManifestDamaged

SOON = dt.timedelta(days=7)
"""A lease that ends within this time is worth renewing."""


@start_page.panel("deliveries.add_delivery", order=22)
def leases_panel(request: HttpRequest) -> start_page.Panel:
    now = clock.now()
    own = Delivery.objects.of_teams_of(staff(request)).select_related("run")
    ending = own.valid_at(now).filter(leased_until__lte=now + SOON).order_by("leased_until")
    failing = own.filter(state=DeliveryState.REQUESTED, attempt__isnull=False)
    lines = [
        start_page.PanelLine(
            f"{one.reference} of {one.run.reference}",
            page_of_delivery(one),
            f"its lease ends on {one.leased_until:%Y-%m-%d %H:%M} UTC",
            "warning",
        )
        for one in ending[:10]
    ] + [
        start_page.PanelLine(
            f"{one.reference} of {one.run.reference}",
            page_of_delivery(one),
            one.attempt.error,
            "danger",
        )
        for one in failing.select_related("attempt")[:10]
    ]
    valid = own.valid_at(now).count()
    said = f"{valid} deliver{'y' if valid == 1 else 'ies'} of your teams may be used, none ends within a week."
    return start_page.Panel(
        "Deliveries that need you",
        lines,
        said,
        [("All deliveries", reverse("admin:deliveries_delivery_changelist"))],
    )


@start_page.panel("deliveries.decide_waiver", order=32)
def waivers_panel(request: HttpRequest) -> start_page.Panel:
    waiting = Waiver.objects.filter(state=WaiverState.ASKED).select_related("run__team")
    return start_page.Panel(
        "Completions without a receipt",
        [
            start_page.PanelLine(
                f"{one.run.reference}, {one.run.team}",
                reverse("admin:deliveries_waiver_change", args=[one.pk]),
                one.reasons[:200],
                "warning",
            )
            for one in waiting.order_by("pk")[:10]
        ],
        "No team asks to complete a run without a receipt.",
        [("All waivers", reverse("admin:deliveries_waiver_changelist"))],
    )


@start_page.panel("deliveries.tell_recipient", order=33)
def to_tell_panel(request: HttpRequest) -> start_page.Panel:
    try:
        duties = recipients.open_duties()
    except (ManifestDamaged, OSError):
        line = start_page.PanelLine("An archive of a delivery cannot be read.", tone="danger")
        return start_page.Panel("Recipients to tell", [line], "")
    return start_page.Panel(
        "Recipients to tell",
        [
            start_page.PanelLine(
                f"{duty.recipient.title}: {duty.subject}",
                reverse("admin:deliveries_tell", args=[duty.subject, duty.recipient.pk]),
                f"since {duty.since:%Y-%m-%d}",
                "danger" if duty.is_overdue else "warning",
            )
            for duty in duties[:10]
        ],
        "No recipient of data has to be told of an objection or an erasure.",
        [("All of them", reverse("admin:deliveries_to_tell"))],
    )
