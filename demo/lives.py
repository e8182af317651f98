"""The tickets of the played past: one of every kind on purpose, and a stream of ordinary ones."""

import datetime as dt
from collections.abc import Generator, Iterable, Iterator

from django.contrib.auth.models import User

from consent.choices import Purpose
from demo import wording
from demo.desk import Desk, Life, Who
from objections.choices import ChangeVerdict, Channel, ExtensionReason, Kind, Outcome, Regime
from objections.models import Ticket
from objections.ticket import uploads

PAST_DAYS = 124
"""About four months: further back no ticket of the play begins."""

_AI, _FEED, _SAFETY = Purpose.GENERATIVE_AI, Purpose.PERSONALISATION, Purpose.SAFETY
_WEIGHED = {_FEED, _SAFETY}

_EU = "AT BE CZ DE DE DE DK ES ES FI FR FR FR GR HU IE IE IT IT NL NL PL PL PT RO SE".split()
_ELSEWHERE = "BR ID IN IN JP KE KR NO IS TR VN ZA".split()

Opened = Generator[dt.datetime, None, Ticket]


def of_all_kinds(desk: Desk) -> Iterator[Life]:
    """Each state and each turn that a ticket can take, at least once; most of them not finished yet."""
    olga, otto = desk.olga, desk.otto

    # Waiting for the person
    for days in (1, 3, 24):
        yield unconfirmed(desk, desk.ago(days))
    yield from flood(desk, desk.ago(2))
    yield asked_identity(desk, desk.a_requester("FR"), desk.ago(12), olga, after=2)
    yield asked_identity(desk, desk.a_requester("GB"), desk.ago(15), otto, after=4)
    # Asked too late to stop the clock.
    yield asked_identity(desk, desk.a_requester("IT"), desk.ago(24), otto, after=14)
    yield answered_identity(desk, desk.a_requester("DE"), desk.ago(16), olga)
    yield answered_identity(desk, desk.a_requester("GB"), desk.ago(20), olga)
    yield unidentified(desk, desk.ago(47), olga, is_approved=False)
    yield unidentified(desk, desk.ago(70), otto, is_approved=True)

    # The clock: overdue, due today, due soon
    for in_days, regime, country, officer in [
        (-13, Regime.EU, "RO", otto),
        (-6, Regime.EU, "ES", None),
        (-3, Regime.UK, "GB", olga),
        (-1, Regime.US_CA, "US", otto),
        (-1, Regime.EU, "FR", olga),
        (0, Regime.CH, "CH", olga),
        (0, Regime.EU, "NL", otto),
        (1, Regime.EU, "IE", olga),
        (2, Regime.US_CA, "US", None),
        (3, Regime.UK, "GB", otto),
        (4, Regime.EU, "PL", None),
        (5, Regime.CH, "CH", otto),
        (6, Regime.EU, "DE", olga),
    ]:
        region = "CA" if regime == Regime.US_CA else ""
        who = desk.a_requester(country, region)
        yield under_way(desk, who, desk.filed_to_be_due(in_days, regime), officer)
    yield extended(desk, desk.a_requester("DE"), desk.ago(41), olga, ExtensionReason.COMPLEXITY)
    yield extended(desk, desk.a_requester("GB"), desk.ago(38), otto, ExtensionReason.NUMBER)
    yield extended(desk, desk.a_requester("SE"), desk.ago(98), olga, ExtensionReason.COMPLEXITY)

    # A second person
    yield refused(desk, desk.a_requester("AT"), desk.ago(15), olga, reviewed=None)
    yield refused(desk, desk.a_requester("IN"), desk.ago(13), otto, reviewed=None)
    yield refused(desk, desk.a_requester("BE"), desk.ago(19), otto, reviewed=ChangeVerdict.RETURNED)
    yield withdrawn(desk, desk.a_requester("PT"), desk.ago(12), olga, is_approved=False)
    yield withdrawn(desk, desk.a_requester("US"), desk.ago(50), otto, is_approved=True)

    # Letters
    yield refused(desk, desk.a_requester("FI"), desk.ago(26), olga, mailbox_closes=True)
    yield refused(desk, desk.a_requester("IE"), desk.ago(25), otto, channel=Channel.PAPER)
    yield refused(desk, desk.a_requester("GB"), desk.ago(60), olga)
    yield refused(desk, desk.a_requester("DE"), desk.ago(28), otto, purposes=(_AI, _FEED))
    yield moved_house(desk, desk.ago(33), otto)
    yield on_paper(desk, desk.a_requester("FR"), desk.ago(29), olga)
    yield on_paper(desk, desk.a_requester("CH"), desk.ago(75), otto)

    # Several of one person
    yield twice(desk, desk.a_requester("US"), desk.ago(22), otto)
    yield twice(desk, desk.a_requester("DE"), desk.ago(66), olga)
    yield together(desk, desk.a_requester("ES"), desk.ago(43), olga)
    yield found_out(desk, desk.ago(21), olga)

    # The rest
    yield with_files(desk, desk.a_requester("US", "CA"), desk.ago(9), olga)
    yield with_files(desk, desk.a_requester("NO"), desk.ago(36), otto)
    yield matched(desk, desk.ago(18), otto)
    yield received_earlier(desk, desk.a_requester("NL"), desk.ago(11), olga)
    yield answered_at_once(desk, desk.a_requester("FR"), desk.ago(88), olga)
    yield only_restricted(desk, desk.a_requester("CH"), desk.ago(7), otto)


def stream(desk: Desk, count: int) -> Iterator[Life]:
    """Ordinary tickets: a steady trickle, and a wave after the press has written about it."""
    for _ in range(count):
        kind = desk.chance.random()
        if kind < 0.25:
            filed = desk.ago(desk.chance.gauss(57, 1.5))
        elif kind < 0.5:
            filed = desk.ago(desk.chance.uniform(0, 28))
        else:
            filed = desk.ago(desk.chance.uniform(0, PAST_DAYS - 5))
        officer = desk.chance.choice([desk.olga, desk.otto])
        yield ordinary(desk, _any_requester(desk), filed, officer)


def _any_requester(desk: Desk) -> Who:
    country, region = desk.chance.choices(
        [(desk.chance.choice(_EU), ""), ("GB", ""), ("US", ""), ("US", "CA"), ("CH", ""),
         (desk.chance.choice(_ELSEWHERE), "")],
        weights=[40, 16, 12, 12, 8, 12],
    )[0]  # fmt: skip
    return desk.a_requester(country, region, has_account=desk.chance.random() < 0.75)


# --- An ordinary ticket -------------------------------------------------------------------------


def ordinary(desk: Desk, who: Who, filed: dt.datetime, officer: User) -> Life:
    chance = desk.chance
    channel = chance.choices(
        [Channel.PRODUCT if who.member else Channel.FORM, Channel.FORM, Channel.EMAIL, Channel.PAPER],
        weights=[45, 35, 13, 7],
    )[0]  # fmt: skip
    purposes = chance.choices(
        [{_AI}, {_FEED}, {_SAFETY}, {_AI, _FEED}, {_AI, _FEED, _SAFETY}],
        weights=[52, 17, 10, 15, 6],
    )[0]
    ticket = yield from _filed(desk, who, channel, purposes, filed)
    # Now and then a ticket stays unassigned for weeks.
    wait = chance.uniform(1, 6) if chance.random() < 0.93 else chance.uniform(20, 60)
    yield desk.at_work(filed, wait)
    if chance.random() < 0.35:
        desk.assign(ticket, officer)
        desk.note(ticket, officer)
        wait += chance.uniform(0, 4)
        yield desk.at_work(filed, wait)
    desk.begin_review(ticket, officer)
    if chance.random() < 0.04:
        yield from _taken_back(desk, ticket, officer, filed, wait)
        return
    shortest, longest = (2, 10) if who.region == "CA" else (3, 18)
    wait += chance.uniform(shortest, longest)
    yield desk.at_work(filed, wait)
    # California weighs no opt-out.
    is_weighed = who.region != "CA" and bool(set(purposes) & _WEIGHED)
    if is_weighed and chance.random() < 0.4:
        proposal = desk.refuse(ticket, officer)
        yield desk.at_work(filed, wait + chance.uniform(0.5, 3))
        desk.review(proposal, desk.colleague_of(officer))
    else:
        desk.uphold(ticket, officer)
    yield desk.at_work(filed, wait + 4)
    desk.post_letters(ticket, officer)


def _filed(
    desk: Desk, who: Who, channel: str, purposes: Iterable[str], filed: dt.datetime
) -> Opened:
    """Filed, and the address confirmed or the first letter posted."""
    yield filed
    if channel in (Channel.EMAIL, Channel.PAPER):
        # Staff key it in when they are in.
        yield desk.at_work(filed, 0 if filed.hour < 7 else 1)
        ticket = desk.file(who, channel, purposes, received_at=filed)
    else:
        ticket = desk.file(who, channel, purposes)
    if channel == Channel.FORM and desk.chance.random() < 0.85:
        yield filed + dt.timedelta(minutes=desk.chance.uniform(1, 90))
        desk.confirm(ticket)
    if channel == Channel.PAPER:
        yield desk.at_work(filed, 3)
        desk.post_letters(ticket, desk.olga)
    return ticket


def _in_review(
    desk: Desk,
    who: Who,
    purposes: Iterable[str],
    filed: dt.datetime,
    officer: User,
    *,
    channel: str = "",
    after: float = 4,
) -> Opened:
    """Filed by the product where the person has an account, and in review some days later."""
    channel = channel or (Channel.PRODUCT if who.member else Channel.EMAIL)
    ticket = yield from _filed(desk, who, channel, purposes, filed)
    yield desk.at_work(filed, after)
    desk.begin_review(ticket, officer)
    return ticket


def _taken_back(desk: Desk, ticket: Ticket, officer: User, filed: dt.datetime, wait: float) -> Life:
    yield desk.at_work(filed, wait + 3)
    proposal = desk.propose_withdrawal(ticket, officer)
    yield desk.at_work(filed, wait + 5)
    desk.review(proposal, desk.colleague_of(officer))
    yield desk.at_work(filed, wait + 7)
    desk.post_letters(ticket, officer)


# --- Waiting for the person ---------------------------------------------------------------------


def unconfirmed(desk: Desk, filed: dt.datetime) -> Life:
    who = desk.a_requester(desk.chance.choice(_EU), has_account=False)
    yield filed
    desk.file(who, Channel.FORM, {_AI})


def flood(desk: Desk, began: dt.datetime) -> Iterator[Life]:
    """More forms from one address than a person writes; the last ones are set aside, and one is let go on."""
    who = desk.a_requester("DE", has_account=False)

    def one(number: int) -> Life:
        yield began + dt.timedelta(minutes=number)
        ticket = desk.file(who, Channel.FORM, {_AI}, sender="198.51.100.7")
        if number == 7:
            yield desk.at_work(began, 1)
            desk.release(ticket, desk.otto)

    for number in range(9):
        yield one(number)


def asked_identity(
    desk: Desk, who: Who, filed: dt.datetime, officer: User, *, after: float
) -> Life:
    ticket = yield from _filed(desk, who, Channel.EMAIL, {_AI, _SAFETY}, filed)
    yield desk.at_work(filed, after)
    desk.ask_identity(ticket, officer)


def answered_identity(desk: Desk, who: Who, filed: dt.datetime, officer: User) -> Life:
    yield from asked_identity(desk, who, filed, officer, after=2)
    ticket = Ticket.objects.get(requester__email=who.email)
    yield desk.at_work(filed, 9)
    desk.record_identity(ticket, officer)


def unidentified(desk: Desk, filed: dt.datetime, officer: User, *, is_approved: bool) -> Life:
    who = desk.a_requester("US")
    yield from asked_identity(desk, who, filed, officer, after=3)
    ticket = Ticket.objects.get(requester__email=who.email)
    yield desk.at_work(filed, 40)
    proposal = desk.propose_unidentified(ticket, officer)
    if is_approved:
        yield desk.at_work(filed, 43)
        desk.review(proposal, desk.colleague_of(officer))


# --- The clock ----------------------------------------------------------------------------------


def under_way(desk: Desk, who: Who, filed: dt.datetime, officer: User | None) -> Life:
    """Not decided yet; unassigned, or in review."""
    channel = Channel.PRODUCT if who.member else Channel.EMAIL
    purposes = desk.chance.choice([{_AI}, {_AI, _FEED}, {_SAFETY}])
    ticket = yield from _filed(desk, who, channel, purposes, filed)
    if officer:
        yield desk.at_work(filed, 6)
        desk.begin_review(ticket, officer)
        desk.note(ticket, officer)


def extended(desk: Desk, who: Who, filed: dt.datetime, officer: User, ground: str) -> Life:
    """Extended by notice; the oldest is decided by now."""
    ticket = yield from _in_review(desk, who, {_AI, _FEED, _SAFETY}, filed, officer)
    yield desk.at_work(filed, 20)
    desk.extend(ticket, officer, ground)
    yield desk.at_work(filed, 75)
    desk.uphold(ticket, officer)


# --- A second person, and letters ---------------------------------------------------------------


def refused(
    desk: Desk,
    who: Who,
    filed: dt.datetime,
    officer: User,
    *,
    reviewed: ChangeVerdict | None = ChangeVerdict.APPROVED,
    purposes: Iterable[str] = (_FEED,),
    channel: str = "",
    mailbox_closes: bool = False,
) -> Life:
    """Refused where that can be, as far as the second person has come; by paper the letter waits for the post."""
    ticket = yield from _in_review(desk, who, purposes, filed, officer, channel=channel)
    yield desk.at_work(filed, 9)
    if mailbox_closes:
        desk.close_mailbox(who)
    proposal = desk.refuse(ticket, officer)
    if reviewed:
        yield desk.at_work(filed, 12)
        desk.review(proposal, desk.colleague_of(officer), reviewed)


def withdrawn(
    desk: Desk, who: Who, filed: dt.datetime, officer: User, *, is_approved: bool
) -> Life:
    ticket = yield from _in_review(desk, who, {_AI}, filed, officer)
    if is_approved:
        yield from _taken_back(desk, ticket, officer, filed, 5)
    else:
        yield desk.at_work(filed, 7)
        desk.propose_withdrawal(ticket, officer)


def moved_house(desk: Desk, filed: dt.datetime, officer: User) -> Life:
    """The answer does not arrive; the person tells a new address, and it does."""
    who, new = desk.a_requester("DK"), desk.a_requester("DK", has_account=False)
    ticket = yield from _in_review(desk, who, {_AI}, filed, officer)
    yield desk.at_work(filed, 10)
    desk.close_mailbox(who)
    desk.uphold(ticket, officer)
    yield desk.at_work(filed, 15)
    desk.correct_address(ticket, officer, new.email)


def on_paper(desk: Desk, who: Who, filed: dt.datetime, officer: User) -> Life:
    """Upheld; the answer waits for the post, or went when it is long ago."""
    ticket = yield from _in_review(
        desk, who, {_AI, _FEED}, filed, officer, channel=Channel.PAPER, after=7
    )
    yield desk.at_work(filed, 20)
    desk.uphold(ticket, officer)
    yield desk.at_work(filed, 34)
    desk.post_letters(ticket, officer)


# --- Several tickets of one person --------------------------------------------------------------


def twice(desk: Desk, who: Who, filed: dt.datetime, officer: User) -> Life:
    """The same again a week later, which is closed as a duplicate while the first goes on."""
    channel = Channel.PRODUCT if who.member else Channel.EMAIL
    first = yield from _in_review(desk, who, {_AI}, filed, officer)
    yield filed + dt.timedelta(days=7)
    again = desk.file(who, channel, {_AI})
    yield desk.at_work(filed, 9)
    desk.begin_review(again, officer)
    yield desk.at_work(filed, 12)
    proposal = desk.decide(again, officer, {_AI: Outcome.DUPLICATE})
    assert proposal is not None
    yield desk.at_work(filed, 14)
    desk.review(proposal, desk.colleague_of(officer))
    yield desk.at_work(filed, 26)
    desk.uphold(first, officer)


def together(desk: Desk, who: Who, filed: dt.datetime, officer: User) -> Life:
    """Three from one address, answered by one letter."""
    channel = Channel.PRODUCT if who.member else Channel.EMAIL
    first = yield from _in_review(desk, who, {_AI}, filed, officer)
    others = []
    for days in (2, 5):
        yield filed + dt.timedelta(days=days)
        others.append(desk.file(who, channel, {_AI}))
    yield desk.at_work(filed, 8)
    for other in others:
        desk.begin_review(other, officer)
    yield desk.at_work(filed, 13)
    desk.uphold(first, officer, also=others)


def found_out(desk: Desk, filed: dt.datetime, officer: User) -> Life:
    """Two addresses, one person: staff notice it and link them."""
    who, other = (
        desk.a_requester("GR", has_account=False),
        desk.a_requester("GR", has_account=False),
    )
    first = yield from _filed(desk, who, Channel.EMAIL, {_AI}, filed)
    second = yield from _filed(
        desk, other, Channel.EMAIL, {_AI, _FEED}, filed + dt.timedelta(days=3)
    )
    yield desk.at_work(filed, 8)
    desk.link(second, first, officer)


# --- The rest -----------------------------------------------------------------------------------


def with_files(desk: Desk, who: Who, filed: dt.datetime, officer: User) -> Life:
    """The person sent files along, and staff add one and a few notes."""
    yield filed
    files = [
        uploads.check("my-post.pdf", wording.page_as_pdf()),
        uploads.check("what-happened.txt", b"I wrote it in spring, it came back in autumn."),
    ]
    ticket = desk.file(who, Channel.FORM, {_AI}, files=files)
    yield filed + dt.timedelta(minutes=20)
    desk.confirm(ticket)
    yield desk.at_work(filed, 2)
    desk.begin_review(ticket, officer)
    for _ in range(3):
        desk.note(ticket, officer)
    desk.attach(ticket, desk.colleague_of(officer), "phone-call.txt", b"They called at ten.\n")
    yield desk.at_work(filed, 25)
    desk.uphold(ticket, officer)


def matched(desk: Desk, filed: dt.datetime, officer: User) -> Life:
    """An e-mail that names no account; staff find it."""
    owner = desk.a_requester("US")
    who = Who(owner.name, owner.email, owner.country)
    ticket = yield from _in_review(desk, who, {_AI, _SAFETY}, filed, officer)
    yield desk.at_work(filed, 5)
    if owner.account_ref:
        desk.match(ticket, officer, owner.account_ref)


def received_earlier(desk: Desk, who: Who, filed: dt.datetime, officer: User) -> Life:
    """It stayed in the post room for four days before it was keyed in."""
    ticket = yield from _filed(desk, who, Channel.PAPER, {_AI}, filed)
    yield desk.at_work(filed, 4)
    desk.correct_receipt(ticket, officer, filed - dt.timedelta(days=4))
    desk.begin_review(ticket, officer)


def answered_at_once(desk: Desk, who: Who, filed: dt.datetime, officer: User) -> Life:
    ticket = yield from _in_review(desk, who, {_AI}, filed, officer)
    yield desk.at_work(filed, 9)
    desk.uphold(ticket, officer)


def only_restricted(desk: Desk, who: Who, filed: dt.datetime, officer: User) -> Life:
    """GDPR Art. 18 instead of 21."""
    yield filed
    ticket = desk.file(who, Channel.FORM, {_FEED, _SAFETY}, kind=Kind.RESTRICTION)
    yield filed + dt.timedelta(minutes=9)
    desk.confirm(ticket)
    yield desk.at_work(filed, 2)
    desk.assign(ticket, officer)
