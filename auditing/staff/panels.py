"""The auditors' start page: the checks, and the checkpoints that others hold."""

import datetime as dt

from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from common.staff import start_page
from ledger.choices import DeliveryChannel
from ledger.models import Checkpoint, CheckpointDelivery, LedgerCheck, LedgerHead
from training_runs.models import Manifest, Verification

LATE = dt.timedelta(hours=36)
"""The ledger is recomputed every night."""


@start_page.panel("ledger.view_checkpoint", order=4)
def proof_panel(request: HttpRequest) -> start_page.Panel:
    """Show the last checks and the checkpoints held outside."""
    lines = [_ledger_line(), _manifests_line(), _checkpoint_line(), _outside_line()]
    return start_page.Panel(
        title="Integrity checks",
        lines=lines,
        empty="No check has run yet.",
        links=[
            ("All checkpoints", reverse("admin:ledger_checkpoint_changelist")),
            ("All checks", reverse("admin:ledger_ledgercheck_changelist")),
        ],
    )


def _ledger_line() -> start_page.PanelLine:
    check = LedgerCheck.objects.select_related("entry").first()
    if check is None:
        return start_page.PanelLine(
            "The ledger has not been recomputed yet: it is every night, or by manage.py verify_all.",
            tone="warning",
        )
    url = reverse("admin:ledger_ledgercheck_change", args=[check.pk])
    is_late = timezone.now() - check.entry.recorded_at > LATE
    when = f"{check.entry.recorded_at:%Y-%m-%d %H:%M} UTC"
    if check.problems:
        return start_page.PanelLine(
            f"THE LEDGER DOES NOT VERIFY: {len(check.problems)} problems.", url, when, "danger"
        )
    if is_late:
        return start_page.PanelLine(
            f"The nightly check is late: the ledger was recomputed to entry {check.size:,}.",
            url,
            when,
            "warning",
        )
    return start_page.PanelLine(
        f"Ledger recomputed, complete to entry {check.size:,}{_since(check.size)}.",
        url,
        when,
        "good",
    )


def _since(size: int) -> str:
    newer = LedgerHead.objects.get().size - size
    return f"; {newer:,} entries were added since" if newer > 0 else ", the newest"


def _manifests_line() -> start_page.PanelLine:
    manifests = Manifest.objects.with_agreement()
    total = manifests.count()
    if not total:
        return start_page.PanelLine("No manifest is frozen yet, so none is verified.")
    differing = manifests.filter(differs=True).count()
    agreeing = manifests.filter(agrees=True, differs=False).count()
    url = reverse("admin:training_runs_verification_changelist")
    if differing:
        return start_page.PanelLine(
            f"{differing} of {total:,} manifests DIFFER from history.", url, "", "danger"
        )
    last = Verification.objects.first()
    when = f"last one {last.verified_at:%Y-%m-%d %H:%M} UTC" if last else ""
    all_of_them = (
        f"all {total:,}" if agreeing == total and total > 1 else f"{agreeing:,} of {total:,}"
    )
    tone = "good" if agreeing == total else "warning"
    return start_page.PanelLine(
        f"Verified against history: {all_of_them} manifests.", url, when, tone
    )


def _checkpoint_line() -> start_page.PanelLine:
    checkpoint = Checkpoint.objects.first()
    if checkpoint is None:
        return start_page.PanelLine("No checkpoint has been signed yet.", tone="warning")
    return start_page.PanelLine(
        f"Newest checkpoint: entry {checkpoint.size:,}. Download it and keep it.",
        reverse("admin:auditing_checkpoint_download", args=[checkpoint.size]),
        f"signed {checkpoint.signed_at:%Y-%m-%d %H:%M} UTC",
        "good",
    )


def _outside_line() -> start_page.PanelLine:
    outside = CheckpointDelivery.objects.exclude(channel=DeliveryChannel.DIRECTORY)
    delivery = outside.order_by("-checkpoint_id", "-pk").first()
    if delivery is None:
        return start_page.PanelLine(
            "No checkpoint is held outside: until one is kept outside, nothing proves that the ledger was not"
            " rewritten.",
            tone="warning",
        )
    return start_page.PanelLine(
        f"Last checkpoint held outside: entry {delivery.checkpoint_id:,}, by {delivery.holder}"
        f" ({delivery.get_channel_display()}).",
        "",
        f"{delivery.delivered_at:%Y-%m-%d %H:%M} UTC",
        "good",
    )
