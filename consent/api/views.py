"""The API of members' choices, region rules and notices: doors to `consent.decisions`."""

from typing import Any

from django.conf import settings
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers as drf
from rest_framework.exceptions import ParseError
from rest_framework.generics import get_object_or_404
from rest_framework.request import Request
from rest_framework.response import Response

from common.api.access import Access
from common.api.endpoints import (
    OCTETS,
    Endpoint,
    NdjsonParser,
    NdjsonRenderer,
    OctetLinesParser,
    PageQuery,
    Pages,
    caller,
    read,
    read_json,
)
from common.api.problems import flat_errors, problem, refusal
from common.api.schema import EndpointSchema, page_of
from consent import account_changes, consent_receipts, decisions
from consent.api.serializers import (
    AccountInput,
    AgeRuleInput,
    AgeRuleOutput,
    ChangedOutput,
    DecisionInput,
    DecisionOutput,
    MergedInput,
    NoticeDeliveryInput,
    NoticeDeliveryOutput,
    NoticeInput,
    NoticeOutput,
    NoticeTextsOutput,
    NoticeWithdrawalInput,
    NoticeWithdrawalOutput,
    ProposedAgeRuleOutput,
    ProposedNoticeOutput,
    ProposedRegionRuleOutput,
    RegionRuleInput,
    RegionRuleOutput,
    ReviewInput,
    ReviewOutput,
    RuleQuery,
    SettingLinkOutput,
    SplitInput,
    decision,
)
from consent.errors import AlreadyReviewed, MemberPagesOff
from consent.lookup import look_up
from consent.models import AgeRule, Member, Notice, NoticeDelivery, RegionRule
from consent.public import member_links
from consent.public.privacy_signals import privacy_signal
from consent.rulebook import effects, notices, proposing
from ledger.errors import Refusal

MAX_LINES = 10_000


def asked_member(
    request: Request,
    kind: str,
    *,
    account_ref: str | None = None,
    purpose: str = "",
    but_test_accounts: bool = False,
) -> Member:
    """The member whose reference was sent (as the body, unless given), once that is on record. Raises NotFound."""
    if account_ref is None:
        account_ref = read(AccountInput, request.data)["account_ref"]
    return look_up(
        account_ref,
        reader=caller(request),
        kind=kind,
        purpose=purpose,
        but_test_accounts=but_test_accounts,
    )


class DecisionsView(Endpoint):
    access = {"POST": Access("consent.record_decision", "decisions:write")}
    schema = EndpointSchema()

    @extend_schema(
        operation_id="record_decision",
        request=DecisionInput,
        responses={201: DecisionOutput, 200: OpenApiResponse(DecisionOutput, "Sent before.")},
        parameters=[
            OpenApiParameter(
                "Sec-GPC", str, OpenApiParameter.HEADER, enum=["1"],
                description="Passed on from the member's browser and kept beside the message; `privacy_signal` goes first.",
            )
        ],
    )  # fmt: skip
    def post(self, request: Request) -> Response:
        """Record what a member decided. The same message again gets the first answer (200).

        A message is its body: whether `Sec-GPC` comes with it makes no other message.

        `account_known` is false where no file of yours has named the account yet: the decision is kept and holds from
        the file that names it on. Look whether the reference is whole (a leading zero lost keeps out the wrong
        account). Any spelling of a reference is taken; its blanks and invisible characters do not count, case does.
        """
        recorded = decisions.record_decision(
            decision(read(DecisionInput, request.data), signal=privacy_signal(request.headers)),
            actor=caller(request),
        )
        return Response(DecisionOutput(recorded).data, status=200 if recorded.is_replay else 201)


class MergedView(Endpoint):
    access = {"POST": Access("consent.record_accountchange", "accounts:write")}
    schema = EndpointSchema()

    @extend_schema(
        operation_id="merge_accounts",
        request=MergedInput,
        responses={201: ChangedOutput, 200: OpenApiResponse(ChangedOutput, "Sent before.")},
    )
    def post(self, request: Request) -> Response:
        """Say that an account went into another one. The strictest of both holds: what either refused stays refused.

        The account that goes is closed. A *yes* is not passed on, and the later date of majority holds. What is learned
        of the account later reaches the one that stays. An account that no file of yours has named yet is kept, and out.
        """
        changed = account_changes.merged(**read(MergedInput, request.data), actor=caller(request))
        return Response(ChangedOutput(changed).data, status=200 if changed.is_replay else 201)


class SplitView(Endpoint):
    access = {"POST": Access("consent.record_accountchange", "accounts:write")}
    schema = EndpointSchema()

    @extend_schema(
        operation_id="split_account",
        request=SplitInput,
        responses={201: ChangedOutput, 200: OpenApiResponse(ChangedOutput, "Sent before.")},
    )
    def post(self, request: Request) -> Response:
        """Say that accounts were split off from another one: each refuses what that one had refused by then."""
        changed = account_changes.split(**read(SplitInput, request.data), actor=caller(request))
        return Response(ChangedOutput(changed).data, status=200 if changed.is_replay else 201)


class BulkDecisionsView(Endpoint):
    access = {"POST": Access("consent.record_decision", "decisions:write")}
    parser_classes = [NdjsonParser, OctetLinesParser]
    renderer_classes = [NdjsonRenderer]
    schema = EndpointSchema()

    @extend_schema(
        operation_id="record_decisions",
        request={OCTETS: OpenApiTypes.BINARY},
        responses={
            (200, "application/x-ndjson"): OpenApiResponse(
                OpenApiTypes.STR, "One line for each line, in the same order."
            )
        },
    )
    def post(self, request: Request) -> Any:
        """Record up to 10,000 decisions, one JSON object a line; a bad line does not stop the others.

        Each line is what one decision takes. Send them as `application/x-ndjson`, or as bytes, which generated clients know. The answer has a line for each:
        `{"line", "status": "recorded"|"replayed", "source_id", "entry", "recorded_at", "in_force", "account_known"}` or
        `{"line", "status": "refused", "code", "detail", "errors"}`.
        """
        lines = request.data
        if not lines:
            raise ParseError("There are no lines.", code="no_lines")
        if len(lines) > MAX_LINES:
            return problem(413, f"At most {MAX_LINES} lines at a time.", name="too_many_lines")
        answers: list[dict[str, Any]] = [{} for _ in lines]
        sent = {}
        shape = DecisionInput()
        for place, line in enumerate(lines):
            try:
                sent[place] = decision(dict(shape.run_validation(read_json(line, "The line"))))
            except (Refusal, ParseError, drf.ValidationError) as error:
                answers[place] = _refused(error)
        recorded = (
            decisions.record_decisions(list(sent.values()), actor=caller(request)) if sent else []
        )
        for place, answer in zip(sent, recorded, strict=True):
            answers[place] = _refused(answer) if isinstance(answer, Refusal) else _said(answer)
        return Response([{"line": n, **answer} for n, answer in enumerate(answers, 1)])


def _said(recorded: decisions.Recorded) -> dict[str, Any]:
    status = "replayed" if recorded.is_replay else "recorded"
    return {"status": status, **DecisionOutput(recorded).data}


def _refused(error: Refusal | ParseError | drf.ValidationError) -> dict[str, Any]:
    if isinstance(error, Refusal):
        return {"status": "refused", **refusal(error)}
    if isinstance(error, ParseError):
        return {"status": "refused", "code": "bad_request", "detail": str(error.detail)}
    return {
        "status": "refused",
        "code": "invalid",
        "detail": "The line is not valid.",
        "errors": flat_errors(error),
    }


class SettingLinkView(Endpoint):
    # A holder of the link can decide for the member: it takes the right to record decisions.
    access = {"POST": Access("consent.record_decision", "decisions:write")}
    schema = EndpointSchema()

    @extend_schema(
        operation_id="link_to_setting", request=AccountInput, responses={201: SettingLinkOutput}
    )
    def post(self, request: Request) -> Response:
        """A link to the member's setting page, to be opened at once in the member's browser.

        404 with the code `member_pages_off` where the member pages are switched off.
        """
        if not settings.MEMBER_PAGES:
            raise MemberPagesOff("The member pages are switched off here.")
        member = asked_member(request, "member.setting_link")
        link = SettingLinkOutput(member_links.link_for(member)).data
        return Response(link, status=201, headers={"Cache-Control": "no-store"})


class ConsentReceiptsView(Endpoint):
    access = {"POST": Access("consent.view_standing", "members:read")}
    schema = EndpointSchema()

    @extend_schema(
        operation_id="ask_consent_receipts",
        request=AccountInput,
        responses={(200, "application/json"): OpenApiTypes.OBJECT},
    )
    def post(self, request: Request) -> Response:
        """The receipts of a member's consents: JSON-LD, fields of ISO/IEC TS 27560:2023, terms of DPV 2.3.

        Only a *yes* under an opt-in rule, given under a notice in force, is a consent. A setting that is on by default and
        was left alone yields no receipt: its standing is `dpv:LegitimateInterestNotObjected`, without a consent record.
        POST, because the reference is personal data.
        """
        member = asked_member(request, "member.consent_receipts")
        return Response(consent_receipts.receipts_of(member), headers={"Cache-Control": "no-store"})


class RegionRulesView(Endpoint):
    access = {
        "GET": Access("consent.view_regionrule", "rules:read"),
        "POST": Access("consent.add_regionrule"),
    }
    schema = EndpointSchema()

    @extend_schema(
        operation_id="list_region_rules",
        parameters=[RuleQuery],
        responses=page_of(RegionRuleOutput),
    )
    def get(self, request: Request) -> Response:
        """Region rules, the one recorded last first."""
        asked = read(RuleQuery, request.query_params)
        rows = RegionRule.objects.select_related("proposed_by", "review__reviewer")
        if "purpose" in asked:
            rows = rows.filter(purpose=asked["purpose"])
        return _page(self, request, rows, RegionRuleOutput)

    @extend_schema(
        operation_id="propose_region_rule",
        request=RegionRuleInput,
        responses={201: ProposedRegionRuleOutput},
    )
    def post(self, request: Request) -> Response:
        """Propose a rule. A rule that admits members waits for a second person; a stricter one applies at once.

        The purpose's latest rule sent once more is the same rule and gets the first answer. `effects` counts the members
        it lets in or keeps out, by country, by the code that freezes manifests; the figures are of this moment.
        """
        row = proposing.propose_rule(**read(RegionRuleInput, request.data), actor=caller(request))
        return _proposed(row, ProposedRegionRuleOutput)


class RegionRuleReviewView(Endpoint):
    access = {"POST": Access("consent.add_review")}
    schema = EndpointSchema()

    @extend_schema(
        operation_id="review_region_rule", request=ReviewInput, responses={201: ReviewOutput}
    )
    def post(self, request: Request, id: int) -> Response:
        """The second person's word on a rule; it is final. The same again gets the first answer."""
        return _review(request, get_object_or_404(RegionRule, pk=id))


class AgeRulesView(Endpoint):
    access = {
        "GET": Access("consent.view_agerule", "rules:read"),
        "POST": Access("consent.add_agerule"),
    }
    schema = EndpointSchema()

    @extend_schema(
        operation_id="list_age_rules", parameters=[PageQuery], responses=page_of(AgeRuleOutput)
    )
    def get(self, request: Request) -> Response:
        """The ages above 18 that countries ask for, the row recorded last first."""
        read(PageQuery, request.query_params)
        rows = AgeRule.objects.select_related("proposed_by", "review__reviewer")
        return _page(self, request, rows, AgeRuleOutput)

    @extend_schema(
        operation_id="propose_age_rule",
        request=AgeRuleInput,
        responses={201: ProposedAgeRuleOutput},
    )
    def post(self, request: Request) -> Response:
        """Propose the age that countries ask for. A higher one applies at once; a lower one waits for a second person.

        Members whose date of majority was computed for a lower age are out until the product sends their date again.
        The latest row sent once more is the same row and gets the first answer. `effects` is as for a region rule.
        """
        row = proposing.propose_age(**read(AgeRuleInput, request.data), actor=caller(request))
        return _proposed(row, ProposedAgeRuleOutput)


class AgeRuleReviewView(Endpoint):
    access = {"POST": Access("consent.add_review")}
    schema = EndpointSchema()

    @extend_schema(
        operation_id="review_age_rule", request=ReviewInput, responses={201: ReviewOutput}
    )
    def post(self, request: Request, id: int) -> Response:
        """The second person's word on an age; it is final. The same again gets the first answer."""
        return _review(request, get_object_or_404(AgeRule, pk=id))


class NoticesView(Endpoint):
    access = {
        "GET": Access("consent.view_notice", "rules:read"),
        "POST": Access("consent.add_notice"),
    }
    schema = EndpointSchema()

    @extend_schema(
        operation_id="list_notices", parameters=[PageQuery], responses=page_of(NoticeOutput)
    )
    def get(self, request: Request) -> Response:
        """Versions of the privacy notice, the one recorded last first."""
        read(PageQuery, request.query_params)
        rows = Notice.objects.select_related(
            "proposed_by", "review__reviewer", "supersedes"
        ).prefetch_related("withdrawals")
        return _page(self, request, rows, NoticeOutput)

    @extend_schema(
        operation_id="propose_notice",
        request=NoticeInput,
        responses={201: ProposedNoticeOutput},
    )
    def post(self, request: Request) -> Response:
        """Propose a version of the notice; it counts once a second person has approved it.

        The same notice once more gets the first answer; the version with other facts is refused (422). `effects` counts
        the members it lets in or keeps out, as for a region rule.
        """
        row = proposing.propose_notice(**read(NoticeInput, request.data), actor=caller(request))
        return _proposed(row, ProposedNoticeOutput)


class NoticeView(Endpoint):
    access = {"GET": Access("consent.view_notice", "rules:read")}
    schema = EndpointSchema()

    @extend_schema(operation_id="read_notice", responses=NoticeTextsOutput)
    def get(self, request: Request, version: str) -> Response:
        """A version of the notice with its texts by language."""
        return Response(NoticeTextsOutput(get_object_or_404(Notice, version=version)).data)


class NoticeDeliveriesView(Endpoint):
    access = {
        "GET": Access("consent.view_noticedelivery", "rules:read"),
        "POST": Access("consent.add_noticedelivery", "notices:write"),
    }
    schema = EndpointSchema()

    @extend_schema(
        operation_id="list_notice_deliveries",
        parameters=[PageQuery],
        responses=page_of(NoticeDeliveryOutput),
    )
    def get(self, request: Request, version: str) -> Response:
        """Evidence of how a notice was delivered, the one recorded last first."""
        read(PageQuery, request.query_params)
        notice = get_object_or_404(Notice, version=version)
        rows = NoticeDelivery.objects.filter(notice=notice).select_related("notice")
        return _page(self, request, rows, NoticeDeliveryOutput)

    @extend_schema(
        operation_id="record_notice_delivery",
        request=NoticeDeliveryInput,
        responses={201: NoticeDeliveryOutput},
    )
    def post(self, request: Request, version: str) -> Response:
        """Record how and when a notice was delivered to a cohort of members. The same once more gets the first answer."""
        row = notices.record_delivery(
            notice=get_object_or_404(Notice, version=version),
            **read(NoticeDeliveryInput, request.data),
            actor=caller(request),
        )
        return Response(NoticeDeliveryOutput(row).data, status=201)


class NoticeWithdrawalsView(Endpoint):
    access = {"POST": Access("consent.add_noticewithdrawal")}
    schema = EndpointSchema()

    @extend_schema(
        operation_id="withdraw_notice",
        request=NoticeWithdrawalInput,
        responses={201: NoticeWithdrawalOutput},
    )
    def post(self, request: Request, version: str) -> Response:
        """Withdraw a notice from a day on, which may have passed: it covers nothing from then on, and applies at once.

        The same once more gets the first answer; a later day than that of an earlier withdrawal is refused (409).
        """
        row = notices.withdraw(
            notice=get_object_or_404(Notice, version=version),
            **read(NoticeWithdrawalInput, request.data),
            actor=caller(request),
        )
        return Response(NoticeWithdrawalOutput(row).data, status=201)


class NoticeReviewView(Endpoint):
    access = {"POST": Access("consent.add_review")}
    schema = EndpointSchema()

    @extend_schema(operation_id="review_notice", request=ReviewInput, responses={201: ReviewOutput})
    def post(self, request: Request, version: str) -> Response:
        """The second person's word on a notice; it is final. The same again gets the first answer."""
        return _review(request, get_object_or_404(Notice, version=version))


def _proposed(row: Any, output: Any) -> Response:
    # The row stands whatever the count says: a refusal to count is part of the answer.
    row.effects = effects.effects_of(row)
    return Response(output(row).data, status=201)


def _review(request: Request, proposal: effects.Counted) -> Response:
    """The same word of the same person again gets the first answer."""
    sent = read(ReviewInput, request.data)
    try:
        row = proposing.review(proposal=proposal, **sent, actor=caller(request))
    except AlreadyReviewed:
        # What holds at once is decided without a review.
        known: Any = getattr(proposal, "review", None)
        first = known and (known.reviewer, known.verdict, known.entry.reason)
        if first != (request.user, sent["verdict"], sent["reason"]):
            raise
        row = known
    return Response(ReviewOutput(row).data, status=201)


def _page(view: Endpoint, request: Request, rows: Any, output: Any) -> Response:
    pages = Pages()
    return pages.get_paginated_response(
        output(pages.paginate_queryset(rows, request, view=view), many=True).data
    )
