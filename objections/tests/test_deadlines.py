"""The legal clock: the table of the domain, and its edges."""

import datetime as dt
import json
from dataclasses import asdict, replace
from zoneinfo import ZoneInfo

import holidays
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger import canonical
from objections.choices import Regime
from objections.clock import deadlines
from objections.clock.deadlines import Clock, Pause, explained

DUBLIN = "Europe/Dublin"
ALL = [regime.value for regime in Regime]
MONTHS = ["eu", "uk"]


def day(text):
    return dt.date.fromisoformat(text)


def start(received, regime="eu", time_zone=DUBLIN):
    at = dt.datetime.fromisoformat(received) if "T" in received else day(received)
    return deadlines.start(at, regime, time_zone=time_zone)


def answered(clock, asked, answer, *, was_prompt=True):
    return deadlines.answered(
        clock, asked_on=day(asked), answered_on=day(answer), was_prompt=was_prompt
    )


def dates(clock):
    """What a pause or a restart may move."""
    return {name: fact for name, fact in asdict(clock).items() if name != "pauses"}


# --- The table of the domain --------------------------------------------------------------------
@pytest.mark.parametrize(
    ("received", "base_raw", "due_ie", "due_england", "extended_ie"),
    [
        ("2026-01-31", "2026-02-28", "2026-03-02", "2026-03-02", "2026-04-30"),
        ("2026-03-05", "2026-04-05", "2026-04-07", "2026-04-07", "2026-06-05"),
        ("2026-01-01", "2026-02-01", "2026-02-03", "2026-02-02", "2026-04-01"),
        ("2026-11-25", "2026-12-25", "2026-12-28", "2026-12-29", "2027-02-25"),
        ("2025-01-30", "2025-02-28", "2025-02-28", "2025-02-28", "2025-04-30"),
    ],
)
def test_the_vectors_of_the_domain(received, base_raw, due_ie, due_england, extended_ie):
    eu, uk = start(received, "eu"), start(received, "uk")

    assert [eu.base_raw, uk.base_raw] == [day(base_raw), day(base_raw)]
    assert [eu.base_due, uk.base_due] == [day(due_ie), day(due_england)]
    assert eu.extended_due == day(extended_ie)


def test_a_late_evening_in_utc_is_the_next_day_in_dublin():
    clock = start("2026-06-30T23:30Z")

    assert clock.base_raw == day("2026-08-01")
    assert clock.base_due == day("2026-08-04")


# --- Month ends, leap years, turns of the year, holidays ----------------------------------------
@pytest.mark.parametrize(
    ("received", "regime", "base_raw", "base_due", "extended_raw", "extended_due"),
    [
        # 29, 30 and 31 January end on one day; in a leap year one later.
        ("2025-01-29", "eu", "2025-02-28", "2025-02-28", "2025-04-29", "2025-04-29"),
        ("2025-01-31", "eu", "2025-02-28", "2025-02-28", "2025-04-30", "2025-04-30"),
        ("2024-01-29", "eu", "2024-02-29", "2024-02-29", "2024-04-29", "2024-04-29"),
        ("2024-01-30", "eu", "2024-02-29", "2024-02-29", "2024-04-30", "2024-04-30"),
        ("2024-01-31", "eu", "2024-02-29", "2024-02-29", "2024-04-30", "2024-04-30"),
        ("2000-01-31", "eu", "2000-02-29", "2000-02-29", "2000-04-30", "2000-05-02"),
        # 2100 is no leap year.
        ("2100-01-31", "eu", "2100-02-28", "2100-03-01", "2100-04-30", "2100-04-30"),
        # From the leap day: Good Friday is a working day in Ireland, none in England.
        ("2024-02-29", "eu", "2024-03-29", "2024-03-29", "2024-05-29", "2024-05-29"),
        ("2024-02-29", "uk", "2024-03-29", "2024-04-02", "2024-05-29", "2024-05-29"),
        # Over the turn of the year: Saturday, Sunday, Saint Brigid's Day.
        ("2025-12-31", "eu", "2026-01-31", "2026-02-03", "2026-03-31", "2026-03-31"),
        ("2025-12-31", "uk", "2026-01-31", "2026-02-02", "2026-03-31", "2026-03-31"),
        ("2026-12-01", "eu", "2027-01-01", "2027-01-04", "2027-03-01", "2027-03-01"),
        # Three months from 30 November end in February, which is shorter.
        ("2024-11-30", "eu", "2024-12-30", "2024-12-30", "2025-02-28", "2025-02-28"),
        ("2026-11-30", "eu", "2026-12-30", "2026-12-30", "2027-02-28", "2027-03-01"),
        # Saint Patrick's Day; the October bank holiday, and an extension that ends on Saint Stephen's.
        ("2027-02-17", "eu", "2027-03-17", "2027-03-18", "2027-05-17", "2027-05-17"),
        ("2027-02-17", "uk", "2027-03-17", "2027-03-17", "2027-05-17", "2027-05-17"),
        ("2026-09-26", "eu", "2026-10-26", "2026-10-27", "2026-12-26", "2026-12-28"),
        ("2026-09-26", "uk", "2026-10-26", "2026-10-26", "2026-12-26", "2026-12-29"),
        # A day of receipt may be a Sunday and a holiday itself.
        ("2026-04-05", "eu", "2026-05-05", "2026-05-05", "2026-07-05", "2026-07-06"),
    ],
)
def test_months_end_on_the_same_day_or_the_last_and_roll_to_a_working_day(
    received, regime, base_raw, base_due, extended_raw, extended_due
):
    clock = start(received, regime)

    assert [clock.base_raw, clock.base_due, clock.extended_raw, clock.extended_due] == [
        *map(day, [base_raw, base_due, extended_raw, extended_due])
    ]


@pytest.mark.parametrize(
    ("received", "due", "left_out"),
    [
        ("2026-01-02", "2026-01-26", "the domain's vector: Martin Luther King Jr. Day"),
        ("2026-01-01", "2026-01-23", "a holiday of receipt"),
        ("2026-01-03", "2026-01-26", "a Saturday of receipt"),
        ("2026-03-10", "2026-03-31", "nothing: Cesar Chavez Day is the state's"),
        ("2026-06-26", "2026-07-17", "nothing: the Friday before Independence Day is worked"),
        ("2026-11-05", "2026-11-30", "Veterans Day and Thanksgiving, not the day after"),
        ("2026-12-11", "2027-01-05", "Christmas and New Year"),
        ("2027-06-25", "2027-07-19", "the Monday after Independence Day on a Sunday"),
        ("2021-12-20", "2022-01-10", "neither Friday before Christmas and New Year on Saturdays"),
        ("2026-02-05", "2026-02-27", "Washington's Birthday"),
        ("2028-02-08", "2028-03-01", "Washington's Birthday, not Susan B. Anthony Day"),
        ("2027-10-20", "2027-11-10", "nothing: Diwali is the state's"),
        ("2026-10-05", "2026-10-27", "Columbus Day"),
        ("2026-06-15", "2026-07-07", "Juneteenth, not the Friday before Independence Day"),
    ],
)
def test_california_counts_fifteen_business_days_from_the_next_one(received, due, left_out):
    clock = start(received, "us-ca")

    assert [clock.base_raw, clock.base_due, clock.target] == [day(due)] * 3, left_out
    assert [clock.extended_raw, clock.extended_due, clock.refuse_by_extended] == [None] * 3
    assert clock.refuse_by == day(due)


@pytest.mark.parametrize(
    ("received", "due"),
    [
        ("2026-01-01", "2026-01-31"),  # a Saturday
        ("2024-01-31", "2024-03-01"),
        ("2025-01-31", "2025-03-02"),  # a Sunday
        ("2026-11-25", "2026-12-25"),  # Christmas
    ],
)
def test_switzerland_counts_thirty_days_that_nothing_moves(received, due):
    clock = start(received, "ch")

    assert [clock.base_raw, clock.base_due, clock.refuse_by] == [day(due)] * 3
    assert [clock.extended_raw, clock.extended_due, clock.refuse_by_extended] == [None] * 3
    assert clock.target == day(received) + dt.timedelta(days=28)
    assert [clock.calendar, clock.calendar_version] == ["", ""]


@pytest.mark.parametrize(
    ("received", "regime", "target", "alarm"),
    [
        ("2026-03-05", "eu", "2026-04-02", None),
        ("2026-03-05", "uk", "2026-04-02", "2026-04-04"),
        ("2025-01-31", "uk", "2025-02-28", "2025-02-27"),
        ("2026-03-05", "us-ca", "2026-03-26", None),
        ("2026-03-05", "ch", "2026-04-02", None),
    ],
)
def test_the_target_is_28_days_and_only_the_uk_has_an_alarm(received, regime, target, alarm):
    clock = start(received, regime)

    assert clock.target == day(target)
    assert clock.alarm == (alarm and day(alarm))


def test_an_extension_moves_a_refusal_in_the_uk_and_not_in_the_eu():
    eu, uk = start("2026-03-05", "eu"), start("2026-03-05", "uk")

    assert [eu.refuse_by, eu.refuse_by_extended] == [day("2026-04-07"), day("2026-04-07")]
    assert [uk.refuse_by, uk.refuse_by_extended] == [day("2026-04-07"), day("2026-06-05")]


@pytest.mark.parametrize(
    ("regime", "received", "rule", "calendar"),
    [
        ("eu", "2026-03-05", "GDPR Art. 12(3)", "IE"),
        ("uk", "2026-02-04", "UK GDPR Art. 12(3)", "GB-ENG"),
        ("uk", "2026-02-05", "UK GDPR Art. 12A", "GB-ENG"),
        ("us-ca", "2026-03-05", "CCPA Regulations, 11 CCR § 7026(f)", "US"),
    ],
)
def test_a_clock_names_its_rule_calendar_and_time_zone(regime, received, rule, calendar):
    clock = start(received, regime)

    assert clock.rule.partition(":")[0] == rule
    assert clock.calendar == calendar
    assert clock.calendar_version == f"holidays {holidays.__version__}"
    assert clock.regime == regime
    assert clock.time_zone == ("America/Los_Angeles" if regime == "us-ca" else DUBLIN)


# --- The day of receipt -------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("moment", "time_zone", "expected"),
    [
        # Irish summer time is an hour ahead of UTC, winter time is UTC.
        ("2026-06-30T22:59:59.999999Z", DUBLIN, "2026-06-30"),
        ("2026-06-30T23:00Z", DUBLIN, "2026-07-01"),
        ("2026-01-31T23:59:59.999999Z", DUBLIN, "2026-01-31"),
        ("2026-02-01T00:00Z", DUBLIN, "2026-02-01"),
        # A sender's day may be ahead of ours or behind it.
        ("2026-02-01T08:59+09:00", DUBLIN, "2026-01-31"),
        ("2026-01-31T16:00-08:00", DUBLIN, "2026-02-01"),
        # The clocks go forward at 01:00 UTC on 29 March 2026 and back at 01:00 UTC on 25 October.
        ("2026-03-28T23:30Z", DUBLIN, "2026-03-28"),
        ("2026-03-29T22:59Z", DUBLIN, "2026-03-29"),
        ("2026-03-29T23:00Z", DUBLIN, "2026-03-30"),
        ("2026-10-24T23:00Z", DUBLIN, "2026-10-25"),
        ("2026-10-25T23:30Z", DUBLIN, "2026-10-25"),
        ("2026-10-26T00:00Z", DUBLIN, "2026-10-26"),
        # Midnight itself is skipped in Beirut on 29 March 2026, and comes twice in Havana on 1 November.
        ("2026-03-28T21:59Z", "Asia/Beirut", "2026-03-28"),
        ("2026-03-28T22:00Z", "Asia/Beirut", "2026-03-29"),
        ("2026-11-01T04:00Z", "America/Havana", "2026-11-01"),
        ("2026-11-01T05:00Z", "America/Havana", "2026-11-01"),
        ("2026-01-31T10:00Z", "Pacific/Kiritimati", "2026-02-01"),
        ("2026-02-01T10:59Z", "Pacific/Pago_Pago", "2026-01-31"),
    ],
)
def test_the_day_of_receipt_is_the_controllers(moment, time_zone, expected):
    assert start(moment, time_zone=time_zone).receipt_date == day(expected)


def test_no_californian_deadline_is_late_at_any_hour():
    """Every quarter of an hour of a year, against the business days of California's own calendar day."""
    zone = ZoneInfo("America/Los_Angeles")
    begin = dt.datetime(2026, 1, 1, 8, tzinfo=dt.UTC)
    moments = [begin + n * dt.timedelta(minutes=15) for n in range(365 * 96)]
    due = {
        day: deadlines.start(day, "us-ca", time_zone=DUBLIN).base_due
        for day in {moment.astimezone(zone).date() for moment in moments}
    }

    late = [
        moment
        for moment in moments
        if deadlines.start(moment, "us-ca", time_zone=DUBLIN).base_due
        > due[moment.astimezone(zone).date()]
    ]

    assert f"{len(late) / len(moments):.0%}" == "0%"
    assert not late


@pytest.mark.parametrize(
    ("moment", "regime", "country", "expected", "zone"),
    [
        # 00:30 in Dublin, the evening before in the Americas.
        ("2026-06-30T23:30Z", "us-ca", "US", "2026-06-30", "America/Los_Angeles"),
        ("2026-06-30T07:30Z", "us-ca", "US", "2026-06-30", "America/Los_Angeles"),
        ("2026-06-30T06:30Z", "us-ca", "US", "2026-06-29", "America/Los_Angeles"),
        ("2026-06-30T23:30Z", "eu", "BR", "2026-06-30", "America/Noronha"),
        ("2026-06-30T09:30Z", "eu", "US", "2026-06-29", "Pacific/Honolulu"),
        ("2026-06-30T10:30Z", "eu", "US", "2026-06-30", DUBLIN),
        # A new day in Auckland is no reason for a later one.
        ("2026-06-30T13:00Z", "eu", "NZ", "2026-06-30", DUBLIN),
        # No zone is known of Kosovo: the last there is.
        ("2026-06-30T11:30Z", "eu", "XK", "2026-06-29", "Etc/GMT+12"),
        ("2026-06-30T12:30Z", "eu", "XK", "2026-06-30", DUBLIN),
        # The law's own countries, also where it is the evening before, and a person of no known country.
        ("2026-06-30T23:30Z", "eu", "PT", "2026-07-01", DUBLIN),
        ("2026-06-30T23:30Z", "eu", "GP", "2026-07-01", DUBLIN),
        ("2026-06-30T23:30Z", "eu", "", "2026-07-01", DUBLIN),
        ("2026-06-30T23:30Z", "uk", "GB", "2026-07-01", DUBLIN),
        ("2026-06-30T23:30Z", "ch", "CH", "2026-07-01", DUBLIN),
    ],
)
def test_the_day_of_receipt_is_one_of_the_law_or_the_earlier_one(
    moment, regime, country, expected, zone
):
    at = dt.datetime.fromisoformat(moment)

    clock = deadlines.start(at, regime, time_zone=DUBLIN, country=country)

    assert (clock.receipt_date, clock.time_zone) == (day(expected), zone)


def test_a_place_without_zones_is_named_by_its_distance_from_utc():
    at = dt.datetime.fromisoformat("2026-06-30T11:30Z")

    words = explained(deadlines.start(at, "eu", time_zone=DUBLIN, country="XK"))

    assert words[0] == "Counted from Monday 29 June 2026, the day of receipt in UTC−12."


def test_a_day_is_taken_as_the_controllers_own():
    assert start("2026-03-05", time_zone="Pacific/Kiritimati").receipt_date == day("2026-03-05")


@pytest.mark.parametrize(
    ("received", "regime", "time_zone", "message"),
    [
        (dt.datetime(2026, 3, 5, 12, 0), "eu", DUBLIN, "without an offset"),
        (day("2026-03-05"), "fr", DUBLIN, "'fr' is not a valid Regime"),
        (day("2026-03-05"), "eu", "Europe/Nowhere", "'Europe/Nowhere' is no time zone"),
        (day("2026-03-05"), "eu", "", "'' is no time zone"),
        (day("2026-03-05"), "eu", "../etc/passwd", "is no time zone"),
        (day("1999-12-31"), "eu", DUBLIN, "1999-12-31 is not in the years 2000 to 2100"),
        (day("9999-12-31"), "ch", DUBLIN, "9999-12-31 is not in the years 2000 to 2100"),
        (dt.datetime.max.replace(tzinfo=dt.UTC), "eu", DUBLIN, "not in the years"),
        (dt.datetime.max.replace(tzinfo=dt.UTC), "eu", "Asia/Tokyo", "outside the calendar"),
        # Its calendars end with 2100, and an empty one would call Christmas a working day.
        (day("2100-10-01"), "eu", DUBLIN, "public holidays of IE in 2101 are not known"),
        (day("2100-10-02"), "uk", DUBLIN, "public holidays of GB-ENG in 2101 are not known"),
        (day("2100-12-20"), "us-ca", DUBLIN, "public holidays of US in 2101 are not known"),
    ],
)
def test_what_has_no_known_deadline_is_refused(received, regime, time_zone, message):
    with pytest.raises(ValueError, match=message):
        deadlines.start(received, regime, time_zone=time_zone)


@pytest.mark.parametrize("regime", ALL)
def test_every_day_with_known_holidays_has_a_clock(regime):
    for year in (2000, 2026, 2099):
        for number in range(366):
            received = dt.date(year, 1, 1) + dt.timedelta(days=number)
            clock = deadlines.start(received, regime, time_zone=DUBLIN)
            assert received < clock.target <= clock.base_due


# --- Identity -----------------------------------------------------------------------------------
def test_in_the_eu_a_prompt_identity_request_stops_the_clock():
    clock = answered(start("2026-03-05", "eu"), "2026-03-07", "2026-03-17")

    assert clock.pauses == (Pause(day("2026-03-07"), day("2026-03-17"), 10),)
    assert clock.receipt_date == day("2026-03-05")
    assert [clock.base_raw, clock.base_due] == [day("2026-04-15"), day("2026-04-15")]
    assert [clock.extended_raw, clock.extended_due] == [day("2026-06-15"), day("2026-06-15")]
    assert clock.target == day("2026-04-12")
    assert [clock.refuse_by, clock.refuse_by_extended] == [day("2026-04-15"), day("2026-04-15")]


def test_the_days_of_a_pause_are_added_before_the_roll():
    clock = answered(start("2026-01-31", "eu"), "2026-02-02", "2026-02-03")

    # 28 February, a Saturday, and one day more is Sunday: Monday, and not the Tuesday after a rolled Monday.
    assert [clock.base_raw, clock.base_due] == [day("2026-03-01"), day("2026-03-02")]


def test_the_days_of_a_pause_are_added_to_the_end_and_not_to_receipt():
    clock = answered(start("2026-01-05", "eu"), "2026-01-06", "2026-02-05")

    assert clock.base_raw == day("2026-03-07")
    assert clock.extended_raw == day("2026-05-05")


def test_two_pauses_add_up():
    clock = answered(start("2026-03-05", "eu"), "2026-03-06", "2026-03-08")
    clock = answered(clock, "2026-03-10", "2026-03-13")

    assert [pause.days for pause in clock.pauses] == [2, 3]
    assert clock.base_raw == day("2026-04-10")


def test_in_the_uk_the_time_counts_anew_from_the_answer():
    clock = answered(start("2026-03-05", "uk"), "2026-03-07", "2026-03-31", was_prompt=False)

    assert clock.pauses == (Pause(day("2026-03-07"), day("2026-03-31"), 0),)
    assert dates(clock) == dates(start("2026-03-31", "uk"))
    assert clock.extended_raw == day("2026-06-30")


@pytest.mark.parametrize(
    ("received", "asked", "was_prompt", "base_raw"),
    [
        # Received the day before Art. 12A came into force: a pause if prompt, whenever identity was asked for.
        ("2026-02-04", "2026-02-04", True, "2026-03-10"),
        ("2026-02-04", "2026-02-05", True, "2026-03-09"),
        ("2026-02-04", "2026-02-06", False, "2026-03-04"),
        ("2026-02-01", "2026-02-05", True, "2026-03-06"),
        # On the day: a new start.
        ("2026-02-05", "2026-02-05", True, "2026-03-10"),
        ("2026-02-05", "2026-02-06", False, "2026-03-10"),
    ],
)
def test_in_the_uk_the_day_of_receipt_decides_between_the_old_clock_and_the_new(
    received, asked, was_prompt, base_raw
):
    clock = answered(start(received, "uk"), asked, "2026-02-10", was_prompt=was_prompt)

    assert clock.base_raw == day(base_raw)


def test_under_the_old_clock_every_answered_request_is_a_pause():
    clock = answered(start("2026-01-20", "uk"), "2026-01-22", "2026-01-30")
    assert clock.base_raw == day("2026-02-28")

    clock = answered(clock, "2026-02-05", "2026-02-09")

    assert clock.receipt_date == day("2026-01-20")
    assert clock.base_raw == day("2026-03-04")
    assert [pause.days for pause in clock.pauses] == [8, 4]


def test_under_the_old_clock_an_extension_moves_no_refusal_in_the_uk():
    clock = start("2026-02-04", "uk")

    assert [clock.refuse_by, clock.refuse_by_extended] == [clock.base_due, clock.base_due]
    assert not any("moves a refusal too" in line for line in explained(clock))


@pytest.mark.parametrize(
    ("regime", "asked", "was_prompt"),
    [
        ("eu", "2026-03-20", False),
        ("eu", "2026-04-08", True),  # the day after the period ended
        ("uk", "2026-04-08", True),
        ("us-ca", "2026-03-06", True),
        ("ch", "2026-03-06", True),
    ],
)
def test_other_identity_requests_are_kept_and_move_nothing(regime, asked, was_prompt):
    before = start("2026-03-05", regime)

    clock = answered(before, asked, "2026-04-20", was_prompt=was_prompt)

    assert dates(clock) == dates(before)
    assert clock.pauses == (Pause(day(asked), day("2026-04-20"), 0),)


def test_the_last_day_of_the_period_is_still_in_time_to_stop_it():
    clock = answered(start("2026-03-05", "eu"), "2026-04-07", "2026-04-09")

    assert clock.base_raw == day("2026-04-07")


@pytest.mark.parametrize("regime", MONTHS)
def test_dates_that_were_kept_do_not_follow_a_corrected_calendar(regime):
    kept = replace(
        start("2026-03-05", regime), base_due=day("2026-04-08"), calendar_version="holidays 0.1"
    )

    clock = answered(kept, "2026-04-09", "2026-04-20", was_prompt=False)

    assert dates(clock) == dates(kept)


@pytest.mark.parametrize(
    ("asked", "answer", "message"),
    [
        ("2026-03-04", "2026-03-08", "before the request was received"),
        ("2026-03-06", "2026-03-05", "answered before it was made"),
    ],
)
def test_days_that_cannot_follow_each_other_are_refused(asked, answer, message):
    with pytest.raises(ValueError, match=message):
        answered(start("2026-03-05"), asked, answer)


def test_a_second_request_cannot_lie_before_the_first_answer():
    clock = answered(start("2026-03-05"), "2026-03-06", "2026-03-10")

    with pytest.raises(ValueError, match="Identity cannot be asked for"):
        answered(clock, "2026-03-09", "2026-03-12")


@pytest.mark.parametrize(
    ("asked", "expected"),
    [("2026-03-04", False), ("2026-03-05", True), ("2026-03-12", True), ("2026-03-13", False)],
)
def test_prompt_is_within_so_many_days_of_receipt(asked, expected):
    assert deadlines.is_prompt(day("2026-03-05"), day(asked), within_days=7) is expected


# --- Whose rule ---------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("country", "region", "expected"),
    [
        *((code, "", Regime.UK) for code in ("GB", "GI", "JE", "GG", "IM", "UK", "XI", " gb ")),
        ("CH", "", Regime.CH),
        ("US", "CA", Regime.US_CA),
        ("us", " us-ca ", Regime.US_CA),
        *(("US", region, Regime.EU) for region in ("", "NY", "CAL", "US")),
        # Canada is no part of California, nor is a region CA of elsewhere.
        *((code, "CA", Regime.EU) for code in ("CA", "IT", "", "FR")),
        ("GB", "CA", Regime.UK),
        *((code, "", Regime.EU) for code in ("IE", "LI", "NO", "BR", "HK", "", "ZZ", "EU")),
    ],
)
def test_the_country_and_in_the_united_states_the_region_say_whose_rule(country, region, expected):
    assert deadlines.regime_for(country, region) == expected


# --- In words -----------------------------------------------------------------------------------
def test_the_dates_of_easter_are_explained():
    assert explained(start("2026-03-05")) == [
        "Counted from Thursday 5 March 2026, the day of receipt in Europe/Dublin.",
        "GDPR Art. 12(3): one month, to the next working day (Regulation 1182/71 Art. 3(4)).",
        "One month ends on Sunday 5 April 2026.",
        "5 April 2026 is Easter Sunday, 6 April 2026 is Easter Monday: "
        "the next working day is Tuesday 7 April 2026.",
        "An answer is due by Tuesday 7 April 2026.",
        "It can be extended once, by a notice sent before that day is over: three months from the same "
        "start end on Friday 5 June 2026.",
        "An extension does not move a refusal: its letter is due by Tuesday 7 April 2026 "
        "(GDPR Art. 12(4)).",
        "Our own target is Thursday 2 April 2026, after 28 days.",
    ]


def test_a_new_start_in_the_uk_and_an_extension_are_explained():
    clock = answered(start("2026-02-10", "uk"), "2026-02-12", "2026-02-25")

    assert explained(clock, is_extended=True) == [
        "Counted from Wednesday 25 February 2026, the day of the answer in Europe/Dublin.",
        "UK GDPR Art. 12A: one month, to the next working day.",
        "Identity was asked for on 12 February 2026 and answered on 25 February 2026: "
        "the time counts anew from the answer (UK GDPR Art. 12A).",
        "One month ends on Wednesday 25 March 2026.",
        "An answer is due by Wednesday 25 March 2026.",
        "The strictest reading takes the first day into the month, which then ends a day earlier: "
        "the alarm is set for Tuesday 24 March 2026.",
        "Extended: three months, from the same start and not from the due date, end on "
        "Monday 25 May 2026.",
        "25 May 2026 is Spring Bank Holiday: the next working day is Tuesday 26 May 2026.",
        "An extension moves a refusal too: to Tuesday 26 May 2026.",
        "Our own target is Wednesday 25 March 2026, after 28 days.",
    ]


def test_a_short_month_and_a_pause_are_explained():
    clock = answered(start("2026-01-31"), "2026-02-02", "2026-02-03")

    assert explained(clock)[2:5] == [
        "Identity was asked for on 2 February 2026 and answered on 3 February 2026: "
        "the clock stood still for 1 day (GDPR Art. 12(6)).",
        "One month ends on Saturday 28 February 2026, the last day of a shorter month; with the pause, "
        "on Sunday 1 March 2026.",
        "1 March 2026 is a Sunday: the next working day is Monday 2 March 2026.",
    ]


def test_a_holiday_at_a_weekend_is_both():
    assert (
        "25 December 2026 is Christmas Day, 26 December 2026 is a Saturday and Boxing Day, "
        "27 December 2026 is a Sunday, 28 December 2026 is Boxing Day (observed): "
        "the next working day is Tuesday 29 December 2026."
    ) in explained(start("2026-11-25", "uk"))


def test_california_names_the_days_it_does_not_count():
    assert explained(start("2026-01-02", "us-ca"))[2:] == [
        "Fifteen business days, the first of them the next after receipt, end on Monday 26 January 2026. "
        "There is no extension.",
        "No business day: 19 January 2026 (Martin Luther King Jr. Day).",
        "Our own target is Monday 26 January 2026, after 24 days.",
    ]


def test_switzerland_says_why_a_sunday_stays():
    assert explained(start("2026-01-02", "ch"))[1:3] == [
        "FADP Art. 30(2)(b), with the time of DPO Art. 18(1): 30 days.",
        "Thirty days end on Sunday 1 February 2026. Weekends and holidays, which differ by canton, do not "
        "move that day, and there is no extension.",
    ]


@pytest.mark.parametrize(
    ("regime", "asked", "answer", "why"),
    [
        ("eu", "2026-03-25", "2026-03-26", "the clock ran on, it was asked for too late."),
        ("eu", "2026-03-06", "2026-03-06", "nothing to add to the time."),
        ("uk", "2026-04-08", "2026-04-09", "the clock ran on, it was asked for too late."),
        ("us-ca", "2026-03-06", "2026-03-09",
         "the clock ran on, an opt-out needs no identity (11 CCR § 7026(d))."),
        ("ch", "2026-03-06", "2026-03-09", "the clock ran on, no Swiss rule stops it."),
    ],
)  # fmt: skip
def test_a_request_that_stopped_nothing_says_why(regime, asked, answer, why):
    clock = answered(start("2026-03-05", regime), asked, answer, was_prompt=asked < "2026-03-12")

    assert explained(clock)[2].partition(": ")[2] == why


def test_an_older_calendar_is_explained_by_the_dates_it_gave():
    older = replace(
        start("2026-03-05"), base_due=day("2026-04-08"), calendar_version="holidays 0.1"
    )

    assert explained(older)[3] == (
        "5 April 2026 is Easter Sunday, 6 April 2026 is Easter Monday, "
        "7 April 2026 is no working day in holidays 0.1: the next working day is Wednesday 8 April 2026."
    )


def test_the_days_california_left_out_are_not_guessed_under_another_calendar():
    older = replace(start("2026-01-02", "us-ca"), calendar_version="holidays 0.1")

    assert [line for line in explained(older) if "No business day" in line] == []


# --- What always holds --------------------------------------------------------------------------
# Late enough, with what is added to them, to stay before 2101.
received_days = st.dates(dt.date(2000, 1, 1), dt.date(2100, 5, 1))


@st.composite
def clocks(draw, regimes=ALL):
    """A clock, and up to two answered identity requests."""
    clock = deadlines.start(draw(received_days), draw(st.sampled_from(regimes)), time_zone=DUBLIN)
    for _ in range(draw(st.integers(0, 2))):
        earliest = max([clock.receipt_date, *(pause.answered for pause in clock.pauses)])
        asked = earliest + dt.timedelta(days=draw(st.integers(0, 20)))
        clock = deadlines.answered(
            clock,
            asked_on=asked,
            answered_on=asked + dt.timedelta(days=draw(st.integers(0, 20))),
            was_prompt=draw(st.booleans()),
        )
    return clock


# The first of each year builds its calendar.
@settings(deadline=None)
@given(clocks(MONTHS))
def test_a_due_date_is_a_working_day_few_days_after_the_raw_one(clock):
    country, _, part = clock.calendar.partition("-")
    closed = holidays.country_holidays(country, subdiv=part or None)

    for raw, due in [
        (clock.base_raw, clock.base_due),
        (clock.extended_raw, clock.extended_due),
    ]:
        assert raw <= due < raw + dt.timedelta(days=6)
        assert due.isoweekday() <= 5
        assert due not in closed
        between = [raw + dt.timedelta(days=n) for n in range((due - raw).days)]
        assert [d for d in between if d.isoweekday() <= 5 and d not in closed] == []


@settings(deadline=None)
@given(received_days, st.sampled_from(MONTHS))
def test_an_extension_counts_from_receipt(received, regime):
    clock = deadlines.start(received, regime, time_zone=DUBLIN)

    months = clock.extended_raw.year * 12 + clock.extended_raw.month
    assert months - received.year * 12 - received.month == 3
    tomorrow = clock.extended_raw + dt.timedelta(days=1)
    assert clock.extended_raw.day == received.day or (
        clock.extended_raw.day < received.day and tomorrow.day == 1
    )


@settings(deadline=None)
@given(received_days, st.sampled_from(ALL), st.integers(0, 40), st.integers(0, 40), st.booleans())
def test_no_answer_brings_a_date_forward(received, regime, until_asked, waiting, was_prompt):
    clock = deadlines.start(received, regime, time_zone=DUBLIN)
    asked = received + dt.timedelta(days=until_asked)

    later = deadlines.answered(
        clock,
        asked_on=asked,
        answered_on=asked + dt.timedelta(days=waiting),
        was_prompt=was_prompt,
    )

    assert later.base_due >= clock.base_due
    assert later.target >= clock.target
    assert later.target <= later.base_due == later.refuse_by


@settings(deadline=None)
@given(clocks(), st.booleans())
def test_a_clock_comes_back_from_the_ledger_as_it_was(clock, is_extended):
    kept = Clock.from_json(json.loads(canonical.dumps(clock.as_json())))

    assert kept == clock
    assert explained(kept, is_extended=is_extended) == explained(clock, is_extended=is_extended)


def test_the_json_holds_texts_numbers_lists_and_nothing_else():
    clock = answered(start("2026-03-05", "us-ca"), "2026-03-06", "2026-03-09")

    assert clock.as_json() == {
        "regime": "us-ca",
        "rule": "CCPA Regulations, 11 CCR § 7026(f): 15 business days, "
        "without federal holidays (5 U.S.C. § 6103(a)).",
        "calendar": "US",
        "calendar_version": f"holidays {holidays.__version__}",
        "time_zone": "America/Los_Angeles",
        "receipt_date": "2026-03-05",
        "base_raw": "2026-03-26",
        "base_due": "2026-03-26",
        "target": "2026-03-26",
        "alarm": None,
        "extended_raw": None,
        "extended_due": None,
        "refuse_by": "2026-03-26",
        "refuse_by_extended": None,
        "pauses": [["2026-03-06", "2026-03-09", 0]],
    }


@pytest.mark.parametrize("change", [{"grace": "2026-04-01"}, {"rule": ...}])
def test_json_with_a_missing_or_unknown_fact_is_refused(change):
    facts = start("2026-03-05").as_json() | change
    facts = {name: fact for name, fact in facts.items() if fact is not ...}

    with pytest.raises(TypeError):
        Clock.from_json(facts)
