"""Data of one purpose used again for another: a recorded compatibility assessment, and a second person's word on it."""

import pytest
from django.core.exceptions import PermissionDenied

from consent.choices import Purpose, ReviewVerdict
from ledger.errors import InvalidInput
from tools import factories
from training_runs.choices import RunState
from training_runs.errors import (
    AssessmentDecided,
    AssessmentMissing,
    AssessmentNotNeeded,
    AssessmentWaiting,
    ForbiddenMove,
    OwnAssessment,
)
from training_runs.models import Assessment
from training_runs.runs import assessments, registering
from training_runs.tests.test_api_runs import post

pytestmark = pytest.mark.django_db(transaction=True)

TEXTS = factories.ASSESSMENT


@pytest.fixture
def api(client_of, engineer):
    return client_of(engineer)


@pytest.fixture
def generative(officer, second_officer, engineer):
    """A frozen run of generative AI, in a world that lets personalisation use the same data."""
    factories.open_world(officer, second_officer)
    factories.add_members(3)
    return factories.freeze(engineer).run


@pytest.fixture
def child(generative, engineer):
    return factories.register(engineer, purpose=Purpose.PERSONALISATION, parent=generative)


def write(run, person, **changed):
    return assessments.write(run=run, actor=person, **{**TEXTS, **changed})[0]


def review(row, person, verdict=ReviewVerdict.APPROVED, reason="Read, and compared with both."):
    return assessments.review(assessment=row, verdict=verdict, reason=reason, actor=person)


def test_a_child_run_of_another_purpose_does_not_start_without_an_assessment(child, engineer):
    with pytest.raises(AssessmentMissing, match="Write the compatibility assessment"):
        registering.start(run=child, actor=engineer)

    child.refresh_from_db()
    assert child.state == RunState.REGISTERED


def test_a_grandchild_is_compared_with_every_ancestor(child, engineer, officer):
    review(write(child, engineer), officer)
    registering.start(run=child, actor=engineer)
    grandchild = factories.register(engineer, purpose=Purpose.PERSONALISATION, parent=child)

    with pytest.raises(AssessmentMissing) as refusal:
        registering.start(run=grandchild, actor=engineer)

    assert refusal.value.reasons == [
        {"code": "assessment_missing", "other_purposes": ["generative-ai"]}
    ]


def test_the_answer_of_a_refused_start_says_the_state_by_its_code(api, child, engineer, officer):
    missing = post(api, f"runs/{child.reference}/start")
    row = write(child, engineer)
    waiting = post(api, f"runs/{child.reference}/start")
    review(row, officer, ReviewVerdict.REJECTED, "The safeguards are missing.")
    rejected = post(api, f"runs/{child.reference}/start")

    assert [(one.status_code, one.json()["code"]) for one in (missing, waiting, rejected)] == [
        (409, "assessment_missing"),
        (409, "assessment_waiting"),
        (409, "assessment_missing"),
    ]


def test_it_starts_once_a_privacy_officer_has_approved(child, engineer, officer):
    review(write(child, engineer), officer)

    assert registering.start(run=child, actor=engineer).state == RunState.REQUESTED


def test_a_child_of_the_same_purpose_needs_none(generative, engineer):
    child = factories.register(engineer, parent=generative)

    with pytest.raises(AssessmentNotNeeded):
        write(child, engineer)
    assert registering.start(run=child, actor=engineer).state == RunState.REQUESTED


def test_only_the_runs_team_writes_and_another_officer_decides(
    child, engineer, second_engineer, officer, second_officer
):
    with pytest.raises(PermissionDenied):
        write(child, second_engineer)
    with pytest.raises(PermissionDenied):
        write(child, officer)
    row = write(child, engineer)
    with pytest.raises(PermissionDenied):
        review(row, engineer)
    engineer.groups.set(officer.groups.all())
    with pytest.raises(OwnAssessment):
        review(type(row).objects.get(pk=row.pk), type(engineer).objects.get(pk=engineer.pk))

    assert review(row, second_officer).reviewer == second_officer


def test_one_waits_at_a_time_and_a_word_on_it_is_final(child, engineer, officer, second_officer):
    row = write(child, engineer)
    assert write(child, engineer) == row
    with pytest.raises(AssessmentWaiting):
        write(child, engineer, context="Other words.")
    review(row, officer, ReviewVerdict.REJECTED)
    with pytest.raises(AssessmentDecided):
        review(row, second_officer)

    second = write(child, engineer)
    review(second, officer)

    assert [one.review.verdict for one in Assessment.objects.order_by("pk")] == [
        "rejected",
        "approved",
    ]
    assert write(child, engineer) == second
    with pytest.raises(AssessmentDecided):
        write(child, engineer, context="Other words.")


@pytest.mark.parametrize("text", ["", "   ", "x" * 2_001])
def test_each_point_has_a_text_of_bounded_length(child, engineer, text):
    for point in TEXTS:
        with pytest.raises(InvalidInput) as refusal:
            write(child, engineer, **{point: text})
        assert refusal.value.field == point


def test_a_run_that_has_left_registration_takes_none(child, engineer):
    registering.cancel(run=child, actor=engineer, reason="test")

    with pytest.raises(ForbiddenMove):
        write(child, engineer)


def test_an_engineer_writes_it_by_api_and_reads_what_became_of_it(api, child, officer):
    address = f"runs/{child.reference}/assessments"

    first = post(api, address, TEXTS)
    again = post(api, address, TEXTS)
    review(Assessment.objects.get(), officer)

    assert (first.status_code, again.status_code) == (201, 200)
    (told,) = api.get(f"/api/v1/{address}").json()["results"]
    assert told["other_purposes"] == ["generative-ai"]
    assert told["review"]["verdict"] == "approved"
    assert {name: told[name] for name in TEXTS} == TEXTS
    assert api.get(f"/api/v1/runs/{child.reference}").json()["assessment"] == "approved"


# --- Pages --------------------------------------------------------------------------------------


def test_the_pages_lead_from_the_run_to_the_approval(child, engineer, officer, client_of):
    run_page = f"/admin/training_runs/run/{child.pk}/change/"
    assess = f"/admin/training_runs/run/{child.pk}/assess/"
    team, privacy = client_of(engineer), client_of(officer)

    assert assess in team.get(run_page).content.decode()
    form = team.get(assess).content.decode()
    assert "about the processing, not about people" in form
    team.post(assess, TEXTS)
    row = Assessment.objects.get()

    start = privacy.get("/admin/").content.decode()
    assert f"/admin/training_runs/assessment/{row.pk}/review/" in start
    listed = privacy.get("/admin/training_runs/assessment/?state=waiting").content.decode()
    assert child.reference in listed and "1 compatibility assessment" in listed
    shown = privacy.get(f"/admin/training_runs/assessment/{row.pk}/review/").content.decode()
    assert TEXTS["safeguards"] in shown
    privacy.post(
        f"/admin/training_runs/assessment/{row.pk}/review/",
        {"verdict": "approved", "reason": "Read."},
    )

    assert "approved by olga" in team.get(run_page).content.decode()
    start = privacy.get("/admin/").content.decode()
    assert "No compatibility assessment waits for a privacy officer." in start


def test_a_rejected_assessment_comes_back_to_its_author_with_its_words(
    child, engineer, officer, client_of
):
    review(write(child, engineer), officer, ReviewVerdict.REJECTED, "The context is missing.")
    team = client_of(engineer)

    assert "The context is missing." in team.get("/admin/").content.decode()
    assert (
        TEXTS["context"]
        in team.get(f"/admin/training_runs/run/{child.pk}/assess/").content.decode()
    )
