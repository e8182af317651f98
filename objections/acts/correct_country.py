"""Correcting the country: the clock is computed anew, by the law of the place where the person lives.

The person is told a day that moved, and an extension notice that is not out is called off. Once the answer is overdue no
other law makes it due later.
"""

import copy
from typing import Any

from django.contrib.auth.models import User

from consent import countries
from ledger.errors import InvalidInput
from ledger.registry import EntryKind
from objections.acts import clock_changes
from objections.acts.act import Act, ActForm, Page, Said, acting
from objections.acts.fields import CountryForm, ReasonField, place
from objections.choices import LetterKind, Regime
from objections.clock import deadlines
from objections.clock.days import today
from objections.errors import ForbiddenMove, NotAllowedHere, WhyNot
from objections.models import Ticket
from objections.ticket.case import Case
from objections.ticket.clocks import clock_from, is_paused, keep_clock
from objections.ticket.notes import must_say


class CorrectCountryForm(CountryForm, ActForm):
    reason = ReasonField(label="Where it is documented")

    def said(self) -> Said:
        rest = {name: self.cleaned_data[name] for name in ("reason", "version")}
        return {**rest, **place(self.cleaned_data)}


def why_not(case: Case, actor: User) -> str:
    if case.ticket.is_open:
        return ""
    return WhyNot(
        f"{case.ticket} is {case.ticket.get_state_display()}: its clock has run.", ForbiddenMove
    )


def do(
    *, ticket: Ticket, country: str, region: str, reason: str, version: int, actor: User
) -> Ticket:
    must_say("reason", reason, "Say where it is documented: the ledger keeps it, so no names.")
    code = countries.normalise(country)
    if country and not code:
        raise InvalidInput("An ISO 3166-1 code, as in IE.", field="country")
    with acting(
        "objection.country_corrected", ticket, actor, why_not, version=version, reason=reason
    ) as (case, _):
        row = case.ticket
        told = clock_changes.dates(row)
        was_due = row.due_on
        assert was_due
        is_overdue = was_due < today() and not is_paused(row, case.clock)
        row.country = code
        row.regime = deadlines.regime_for(code, region)
        keep_clock(row, clock_from(row, row.received_at))
        if is_overdue and row.due_on and row.due_on > was_due:
            raise NotAllowedHere(
                f"The answer was due on {was_due}, as the person was told. By {row.get_regime_display()} it would be"
                f" due on {row.due_on}: what is late does not become timely by a correction. Answer it now."
            )
        clock_changes.call_off_extension(row)
        row.save()
        clock_changes.tell_anew(case, told)
    return row


def _page(case: Case, actor: User) -> Page:
    ticket = case.ticket
    return Page(
        will=[
            f"Whose law it is so far: {ticket.get_regime_display()}.",
            "The clock is computed anew from the receipt, by the law of the country given: the answer may be due"
            " earlier, or later unless it is overdue. The restriction goes on.",
            clock_changes.TOLD_ANEW,
        ],
        initial={"country": ticket.country, "is_californian": ticket.regime == Regime.US_CA},
        shows=lambda known: {"change": _change(ticket, known) if known else None},
    )


def _change(ticket: Ticket, known: Said) -> dict[str, Any]:
    moved = copy.copy(ticket)
    moved.country = countries.normalise(place(known)["country"])
    moved.regime = deadlines.regime_for(**place(known))
    return {
        "lead": f"{moved.get_regime_display()}.",
        "explained": clock_changes.explained(moved, clock_from(moved, ticket.received_at)),
    }


def _done(case: Case, said: Said, result: Any) -> str:
    return f"{case.ticket} is due on {result.due_on}, by {result.get_regime_display()}."


ACT = Act(
    name="correct_country",
    title="Correct the country",
    kinds=[EntryKind("objection.country_corrected", "Country corrected")],
    form=CorrectCountryForm,
    comes_up=lambda case, actor: case.ticket.is_open,
    why_not=why_not,
    do=do,
    letters=[LetterKind.ACKNOWLEDGEMENT],
    page=_page,
    done=_done,
)
