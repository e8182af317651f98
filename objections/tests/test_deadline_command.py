"""`manage.py deadline`: the dates, and why; a slip is named with what would be right."""

import io

import holidays
import pytest
from django.core.management import CommandError, call_command


def said(*arguments):
    output = io.StringIO()
    call_command("deadline", *arguments, stdout=output)
    return output.getvalue()


def table(*arguments):
    """The dates, by name."""
    rows = said(*arguments).partition("\n\n")[0].splitlines()
    return dict(row.split("  ", 1) for row in rows)


def test_the_dates_stand_in_columns_above_their_explanation():
    dates, _, sentences = said("2026-03-05").partition("\n\n")

    assert dates.splitlines() == [
        "regime         EU (GDPR)",
        f"calendar       IE (holidays {holidays.__version__})",
        "counted from   2026-03-05  Thursday",
        "target         2026-04-02  Thursday",
        "due            2026-04-07  Tuesday",
        "due, extended  2026-06-05  Friday",
        "refusal by     2026-04-07  Tuesday",
    ]
    assert sentences.splitlines()[3] == (
        "5 April 2026 is Easter Sunday, 6 April 2026 is Easter Monday: "
        "the next working day is Tuesday 7 April 2026."
    )


@pytest.mark.parametrize(
    ("regime", "due", "names"),
    [
        ("eu", "2026-12-28  Monday",
         "regime, calendar, counted from, target, due, due, extended, refusal by"),
        ("uk", "2026-12-29  Tuesday",
         "regime, calendar, counted from, target, alarm, due, due, extended, refusal by"),
        ("us-ca", "2026-12-17  Thursday", "regime, calendar, counted from, target, due, refusal by"),
        ("ch", "2026-12-25  Friday", "regime, counted from, target, due, refusal by"),
    ],
)  # fmt: skip
def test_each_regime_shows_the_dates_it_has(regime, due, names):
    rows = {name: value.strip() for name, value in table("2026-11-25", "--regime", regime).items()}

    assert rows["due"] == due
    assert ", ".join(rows) == names


@pytest.mark.parametrize(
    ("received", "time_zone", "counted_from"),
    [
        ("2026-06-30T23:30Z", "Europe/Dublin", "2026-07-01  Wednesday"),
        ("2026-06-30T23:30Z", "America/New_York", "2026-06-30  Tuesday"),
        ("2026-07-01 00:30+02:00", "Europe/Dublin", "2026-06-30  Tuesday"),
        ("2026-07-01", "America/New_York", "2026-07-01  Wednesday"),
    ],
)
def test_a_time_falls_on_the_controllers_day(settings, received, time_zone, counted_from):
    settings.CONTROLLER_TIME_ZONE = time_zone

    assert table(received)["counted from"].strip() == counted_from


@pytest.mark.parametrize(
    ("regime", "prompt_days", "counted_from", "due"),
    [
        ("eu", 7, "2026-03-05  Thursday", "2026-04-15  Wednesday"),
        ("eu", 1, "2026-03-05  Thursday", "2026-04-07  Tuesday"),
        ("uk", 7, "2026-03-17  Tuesday", "2026-04-17  Friday"),
    ],
)
def test_an_answered_identity_request_moves_what_the_law_lets_it(
    settings, regime, prompt_days, counted_from, due
):
    settings.IDENTITY_PROMPT_DAYS = prompt_days

    rows = table("2026-03-05", "--regime", regime, "--identity", "2026-03-07:2026-03-17")

    assert [rows["counted from"].strip(), rows["due"].strip()] == [counted_from, due]


@pytest.mark.parametrize(
    ("regime", "refusal_by"), [("eu", "2026-04-07  Tuesday"), ("uk", "2026-06-05  Friday")]
)
def test_extended_says_until_when_it_can_be_refused(regime, refusal_by):
    words = said("2026-03-05", "--regime", regime, "--extended")

    assert f"refusal by     {refusal_by}\n" in words
    assert "Extended: three months" in words


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["5 March"], "'5 March' is no time: it is written like 2026-06-30T23:30+01:00, or with Z for UTC."),
        (["05/03/2026"], "'05/03/2026' is no day: it is written like 2026-03-05."),
        (["20260305"], "'20260305' is no day: it is written like 2026-03-05."),
        (["2026-02-29"], "'2026-02-29' is no day: it is written like 2026-03-05."),
        (["2026-03-05T12:00"], "'2026-03-05T12:00' has no offset: add +01:00, or Z for UTC."),
        (["2026-03-05T25:00Z"],
         "'2026-03-05T25:00Z' is no time: it is written like 2026-06-30T23:30+01:00, or with Z for UTC."),
        (["9999-12-31", "--regime", "ch"], "9999-12-31 is not in the years 2000 to 2100."),
        (["2100-12-01"], "The public holidays of IE in 2101 are not known."),
        (["2026-03-05", "--identity", "2026-03-06"],
         "--identity 2026-03-06: both days are needed, like 2026-03-06:2026-03-10."),
        (["2026-03-05", "--identity", "2026-03-06:soon"],
         "'soon' is no day: it is written like 2026-03-05."),
        (["2026-03-05", "--identity", "2026-03-06:2026-03-01"],
         "An identity request cannot be answered before it was made."),
        (["2026-03-05", "--identity", "2026-03-01:2026-03-06"],
         "Identity cannot be asked for before the request was received."),
        (["2026-03-05", "--regime", "ch", "--extended"],
         "There is no extension under Switzerland (FADP)."),
        (["2026-03-05", "--regime", "us-ca", "--extended"],
         "There is no extension under California (CCPA)."),
        (["2026-03-05", "--regime", "fr"],
         "Error: argument --regime: invalid choice: 'fr' (choose from 'eu', 'uk', 'us-ca', 'ch')"),
    ],
)  # fmt: skip
def test_a_slip_is_named_with_what_would_be_right(arguments, message):
    with pytest.raises(CommandError) as refusal:
        said(*arguments)

    assert str(refusal.value) == message
