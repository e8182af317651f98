"""Members, choices, rules and notices in the admin: to read, and links to the acts."""

import datetime as dt
from typing import Any

from django.contrib import admin
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from common.staff.list_exports import ExportedList
from common.staff.list_filters import BoxFilter, OptionFilter
from common.staff.site import (
    ExactSearchAdmin,
    HistoryModelAdmin,
    SealedModelAdmin,
    badge,
    site,
)
from consent import countries
from consent.choices import ReviewVerdict
from consent.models import (
    AccountChange,
    AgeRule,
    Consent,
    Decision,
    Member,
    Notice,
    Policy,
    RegionRule,
)
from consent.staff import members, rules_and_notices


class CountryFilter(BoxFilter):
    """The countries by name, what is not known first. It asks the database nothing."""

    title = "country"
    parameter_name = "country"
    NOT_KNOWN = "unknown"
    TEST = "test"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        by_name = sorted((name, code) for code, name in countries.NAMES.items())
        # A test account's country is none that a person can have.
        tests = [(self.TEST, "of test accounts")] if model_admin.model is Member else []
        return [
            (self.NOT_KNOWN, "not known"),
            *((code, name) for name, code in by_name),
            *tests,
        ]

    def rows_with(self, rows: QuerySet[Any], option: str) -> QuerySet[Any]:
        if option == self.TEST:
            return rows.filter(country__in=countries.CANARIES)
        if option == self.NOT_KNOWN:
            return rows.filter(Q(country=countries.UNKNOWN) | Q(country__isnull=True))
        return rows.filter(country=option)


class NamedFilter(OptionFilter):
    """Accounts that only a decision or an objection has named, and those of the product's files."""

    title = "account"
    parameter_name = "named"
    NO = "no"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(self.NO, "no file has named it"), ("yes", "named by a file")]

    def rows_with(self, rows: QuerySet[Any], option: str) -> QuerySet[Any]:
        lookup = "reference" if rows.model is Member else "member__reference"
        return rows.filter(**{f"{lookup}__is_confirmed": option != self.NO})


class OfAMember:
    """A list of rows of which each belongs to a member, or to none: looking at one is a look at the member's record."""

    def read_subject(self, row: Any) -> str:
        return f"member:{row.member_id}" if row.member_id else str(row)


class MemberNumberSearchAdmin(OfAMember, ExactSearchAdmin):
    """Rows of members, found by the member's number."""

    search_fields = ["member"]
    search_help_text = "A member number, in digits. Other searches find nothing."

    def rows_named(self, rows: QuerySet[Any], term: str) -> QuerySet[Any]:
        number = int(term) if term.isdecimal() and len(term) <= 10 else 0
        return rows.filter(member_id=number) if 0 < number < 2**31 else rows.none()


@admin.register(Member, site=site)
class MemberAdmin(ExportedList, HistoryModelAdmin):
    """Facts and standing. There is no search box: what is typed into one ends up in the address."""

    # Numbers only: a file with references is a run's member list.
    export_columns = {
        "member": "id",
        "country": "country",
        "adult_on": "adult_on",
        "adult_at": "adult_at",
        "status": "status",
        "named_by_a_file": "reference__is_confirmed",
    }

    read_on_record = True
    list_display = ["id", "country_name", "adult_on", "status", "named_by"]
    list_select_related = ["reference"]
    list_filter = ["status", NamedFilter, CountryFilter]
    fields = [
        "id",
        "named_by",
        "country_name",
        "country_given",
        "adult_on",
        "adult_at",
        "status",
        "reference_seal",
    ]
    change_form_template = "admin/consent/member/change_form.html"
    change_list_template = "admin/consent/member/change_list.html"
    pages = [
        ("look-up/", members.look_up_member, "consent_member_look_up"),
        ("<int:number>/deny/", members.record_deny, "consent_member_deny"),
    ]

    @admin.display(description="country", ordering="country")
    def country_name(self, member: Member) -> str:
        if member.country == countries.UNKNOWN:
            return "not known"
        return f"{countries.name(member.country)} ({member.country})"

    def page_context(self, request: HttpRequest, row: Any) -> dict[str, Any]:
        return {"member": row}

    def read_subject(self, row: Any) -> str:
        return f"member:{row.pk}"

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        fields = list(super().get_fields(request, obj))
        if request.user.has_perm("consent.view_accountreference"):
            fields.insert(1, "account_ref")
        return fields

    @admin.display(description="account")
    def named_by(self, member: Member) -> SafeString | str:
        reference = getattr(member, "reference", None)
        if reference is None:
            return "erased"
        if reference.is_confirmed:
            return "named by a file"
        return badge("no file has named it", "warning")

    @admin.display(description="account reference")
    def account_ref(self, member: Member) -> str:
        reference = getattr(member, "reference", None)
        return reference.account_ref if reference else "erased"


@admin.register(Decision, site=site)
class DecisionAdmin(ExportedList, MemberNumberSearchAdmin, SealedModelAdmin):
    export_columns = {
        "entry": "entry_id",
        "member": "member_id",
        **{
            name: name
            for name in ["purpose", "choice", "channel", "decided_at", "counts_at",
                         "notice_version", "privacy_signal", "evidence_only", "account_known"]
        },
    }  # fmt: skip
    read_on_record = True
    list_display = [
        "entry_id",
        "member_id",
        "purpose",
        "choice",
        "channel",
        "decided_at",
        "counts_at",
        "evidence_only",
    ]
    list_filter = ["purpose", "choice", "channel", NamedFilter, "decided_at"]
    fields = [
        "member", "purpose", "choice", "channel", "decided_at", "counts_at", "notice_version",
        "privacy_signal", "evidence_only", "account_known", "body_digest",
    ]  # fmt: skip

    @admin.display(description="entry", ordering="entry_id")
    def entry_id(self, decision: Decision) -> int:
        return decision.entry_id

    @admin.display(description="member", ordering="member_id")
    def member_id(self, decision: Decision) -> int:
        return decision.member_id


@admin.register(Consent, site=site)
class ConsentAdmin(MemberNumberSearchAdmin):
    """Current choices. A member without a row is on the default: not a consent, only no objection."""

    read_on_record = True
    list_display = ["member_id", "purpose", "choice", "decided_at", "notice_version"]
    list_filter = ["purpose", "choice", NamedFilter]
    # By the key: no index leads from the time of a choice to its row.
    ordering = ["-id"]
    fields = ["member", "purpose", "choice", "decided_at", "notice_version"]

    @admin.display(description="member", ordering="member_id")
    def member_id(self, consent: Consent) -> int:
        return consent.member_id


class ProposalAdmin(SealedModelAdmin):
    """Rules and notices: adding is proposing, changing does not exist, a second person reviews."""

    list_select_related = ["proposed_by", "review__reviewer"]

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        fields = super().get_fields(request, obj)
        if getattr(obj, "review", None) is None:
            return fields
        return [*fields, "reviewed_by", "reviewed_at", "reviewed_for"]

    @admin.display(description="reviewed by")
    def reviewed_by(self, row: Any) -> str:
        return f"{row.review.reviewer.get_username()}: {row.review.verdict}"

    @admin.display(description="reviewed at")
    def reviewed_at(self, row: Any) -> dt.datetime:
        return row.review.entry.recorded_at

    @admin.display(description="reason of the review")
    def reviewed_for(self, row: Any) -> str:
        return row.review.entry.reason

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(f"consent.add_{self.opts.model_name}")

    def page_context(self, request: HttpRequest, row: Any) -> dict[str, Any]:
        waits = row.needs_approval and not hasattr(row, "review")
        counts = request.user.has_perm("consent.add_review") and not isinstance(row, Policy)
        return {
            "waits": waits,
            "effects": rules_and_notices.waiting_effects(row) if waits and counts else None,
        }

    @admin.display(description="proposed by")
    def proposer(self, row: Any) -> str:
        return row.proposed_by.get_username()

    @admin.display(description="state")
    def standing(self, row: Any) -> SafeString:
        if not row.needs_approval:
            return badge("holds, needs no approval", "good")
        review = getattr(row, "review", None)
        if review is None:
            return badge("waits for review", "warning")
        tone = "good" if review.verdict == ReviewVerdict.APPROVED else "danger"
        return badge(f"{review.verdict} by {review.reviewer.get_username()}", tone)

    @admin.display(description="countries")
    def country_count(self, row: Any) -> str:
        return f"{len(row.countries)}"

    @admin.display(description="countries")
    def country_names(self, row: Any) -> str:
        if not row.countries:
            return "every country"
        return f"{len(row.countries)}: {rules_and_notices.named(row.countries)}"


@admin.register(RegionRule, site=site)
class RegionRuleAdmin(ProposalAdmin):
    list_display = [
        "effective_from",
        "purpose",
        "rule",
        "country_count",
        "source",
        "proposer",
        "standing",
    ]
    list_filter = ["purpose", "rule", "needs_approval"]
    fields = [
        "purpose", "rule", "country_names", "effective_from", "data_from", "source", "proposer", "standing",
    ]  # fmt: skip
    change_form_template = "admin/consent/proposal.html"
    change_list_template = "admin/consent/regionrule/change_list.html"
    pages = [
        ("today/", rules_and_notices.rules_today, "consent_regionrule_today"),
        ("<int:number>/review/", rules_and_notices.review_rule, "consent_regionrule_review"),
    ]

    add_page = staticmethod(rules_and_notices.propose_rule)


@admin.register(Policy, site=site)
class PolicyAdmin(ProposalAdmin):
    list_display = [
        "effective_from",
        "kind",
        "purpose",
        "country",
        "value",
        "source",
        "proposer",
        "standing",
    ]
    list_filter = ["kind", "purpose", "needs_approval"]
    fields = [
        "kind", "purpose", "country", "value", "effective_from", "source", "proposer", "standing",
    ]  # fmt: skip
    change_form_template = "admin/consent/proposal.html"
    pages = [("<int:number>/review/", rules_and_notices.review_policy, "consent_policy_review")]

    add_page = staticmethod(rules_and_notices.propose_policy)


@admin.register(AgeRule, site=site)
class AgeRuleAdmin(ProposalAdmin):
    list_display = ["effective_from", "age", "country_count", "source", "proposer", "standing"]
    list_filter = ["needs_approval", "effective_from"]
    fields = ["age", "country_names", "effective_from", "source", "proposer", "standing"]
    change_form_template = "admin/consent/proposal.html"
    pages = [("<int:number>/review/", rules_and_notices.review_age, "consent_agerule_review")]

    add_page = staticmethod(rules_and_notices.propose_age)


@admin.register(Notice, site=site)
class NoticeAdmin(ProposalAdmin):
    list_display = [
        "version",
        "published_on",
        "in_force_from",
        "country_count",
        "proposer",
        "standing",
    ]
    list_filter = ["in_force_from"]
    search_fields = ["version"]
    fields = [
        "version", "purposes", "data_categories", "country_names", "published_on", "in_force_from",
        "texts_sha256", "address", "supersedes", "source", "proposer", "standing",
    ]  # fmt: skip
    change_form_template = "admin/consent/proposal.html"
    pages = [
        ("<int:number>/review/", rules_and_notices.review_notice, "consent_notice_review"),
        ("<int:number>/delivered/", rules_and_notices.record_delivery, "consent_notice_delivered"),
        ("<int:number>/withdraw/", rules_and_notices.withdraw_notice, "consent_notice_withdraw"),
    ]

    add_page = staticmethod(rules_and_notices.propose_notice)

    def page_context(self, request: HttpRequest, row: Any) -> dict[str, Any]:
        return {
            **super().page_context(request, row),
            "notice": row,
            "deliveries": [
                (one, rules_and_notices.named(one.countries)) for one in row.deliveries.all()
            ],
            "withdrawals": list(row.withdrawals.select_related("entry")),
        }


@admin.register(AccountChange, site=site)
class AccountChangeAdmin(SealedModelAdmin):
    read_on_record = True
    list_display = ["held_at", "kind", "member", "heir", "entry"]
    list_filter = ["kind"]
    list_select_related = ["member", "heir", "entry"]
    fields = ["kind", "member", "heir", "held_at", "source_id", "entry"]
