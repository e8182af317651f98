"""Proposing and reviewing region rules and notices, one function each: GET shows what will happen, POST does it.

Every view asks for its own permission: the admin alone lets all staff in.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.text import capfirst
from django.views.decorators.http import require_GET, require_http_methods

from common import drafts
from common.staff.parameters import takes
from common.staff.site import page, refusal_shown_in, staff
from consent import countries, sent_back
from consent.choices import Purpose, RuleKind
from consent.models import MAJORITY, AgeRule, Notice, NoticeWithdrawal, Policy, RegionRule
from consent.rulebook import ages, effects, notices, policies, proposing, rules
from consent.staff.forms import (
    AgeRuleForm,
    NoticeDeliveryForm,
    NoticeForm,
    NoticeWithdrawalForm,
    PolicyForm,
    RegionRuleForm,
    ReviewForm,
)
from ledger import clock

NO_RULE = "no rule, so excluded"
PREVIEW = "Preview"


@takes("again")
@require_http_methods(["GET", "POST"])
@permission_required("consent.add_regionrule", raise_exception=True)
def propose_rule(request: HttpRequest) -> HttpResponse:
    before = sent_back.rejected_row(RegionRule, request)
    words = sent_back.words_of(before, RegionRuleForm)
    form = drafts.form_for(RegionRuleForm, request, title="Propose a region rule", initial=words)
    effect = _previewed(form, request, proposing.drafted_rule)
    if form.is_valid() and effect is None:
        with refusal_shown_in(form):
            row = proposing.propose_rule(actor=staff(request), **form.cleaned_data)
            drafts.done(form)
            messages.success(
                request,
                "Proposed. The rule admits members, so a second person has to approve it."
                if row.needs_approval
                else "Recorded. The rule admits no members, so it applies at once.",
            )
            added = set(row.countries) - set(form.cleaned_data["countries"])
            if added:
                messages.warning(
                    request,
                    f"Added, because they go with what you named: {named(added)}."
                    f" The rule is for {len(row.countries)} countries: {named(row.countries)}.",
                )
            return HttpResponseRedirect(reverse("admin:consent_regionrule_change", args=[row.pk]))
    return page(
        request,
        "admin/consent/propose.html",
        title="Propose a region rule",
        form=form,
        effects=effect,
        preview_button=PREVIEW,
        button="Propose it",
        lead="A rule is never edited. A later rule replaces it from its date on, country by country.",
        came_back=sent_back.why_rejected(before),
        back=reverse("admin:consent_regionrule_changelist"),
        back_title="Region rules",
    )


@takes("again")
@require_http_methods(["GET", "POST"])
@permission_required("consent.add_notice", raise_exception=True)
def propose_notice(request: HttpRequest) -> HttpResponse:
    before = sent_back.rejected_row(Notice, request)
    words = sent_back.words_of(before, NoticeForm)
    form = drafts.form_for(NoticeForm, request, title="Propose a notice", initial=words)
    effect = _previewed(form, request, proposing.drafted_notice)
    if form.is_valid() and effect is None:
        with refusal_shown_in(form):
            row = proposing.propose_notice(actor=staff(request), **form.cleaned_data)
            drafts.done(form)
            messages.success(request, "Proposed. It applies once a second person has approved it.")
            return HttpResponseRedirect(reverse("admin:consent_notice_change", args=[row.pk]))
    return page(
        request,
        "admin/consent/propose.html",
        title="Propose a notice",
        form=form,
        effects=effect,
        preview_button=PREVIEW,
        button="Propose it",
        lead="Record the version of the privacy notice as it was published. Versions are never edited.",
        came_back=sent_back.why_rejected(before),
        back=reverse("admin:consent_notice_changelist"),
        back_title="Notices",
    )


def _previewed(
    form: Any, request: HttpRequest, drafted: Callable[..., effects.Row]
) -> effects.Effects | None:
    """The effects of what was typed, if that is what was asked for: nothing is recorded then."""
    if "preview" not in request.POST:
        return None
    if form.is_valid():
        with refusal_shown_in(form):
            facts = {name: value for name, value in form.cleaned_data.items() if name != "reason"}
            return effects.effects_of(drafted(actor=staff(request), **facts))
    return effects.Effects(refusal="Correct the fields below: then the members can be counted.")


@require_http_methods(["GET", "POST"])
@permission_required("consent.add_agerule", raise_exception=True)
def propose_age(request: HttpRequest) -> HttpResponse:
    form = drafts.form_for(AgeRuleForm, request, title="Propose an age")
    effect = _previewed(form, request, proposing.drafted_age)
    if form.is_valid() and effect is None:
        with refusal_shown_in(form):
            row = proposing.propose_age(actor=staff(request), **form.cleaned_data)
            drafts.done(form)
            messages.success(
                request,
                "Proposed. The row asks for a lower age than before, so a second person has to approve it."
                if row.needs_approval
                else "Recorded. The row asks for no lower age than before, so it applies at once. Members whose date"
                " of majority is for a lower age are out until the product sends their date again.",
            )
            return HttpResponseRedirect(reverse("admin:consent_agerule_change", args=[row.pk]))
    return page(
        request,
        "admin/consent/propose.html",
        title="Propose an age",
        form=form,
        effects=effect,
        preview_button=PREVIEW,
        button="Propose it",
        lead="A row is never edited. A later row replaces it from its date on, country by country.",
        back=reverse("admin:consent_agerule_changelist"),
        back_title="Ages",
    )


@require_http_methods(["GET", "POST"])
@permission_required(["consent.add_review", "consent.view_agerule"], raise_exception=True)
def review_age(request: HttpRequest, number: int) -> HttpResponse:
    proposal = get_object_or_404(
        AgeRule.objects.select_related("proposed_by", "review", "entry"), pk=number
    )
    before = ages.in_force(proposal.effective_from)
    asked: dict[int, list[str]] = defaultdict(list)
    for country in proposal.countries:
        asked[before.get(country, MAJORITY)].append(country)
    return _review(
        request,
        proposal,
        "admin/consent/agerule/review.html",
        reverse("admin:consent_agerule_change", args=[proposal.pk]),
        before=[(age, named(codes)) for age, codes in sorted(asked.items())],
        effects=waiting_effects(proposal),
    )


@require_http_methods(["GET", "POST"])
@permission_required("consent.add_policy", raise_exception=True)
def propose_policy(request: HttpRequest) -> HttpResponse:
    form = drafts.form_for(PolicyForm, request, title="Propose a policy")
    if form.is_valid():
        with refusal_shown_in(form):
            row = proposing.propose_policy(actor=staff(request), **form.cleaned_data)
            drafts.done(form)
            messages.success(
                request,
                "Proposed. The policy allows more, so a second person has to approve it."
                if row.needs_approval
                else "Recorded. The policy allows no more than before, so it applies at once.",
            )
            return HttpResponseRedirect(reverse("admin:consent_policy_change", args=[row.pk]))
    return page(
        request,
        "admin/act.html",
        title="Propose a policy",
        form=form,
        button="Propose it",
        lead="A policy is never edited. A later one replaces it from its date on.",
        back=reverse("admin:consent_policy_changelist"),
        back_title="Policies",
    )


@require_http_methods(["GET", "POST"])
@permission_required(["consent.add_review", "consent.view_policy"], raise_exception=True)
def review_policy(request: HttpRequest, number: int) -> HttpResponse:
    proposal = get_object_or_404(
        Policy.objects.select_related("proposed_by", "review", "entry"), pk=number
    )
    return _review(
        request,
        proposal,
        "admin/consent/policy/review.html",
        reverse("admin:consent_policy_change", args=[proposal.pk]),
        before=policies.in_force(
            proposal.kind, proposal.purpose, proposal.effective_from, proposal.country
        ),
        place=countries.name(proposal.country) if proposal.country else "every country not named",
    )


@require_http_methods(["GET", "POST"])
@permission_required(["consent.add_noticedelivery", "consent.view_notice"], raise_exception=True)
def record_delivery(request: HttpRequest, number: int) -> HttpResponse:
    notice = get_object_or_404(Notice, pk=number)
    title = f"Record a delivery of {notice}"
    form = drafts.form_for(NoticeDeliveryForm, request, title=title)
    if form.is_valid():
        with refusal_shown_in(form):
            row = notices.record_delivery(notice=notice, actor=staff(request), **form.cleaned_data)
            drafts.done(form)
            messages.success(request, f"Recorded: {row}.")
            return HttpResponseRedirect(reverse("admin:consent_notice_change", args=[number]))
    return page(
        request,
        "admin/act.html",
        title=title,
        form=form,
        button="Record it",
        lead="Evidence of how and when the notice reached a cohort of members. It is sealed and never edited.",
        back=reverse("admin:consent_notice_change", args=[number]),
        back_title=capfirst(str(notice)),
    )


@require_http_methods(["GET", "POST"])
@permission_required(["consent.add_noticewithdrawal", "consent.view_notice"], raise_exception=True)
def withdraw_notice(request: HttpRequest, number: int) -> HttpResponse:
    notice = get_object_or_404(Notice, pk=number)
    title = f"Withdraw {notice}"
    form = drafts.form_for(NoticeWithdrawalForm, request, title=title)

    def drafted(*, withdrawn_from: dt.date, **_: Any) -> NoticeWithdrawal:
        return NoticeWithdrawal(notice=notice, withdrawn_from=withdrawn_from)

    effect = _previewed(form, request, drafted)
    if form.is_valid() and effect is None:
        with refusal_shown_in(form):
            row = notices.withdraw(notice=notice, actor=staff(request), **form.cleaned_data)
            drafts.done(form)
            messages.success(request, f"{capfirst(str(row))}: it covers nothing from that day on.")
            return HttpResponseRedirect(reverse("admin:consent_notice_change", args=[number]))
    return page(
        request,
        "admin/consent/propose.html",
        title=title,
        form=form,
        effects=effect,
        preview_button=PREVIEW,
        button="Withdraw it",
        dangerous=True,
        lead="A withdrawal applies at once and cannot be taken back. The notice that it superseded does not return.",
        back=reverse("admin:consent_notice_change", args=[number]),
        back_title=capfirst(str(notice)),
    )


@require_http_methods(["GET", "POST"])
@permission_required(["consent.add_review", "consent.view_regionrule"], raise_exception=True)
def review_rule(request: HttpRequest, number: int) -> HttpResponse:
    proposal = get_object_or_404(
        RegionRule.objects.select_related("proposed_by", "review", "entry"), pk=number
    )
    return _review(
        request,
        proposal,
        "admin/consent/regionrule/review.html",
        reverse("admin:consent_regionrule_change", args=[proposal.pk]),
        changes=changes_of(proposal),
        left_out=left_out_of(proposal),
        effects=waiting_effects(proposal),
    )


@require_http_methods(["GET", "POST"])
@permission_required(["consent.add_review", "consent.view_notice"], raise_exception=True)
def review_notice(request: HttpRequest, number: int) -> HttpResponse:
    proposal = get_object_or_404(
        Notice.objects.select_related("proposed_by", "review", "supersedes", "entry"), pk=number
    )
    return _review(
        request,
        proposal,
        "admin/consent/notice/review.html",
        reverse("admin:consent_notice_change", args=[proposal.pk]),
        country_names=named(proposal.countries),
        warnings=warnings_about(proposal),
        effects=waiting_effects(proposal),
    )


def _review(
    request: HttpRequest,
    proposal: effects.Counted | Policy,
    template: str,
    back: str,
    **context: object,
) -> HttpResponse:
    refusal = why_not_reviewable(proposal, request)
    form = drafts.form_for(ReviewForm, request, title=f"Review: {proposal}")
    if form.is_valid():
        with refusal_shown_in(form):
            review = proposing.review(proposal=proposal, actor=staff(request), **form.cleaned_data)
            drafts.done(form)
            messages.success(request, f"{capfirst(str(proposal))}: {review.verdict}.")
            return HttpResponseRedirect(back)
    return page(
        request,
        template,
        title="Review a proposal",
        proposal=proposal,
        refusal=refusal,
        form=None if refusal and request.method == "GET" else form,
        button="Record it",
        back=back,
        back_title=capfirst(str(proposal)),
        **context,
    )


def waiting_effects(proposal: effects.Counted) -> effects.Effects | None:
    """The effects of a proposal on members, while it waits: they are counted by what is known now."""
    is_decided = not proposal.needs_approval or hasattr(proposal, "review")
    return None if is_decided else effects.effects_of(proposal)


def why_not_reviewable(proposal: effects.Counted | Policy, request: HttpRequest) -> str:
    """Why this person cannot give their word on it; empty when they can. The service decides in the end."""
    if not proposal.needs_approval:
        return "It allows no more than before, so it applied at once and needs no approval."
    review = getattr(proposal, "review", None)
    if review is not None:
        return (
            f"It was {review.verdict} by {review.reviewer.get_username()}; that decision is final."
        )
    if proposal.proposed_by_id == request.user.pk:
        return "You proposed it yourself, so a colleague has to review it: two people must agree before members are admitted."
    return ""


@dataclass(frozen=True)
class Change:
    """A rule's effect on a group of countries that it finds in the same state."""

    before: str
    source: str
    after: str
    countries: str
    count: int

    @property
    def is_change(self) -> bool:
        return self.before != self.after


def changes_of(proposal: RegionRule) -> list[Change]:
    """The rules before and after the proposal on the day it takes effect, real changes first."""
    holding = rules.rules_in_force(proposal.purpose, proposal.effective_from)
    groups: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for country in proposal.countries:
        row = holding.get(country)
        # A rule of the same day that was recorded later keeps its place.
        stays = row is not None and (row.effective_from, row.entry_id) >= (
            proposal.effective_from,
            proposal.entry_id,
        )
        before = row.rule if row else NO_RULE
        after = before if stays else proposal.rule
        groups[before, row.source if row else "", after].append(country)
    found = [
        Change(before, source, after, named(codes), len(codes))
        for (before, source, after), codes in groups.items()
    ]
    return sorted(found, key=lambda change: (not change.is_change, -change.count))


def left_out_of(proposal: RegionRule) -> list[str]:
    """The places that a rule admitting people leaves out of a country or group it mostly names, in words."""
    if proposal.rule == RuleKind.EXCLUDED:
        return []
    given = set(proposal.countries)
    words = [
        f"{named(territories - given)} (with {countries.name(country)})"
        for country, territories in countries.TERRITORIES.items()
        if country in given and territories - given
    ]
    followers = countries.GROUPS["EU-FOLLOWERS"] - given
    if given >= countries.EU and followers:
        words.append(f"{named(followers)} (follow the EU when it is excluded)")
    return words


def warnings_about(notice: Notice) -> list[str]:
    """Dates of a notice that a second person should check again."""
    recorded_on = notice.entry.recorded_at.date()
    days = (notice.in_force_from - notice.published_on).days
    words = []
    if notice.published_on < recorded_on:
        words.append(
            f"Published on {notice.published_on}, before it was recorded here on {recorded_on}:"
            " check the date at the source."
        )
    if notice.in_force_from < recorded_on:
        words.append(
            f"In force from {notice.in_force_from}, before it was recorded here on {recorded_on}:"
            " an approval reaches back."
        )
    if not days:
        words.append("Published and in force on the same day: notice period: 0 days.")
    return words


@dataclass(frozen=True)
class RuleToday:
    """Countries under one rule: the words, since when and by what source."""

    word: str
    tone: str
    since: dt.date | None
    source: str
    number: int | None
    countries: str
    count: int


_TONES = {RuleKind.DEFAULT_ON: "good", RuleKind.OPT_IN: "warning", RuleKind.EXCLUDED: "danger"}


@require_GET
@permission_required("consent.view_regionrule", raise_exception=True)
def rules_today(request: HttpRequest) -> HttpResponse:
    """For each purpose the countries by the rule that holds today, and where notices reach."""
    today = clock.today()
    return page(
        request,
        "admin/consent/regionrule/today.html",
        title="Rules today",
        today=today,
        purposes=[
            {
                "label": label,
                "rows": _rules_of(purpose, today),
                "notices": [n for n in rules.notices_in_force(today) if purpose in n.purposes],
            }
            for purpose, label in Purpose.choices
        ],
    )


def _rules_of(purpose: str, today: dt.date) -> list[RuleToday]:
    holding = rules.rules_in_force(purpose, today)
    by_row: dict[int, list[str]] = defaultdict(list)
    for country, row in holding.items():
        by_row[row.pk].append(country)
    rows = {row.pk: row for row in holding.values()}
    found = [
        RuleToday(
            rows[pk].rule,
            _TONES[RuleKind(rows[pk].rule)],
            rows[pk].effective_from,
            rows[pk].source,
            pk,
            named(codes),
            len(codes),
        )
        for pk, codes in by_row.items()
    ]
    without = countries.NAMES.keys() - holding.keys()
    if without:
        found.append(
            RuleToday("no rule", "danger", None, "nothing allows it, so it is excluded", None,
                      named(without), len(without))
        )  # fmt: skip
    return sorted(found, key=lambda row: (row.word, -row.count))


def named(codes: Iterable[str]) -> str:
    return ", ".join(sorted(countries.name(code) for code in codes))
