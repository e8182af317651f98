"""The start page: panels about proposals and members."""

from django.http import HttpRequest
from django.urls import reverse
from django.utils.text import capfirst

from common.staff import start_page
from common.staff.site import staff
from consent.choices import Channel, Choice
from consent.models import AccountReference, AgeRule, Consent, Decision, Notice, RegionRule
from consent.querysets import ProposalQuerySet


@start_page.panel("consent.add_review", order=20)
def proposals_panel(request: HttpRequest) -> start_page.Panel:
    waiting = [
        *_waiting(request, RegionRule.objects.all(), "admin:consent_regionrule_review"),
        *_waiting(request, Notice.objects.all(), "admin:consent_notice_review"),
        *_waiting(request, AgeRule.objects.all(), "admin:consent_agerule_review"),
    ]
    return start_page.Panel(
        "Proposals waiting for your review",
        waiting,
        "No proposal by a colleague is waiting for your review.",
        [
            ("Rules today", reverse("admin:consent_regionrule_today")),
            ("Propose a rule", reverse("admin:consent_regionrule_add")),
            ("Propose a notice", reverse("admin:consent_notice_add")),
        ],
    )


def _waiting(request: HttpRequest, rows: ProposalQuerySet, name: str) -> list[start_page.PanelLine]:
    found = rows.waiting().exclude(proposed_by=staff(request)).select_related("proposed_by")
    return [
        start_page.PanelLine(
            capfirst(str(row)),
            reverse(name, args=[row.pk]),
            f"proposed by {row.proposed_by.get_username()}",
            "warning",
        )
        for row in found[:10]
    ]


@start_page.panel("consent.add_decision", order=29)
def unnamed_accounts_panel(request: HttpRequest) -> start_page.Panel:
    """Accounts of which only a decision or an objection has told: the reference may be mistyped."""
    accounts = AccountReference.objects.filter(is_confirmed=False).count()
    choices = Consent.objects.filter(member__reference__is_confirmed=False).count()
    found = [
        (f"Accounts: {accounts:,}", "admin:consent_member_changelist", accounts),
        (f"Choices of these: {choices:,}", "admin:consent_consent_changelist", choices),
    ]
    return start_page.Panel(
        "Accounts that no file has named",
        [
            start_page.PanelLine(
                text,
                f"{reverse(address)}?named=no",
                "The real account stays in where the reference was mistyped.",
                "warning",
            )
            for text, address, count in found
            if count
        ],
        "The product has named every known account in its files.",
        [("Members", reverse("admin:consent_member_changelist"))],
    )


@start_page.panel("consent.add_decision", order=30)
def staff_denies_panel(request: HttpRequest) -> start_page.Panel:
    latest = Decision.objects.filter(channel=Channel.STAFF, choice=Choice.DENY)
    return start_page.Panel(
        "Latest denies recorded by staff",
        [
            start_page.PanelLine(
                f"Member {row.member_id}, {row.get_purpose_display()}",
                reverse("admin:consent_decision_change", args=[row.pk]),
                f"by {row.entry.actor_name}, {row.decided_at:%Y-%m-%d %H:%M} UTC",
            )
            for row in latest.filter(entry__actor__isnull=False).select_related("entry")[:5]
        ],
        "Staff have recorded no deny yet.",
        [
            ("Look a member up", reverse("admin:consent_member_look_up")),
            ("Members", reverse("admin:consent_member_changelist")),
        ],
    )
