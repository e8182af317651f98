"""The API of objections, for the product: doors to `objections.intake.receiving`.

The product may read the progress of tickets that it filed or that name one of its members. Tickets that a person without an
account sent through the portal's own form or by post are not disclosed to it: the answer is 404.
"""

from django.db.models import Q
from django.urls import reverse
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from common.api.access import Access
from common.api.endpoints import Endpoint, PageQuery, Pages, caller, read
from common.api.schema import EndpointSchema, page_of
from consent.api.serializers import AccountInput
from consent.api.views import asked_member
from consent.models import Member
from ledger.errors import NotFound
from ledger.reads.recording import record_read
from objections import tasks
from objections.api.serializers import FiledOutput, ObjectionInput, ObjectionOutput
from objections.choices import Channel
from objections.intake import receiving
from objections.models import Ticket
from objections.public import progress
from objections.querysets import TicketQuerySet


def shown() -> TicketQuerySet:
    """The tickets that the product may ask for, with all that an answer shows."""
    mine = Q(channel=Channel.PRODUCT) | Q(member__isnull=False)
    return Ticket.objects.worked().filter(mine).prefetch_related("objections", "letters")


def known_member(request: Request, account_ref: str | None = None) -> Member:
    """The member, once the read is on record. Raises NotFound, also for test accounts."""
    return asked_member(
        request, "member.objections", account_ref=account_ref, but_test_accounts=True
    )


class ObjectionsView(Endpoint):
    access = {"POST": Access("objections.file_ticket", "objections:write")}
    schema = EndpointSchema()

    @extend_schema(
        operation_id="file_objection",
        request=ObjectionInput,
        responses={201: FiledOutput, 200: OpenApiResponse(FiledOutput, "Filed before.")},
    )
    def post(self, request: Request) -> Response:
        """File an objection: with the answer, the person's data is out of the purposes it names.

        `Location` is the address of its progress. The same source_id again gets the first answer (200), with
        another body 422. The account of a logged-in person must be known (404); for other people the
        objection is accepted all the same, and we write to the given address to have it confirmed.
        Files are sent to us by answering our letter, not here.
        """
        sent = read(ObjectionInput, request.data)
        if sent.pop("is_authenticated"):
            sent["member"] = known_member(request, sent.pop("account_ref"))
        ticket, is_new = receiving.receive_once(
            receiving.Filing(**sent, channel=Channel.PRODUCT), actor=caller(request)
        )
        if is_new:
            tasks.hint()
        return Response(
            FiledOutput(ticket.history.earliest("history_id")).data,
            status=201 if is_new else 200,
            headers={"Location": reverse("api:objection-detail", args=[ticket.reference])},
        )


class ObjectionView(Endpoint):
    access = {"GET": Access("objections.file_ticket", "objections:read")}
    schema = EndpointSchema()

    @extend_schema(operation_id="read_objection", responses=ObjectionOutput)
    def get(self, request: Request, reference: str) -> Response:
        """How far an objection is, for the person who filed it.

        Of tickets that you filed, or that are of a member.
        """
        ticket = shown().filter(reference=reference).first()
        if ticket is None:
            raise NotFound("There is no such ticket.")
        record_read(caller(request), "ticket.progress", ticket.reference)
        return Response(ObjectionOutput(progress.of(ticket)).data)


class MemberObjectionsView(Endpoint):
    access = {"POST": Access("objections.file_ticket", "objections:read")}
    schema = EndpointSchema()

    @extend_schema(
        operation_id="ask_objections",
        request=AccountInput,
        parameters=[PageQuery],
        responses={200: page_of(ObjectionOutput)},
    )
    def post(self, request: Request) -> Response:
        """The objections of a member, the one recorded last first.

        Includes objections that name the account without proof (`is_verified` is false): they exclude the member as
        well, but our letters about them went to another person. For the next page send the same body to `next`.
        POST, because the reference is personal data: addresses end in logs and histories.
        """
        read(PageQuery, request.query_params)
        member = known_member(request)
        pages = Pages()
        rows = pages.paginate_queryset(shown().filter(member=member), request, view=self) or []
        return pages.get_paginated_response(
            [
                ObjectionOutput(progress.of(ticket, to_filer=ticket.is_verified)).data
                for ticket in rows
            ]
        )
