"""Objections that come to further accounts, because the product merged or split the member's: stand-ins that follow them."""

from collections.abc import Collection

from consent import heirs
from objections.choices import Effect, FoundBy
from objections.models import Objection, Ticket


def follow(ticket: Ticket, *, is_new: bool = False) -> None:
    """Let the heirs of the ticket's member be out as the member is by it now. Needs an open entry."""
    numbers = heirs.heirs_of(ticket.member_id, ticket.received_at) if ticket.member_id else []
    if is_new and not numbers:
        return
    rows = {row.member_id: row for row in ticket.stand_ins.filter(found_by=FoundBy.HEIR)}
    if not rows and not numbers:
        return
    effects = {one.purpose: one for one in ticket.objections.order_by("purpose")}
    for number in numbers:
        if number not in rows:
            rows[number] = _stand_in(ticket, number, effects)
    for number, row in rows.items():
        _give(row, effects if number in numbers else {})


def follow_effects(ticket: Ticket) -> None:
    """Likewise, where the ticket's effects changed and its member did not. Needs an open entry."""
    rows = list(ticket.stand_ins.filter(found_by=FoundBy.HEIR).order_by("pk"))
    if rows:
        effects = {one.purpose: one for one in ticket.objections.order_by("purpose")}
        for row in rows:
            _give(row, effects)


def _give(row: Ticket, effects: dict[str, Objection]) -> None:
    """Give a stand-in these effects by purpose; without one a restriction is lifted."""
    for objection in row.objections.order_by("purpose"):
        first = effects.get(objection.purpose)
        effect = first.effect if first else Effect.RESTRICTION_LIFTED
        if objection.effect != effect:
            objection.effect = effect
            objection.restricts_since = first.restricts_since if first else None
            objection.save()


def _stand_in(ticket: Ticket, number: int, effects: dict[str, Objection]) -> Ticket:
    row = Ticket(
        reference=f"{ticket.reference}-{ticket.stand_ins.count() + 1}",
        member_id=number,
        received_at=ticket.received_at,
        found_by=FoundBy.HEIR,
        stands_for=ticket,
    )
    row.save()
    Objection.objects.save_all(
        [
            Objection(
                ticket=row,
                purpose=one.purpose,
                effect=one.effect,
                restricts_since=one.restricts_since,
            )
            for one in effects.values()
        ]
    )
    return row


def follow_members(numbers: Collection[int]) -> None:
    """The objections of these members come to more accounts. Called in the entry that merges or splits accounts."""
    for ticket in (
        Ticket.objects.filter(member__in=numbers).exclude(found_by=FoundBy.HEIR).order_by("pk")
    ):
        follow(ticket)
