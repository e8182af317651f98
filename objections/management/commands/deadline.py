"""Print when an objection must be answered, and how each date comes about. Nothing is read or written."""

from collections.abc import Iterator
from datetime import date, datetime
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from objections.choices import Regime
from objections.clock import deadlines
from objections.clock.deadlines import Clock


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "received", metavar="DATE",
            help="the day of receipt (YYYY-MM-DD), or the time with its offset (2026-06-30T23:30Z)",
        )  # fmt: skip
        parser.add_argument(
            "--regime", choices=Regime.values, default=Regime.EU.value,
            help="whose law (default: %(default)s)",
        )  # fmt: skip
        parser.add_argument(
            "--identity", metavar="ASKED:ANSWERED",
            help="an identity request and its answer (YYYY-MM-DD:YYYY-MM-DD)",
        )  # fmt: skip
        parser.add_argument(
            "--country", default="",
            help="the person's country (ISO 3166-1): where the EU's rule is borrowed, the day may be theirs",
        )  # fmt: skip
        parser.add_argument("--extended", action="store_true", help="the extension notice was sent")

    def handle(self, *args: Any, **options: Any) -> None:
        is_extended = options["extended"]
        received = _day_or_time(options["received"])
        try:
            clock = deadlines.start(
                received,
                options["regime"],
                time_zone=settings.CONTROLLER_TIME_ZONE,
                country=options["country"],
            )
            if options["identity"]:
                clock = _answered(clock, options["identity"])
        except OverflowError as error:
            raise CommandError("The calendar ends before the last day of this clock.") from error
        except ValueError as error:
            raise CommandError(str(error)) from error
        if is_extended and clock.extended_due is None:
            raise CommandError(f"There is no extension under {Regime(clock.regime).label}.")

        rows = list(_rows(clock, is_extended=is_extended))
        width = max(len(name) for name, _ in rows)
        for name, value in rows:
            self.stdout.write(f"{name:<{width}}  {value}")
        self.stdout.write("")
        for sentence in deadlines.explained(clock, is_extended=is_extended):
            self.stdout.write(sentence)


def _rows(clock: Clock, *, is_extended: bool) -> Iterator[tuple[str, str]]:
    yield "regime", Regime(clock.regime).label
    if clock.calendar:
        yield "calendar", f"{clock.calendar} ({clock.calendar_version})"
    yield "counted from", _written(clock.receipt_date)
    yield "target", _written(clock.target)
    if clock.alarm:
        yield "alarm", _written(clock.alarm)
    yield "due", _written(clock.base_due)
    if clock.extended_due:
        yield "due, extended", _written(clock.extended_due)
    refuse_by = clock.refuse_by_extended if is_extended else clock.refuse_by
    assert refuse_by
    yield "refusal by", _written(refuse_by)


def _written(day: date) -> str:
    return f"{day.isoformat()}  {day:%A}"


def _answered(clock: Clock, given: str) -> Clock:
    asked, separator, answer = given.partition(":")
    if not separator:
        raise CommandError(f"--identity {given}: both days are needed, like 2026-03-06:2026-03-10.")
    asked_on = _day(asked)
    return deadlines.answered(
        clock,
        asked_on=asked_on,
        answered_on=_day(answer),
        was_prompt=deadlines.is_prompt(
            clock.receipt_date, asked_on, within_days=settings.IDENTITY_PROMPT_DAYS
        ),
    )


def _day_or_time(given: str) -> date | datetime:
    if "T" not in given and " " not in given:
        return _day(given)
    try:
        moment = datetime.fromisoformat(given)
    except ValueError:
        raise CommandError(
            f"{given!r} is no time: it is written like 2026-06-30T23:30+01:00, or with Z for UTC."
        ) from None
    if moment.tzinfo is None:
        raise CommandError(f"{given!r} has no offset: add +01:00, or Z for UTC.")
    return moment


def _day(given: str) -> date:
    try:
        day = date.fromisoformat(given)
    except ValueError:
        day = None
    # Python also reads 20260305 and 2026-W10-4.
    if day is None or day.isoformat() != given:
        raise CommandError(f"{given!r} is no day: it is written like 2026-03-05.")
    return day
