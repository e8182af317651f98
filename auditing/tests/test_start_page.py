"""What the auditors' start page says of the last checks."""

import datetime as dt

import pytest
import time_machine
from django.urls import reverse
from django.utils import timezone

from auditing import verification
from ledger import entries
from ledger.checkpoints import signing
from ledger.models import LedgerCheck
from tools import factories

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.one_engine]

TITLE = "Integrity checks"


@pytest.fixture
def lines(auditor, client_of):
    """The lines of a panel, as (text, tone)."""

    def read(title=TITLE):
        panels = client_of(auditor).get(reverse("admin:index")).context["panels"]
        (panel,) = [panel for panel in panels if panel.title == title]
        return [(line.text, line.tone) for line in panel.lines]

    return read


def test_before_anything_was_checked_no_line_is_good(lines):
    assert [tone for _, tone in lines()] == ["warning", "", "warning", "warning"]


@pytest.mark.parametrize("person", ["officer", "engineer", "auditor", "administrator"])
def test_where_there_is_nothing_yet_nothing_is_good(person, request, client_of):
    panels = client_of(request.getfixturevalue(person)).get("/admin/").context["panels"]

    assert [line.text for panel in panels for line in panel.lines if line.tone == "good"] == []


def test_without_a_manifest_none_is_said_to_be_verified(lines):
    assert ("No manifest is frozen yet, so none is verified.", "") in lines()


def test_the_number_of_unchecked_manifests_is_shown(lines, officer, second_officer, engineer):
    factories.open_world(officer, second_officer)
    factories.add_members(2)
    factories.freeze(engineer, verified=False)
    assert lines("Manifests")[0] == ("0 verified", "")
    factories.freeze(engineer)

    assert ("Verified against history: 1 of 2 manifests.", "warning") in lines()


def test_the_newest_checkpoint_that_is_held_outside_is_named(lines):
    for holder in ("first", "second"):
        with entries.entry("test.act", actor="test"):
            pass
        newest = signing.sign_now()
        signing.delivered(newest, "email", holder)

    assert (
        f"Last checkpoint held outside: entry {newest.size}, by second (e-mail).", "good"
    ) in lines()  # fmt: skip


def test_a_check_of_last_week_is_late(lines):
    with time_machine.travel(timezone.now() - dt.timedelta(days=7), tick=False):
        verification.check_tonight(seconds=0)

    (text, tone), *_ = lines()

    assert (text.startswith("The nightly check is late"), tone) == (True, "warning")


def test_a_problem_is_said_first_and_loudly(lines, auditor):
    with entries.entry("ledger.verification_failed", actor="test"):
        LedgerCheck(
            size=1, root="0" * 64, rows=0, problems=["Entry 1 is missing."], seconds="1"
        ).save()

    (text, tone), *_ = lines()

    assert (text, tone) == ("THE LEDGER DOES NOT VERIFY: 1 problems.", "danger")


SENTENCES = {
    "Letters": (
        "No letter has been written yet.",
        "None of the 1 letters written so far has failed; 1 wait to be mailed.",
    ),
    "Incidents": (
        "No run is frozen yet.",
        "No incident is open for any of the 1 frozen runs.",
    ),
    "Findings": (
        "No manifest is frozen yet.",
        "No finding is recorded. 0 of 1 manifests are verified, and 0 runs are completed.",
    ),
    "Daily digest of the objection desk": (
        "An e-mail address is kept with each of the 2 privacy officers.",
        "An e-mail address is kept with each of the 2 privacy officers.",
    ),
    "Freezes that failed so far": (
        "None of your runs is waiting for its freeze.",
        "None of your runs is waiting for its freeze.",
    ),
}


def test_an_empty_panel_says_of_how_many_that_is_so(
    officer, second_officer, engineer, administrator, client_of
):
    def said():
        """The sentence of each panel about what it has none of, of the three roles together."""
        return {
            panel.title: panel.empty
            for person in (administrator, engineer, officer)
            for panel in client_of(person).get("/admin/").context["panels"]
        }

    before = said()
    factories.open_world(officer, second_officer)
    factories.add_members(2)
    factories.objection(channel="email")
    factories.freeze(engineer, verified=False)
    after = said()

    assert {title: (before[title], after[title]) for title in SENTENCES} == SENTENCES
