"""Recording that staff put a letter into the post: that day it is sent. A restriction ends once it counts as delivered."""

import datetime as dt
from zoneinfo import ZoneInfo

from django import forms
from django.conf import settings

from consent.staff.forms import DateInput
from ledger import clock, open_entry
from ledger.errors import InvalidInput
from objections.acts.on_letters.letter_act import LetterAct
from objections.choices import OUTCOME_LETTERS, Delivery, LetterState
from objections.clock.days import day_of, today
from objections.letters import delivery
from objections.letters.effects import record_sent, refuse_letter, why_gone
from objections.models import Letter


class Form(forms.Form):
    posted_on = forms.DateField(widget=DateInput(), initial=today, label="Put into the post on")


def why_not(letter: Letter) -> str:
    if letter.state == LetterState.FAILED:
        requester = getattr(letter.ticket, "requester", None)
        is_known = requester is None or requester.postal_address
        return "" if is_known else "No postal address is known: correct the address first."
    if letter.state != LetterState.WAITING:
        return f"It is {letter.get_state_display()}: there is nothing to post."
    return "" if letter.delivery == Delivery.POST else "It is on its way by e-mail."


def do(*, letter: Letter, posted_on: dt.date, actor: open_entry.Actor) -> Letter:
    """Raises InvalidInput where that day is before the letter was written, or has not come."""
    row = Letter.objects.select_related("ticket").get(pk=letter.pk)
    if not day_of(row.queued_at) <= posted_on <= today():
        raise InvalidInput(
            f"A day from {day_of(row.queued_at)} (when it was written) to today.",
            field="posted_on",
        )
    refuse_letter(why_not(row))
    if gone := why_gone(row, on=posted_on):
        refuse_letter(f"This letter is not to be sent: {gone}.")
    noon = dt.datetime.combine(posted_on, dt.time(12), ZoneInfo(settings.CONTROLLER_TIME_ZONE))
    sent_at = max(row.queued_at, min(noon, clock.now()))
    return record_sent(row, sent_at=sent_at, actor=actor, by_post=True, why_not=why_not)


def _delivery_in_words(letter: Letter) -> str:
    """From when an outcome letter that is posted today counts as delivered."""
    if letter.kind not in OUTCOME_LETTERS:
        return ""
    days = delivery.days_by(Delivery.POST, letter.ticket.country or "", today())
    return (
        f"It counts as delivered once {days} days after that one have ended everywhere. Only then does a refused,"
        " withdrawn or unidentified objection stop keeping the person out, unless the letter came back by then."
    )


ACT = LetterAct(
    name="posted",
    title="Record the {letter} as posted",
    button="Record as posted",
    form=Form,
    why_not=why_not,
    do=do,
    will=lambda letter: [
        "That day the letter counts as sent: a pause or an extension begins.",
        _delivery_in_words(letter),
    ],
    done="Recorded: the {letter} was posted on {posted_on}.",
)
