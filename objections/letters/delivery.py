"""From when a letter counts as delivered: days by channel and country, as dated policies."""

import datetime as dt

from consent.choices import PolicyKind
from consent.rulebook import policies
from objections.choices import Delivery
from objections.clock.days import day_of, ended_everywhere
from objections.models import Letter

KINDS: dict[str, PolicyKind] = {
    Delivery.EMAIL: PolicyKind.EMAIL_DELIVERED,
    Delivery.POST: PolicyKind.POST_DELIVERED,
}


def days_by(channel: str, country: str, on: dt.date) -> int:
    """The days of a letter that is sent on that day; the strictest of all where the country is not known."""
    return policies.in_force(KINDS[channel], "", on, country)


def counts_from(letter: Letter, country: str) -> dt.datetime:
    """The moment from which a letter that was sent counts as delivered.

    Without days that is when it was sent; with days, when the last of them has ended everywhere: we do not know in
    which time zone the letter is opened.
    """
    assert letter.sent_at
    sent_on = day_of(letter.sent_at)
    days = days_by(letter.delivery, country, sent_on)
    return ended_everywhere(sent_on + dt.timedelta(days=days)) if days else letter.sent_at
