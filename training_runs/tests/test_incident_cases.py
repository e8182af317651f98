"""An incident as a case: who may do what, in which order, on the pages that people use."""

import pytest
from django.core import mail
from django.core.exceptions import PermissionDenied
from django.urls import reverse

from ledger.errors import InvalidInput
from ledger.models import AccessRecord, Entry
from tools import factories
from training_runs.errors import AlreadyAssessed, ForbiddenMove, NotAssessed, OwnAssessment
from training_runs.incidents import cases, telling

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def incident(officer, second_officer, engineer):
    factories.open_world(officer, second_officer)
    factories.add_members(3)
    run = factories.freeze(engineer).run
    factories.deliver(run, engineer)
    return factories.incident(run, numbers=range(20, 23), delivered=3)


def url(act, incident):
    return reverse(f"admin:training_runs_incident_{act}", args=[incident.pk])


def test_the_way_of_a_case_on_its_pages(incident, engineer, officer, second_officer, client_of):
    team, one, other = (client_of(person) for person in (engineer, officer, second_officer))

    assert "Acknowledge" in team.get(url("change", incident)).text
    assert incident.reference in team.get(reverse("admin:index")).text
    team.post(url("acknowledge", incident))
    incident.refresh_from_db()
    assert (incident.state, incident.acknowledged_by) == ("acknowledged", engineer)

    said = {"measures": ["stopped"], "tell_authority": "yes", "tell_members": "no", "reasons": "x"}
    one.post(url("assess", incident), said)
    assert "waits for another privacy officer" in one.get(url("change", incident)).text
    assert url("review", incident) not in one.get(url("change", incident)).text
    assert "the training was stopped" in other.get(url("review", incident)).text
    other.post(url("review", incident), {"verdict": "approved", "reason": "Agreed."})
    incident.refresh_from_db()
    assert incident.state == "assessed"

    one.post(url("close", incident), {"reason": "Told on 1 June.", "version": incident.version})
    incident.refresh_from_db()
    assert incident.state == "closed"
    assert "closed" in one.get(url("change", incident)).text
    kinds = Entry.objects.filter(kind__startswith="incident.").order_by("sequence")
    assert list(kinds.values_list("kind", flat=True)) == [
        "incident.found", "incident.acknowledged", "incident.assessed", "incident.reviewed", "incident.closed",
    ]  # fmt: skip
    assert AccessRecord.objects.filter(kind="incident.read", subject=incident.reference).exists()


def test_only_the_runs_team_acknowledges_and_once(incident, engineer, second_engineer, officer):
    for person in (second_engineer, officer):
        with pytest.raises(PermissionDenied):
            cases.acknowledge(incident=incident, actor=person)
    cases.acknowledge(incident=incident, actor=engineer)
    cases.acknowledge(incident=incident, actor=engineer)

    assert Entry.objects.filter(kind="incident.acknowledged").count() == 1


def assess(incident, actor, **facts):
    said = {"measures": ["stopped"], "tell_authority": True, "tell_members": False, "reasons": "x"}
    return cases.assess(incident=incident, actor=actor, **{**said, **facts})


@pytest.mark.parametrize(
    ("facts", "field"),
    [
        ({"measures": []}, "measures"),
        ({"measures": ["prayed"]}, "measures"),
        ({"measures": ["nothing"]}, "measures"),  # data was delivered
        ({"measures": ["nothing", "stopped"]}, "measures"),
        ({"reasons": " "}, "reasons"),
        ({"reasons": "x" * 2_001}, "reasons"),
    ],
)
def test_an_assessment_that_says_nothing_is_refused(incident, officer, facts, field):
    with pytest.raises(InvalidInput) as refusal:
        assess(incident, officer, **facts)
    assert refusal.value.field == field


def test_two_officers_assess_it_and_no_one_reviews_their_own(incident, officer, second_officer):
    first = assess(incident, officer)
    with pytest.raises(AlreadyAssessed):
        assess(incident, second_officer)
    with pytest.raises(OwnAssessment):
        cases.review(assessment=first, verdict="approved", reason="x", actor=officer)
    cases.review(assessment=first, verdict="rejected", reason="x", actor=second_officer)
    second = assess(incident, officer)
    cases.review(assessment=second, verdict="approved", reason="x", actor=second_officer)

    with pytest.raises(AlreadyAssessed):
        assess(incident, officer)
    with pytest.raises(AlreadyAssessed):
        cases.review(assessment=second, verdict="rejected", reason="x", actor=second_officer)


def test_a_case_is_closed_once_it_is_assessed_and_stays_so(incident, officer, second_officer):
    with pytest.raises(NotAssessed):
        cases.close(incident=incident, reason="x", version=incident.version, actor=officer)
    factories.assessed(incident, officer, second_officer)
    cases.close(incident=incident, reason="x", version=incident.version, actor=officer)
    incident.refresh_from_db()

    with pytest.raises(ForbiddenMove):
        cases.close(incident=incident, reason="x", version=incident.version, actor=officer)


def test_the_person_who_answers_for_the_team_gets_a_mail_that_names_no_member(incident, engineer):
    engineer.email = "emil@example.org"
    engineer.save()
    incident.run.team.responsible.refresh_from_db()

    telling.tell_team(incident)

    (sent,) = mail.outbox
    assert sent.to == ["emil@example.org"]
    assert incident.reference in sent.subject
    assert "3 members" in sent.body
    assert url("change", incident) in sent.body


def test_the_list_is_filtered_searched_and_exported(incident, engineer, officer, client_of):
    other = factories.incident(incident.run, numbers=[30])
    client = client_of(officer)
    address = reverse("admin:training_runs_incident_changelist")

    def shown(**query):
        page = client.get(address, query).text
        return [one.reference for one in (incident, other) if f">{one.reference}<" in page]

    assert shown() == [incident.reference, other.reference]
    assert shown(use="delivered") == [incident.reference]
    assert shown(use="none") == [other.reference]
    assert shown(q=other.reference) == [other.reference]
    assert shown(state__exact="closed") == []
    lines = b"".join(client.get(f"{address}export/csv/")).splitlines()
    assert len(lines) == 3


def test_the_api_lists_the_incidents_of_a_run_and_takes_the_teams_acknowledgement(
    incident, engineer, second_engineer, officer, client_of
):
    address = f"/api/v1/runs/{incident.run.reference}/incidents"
    act = f"{address}/{incident.reference}/acknowledgement"

    (listed,) = client_of(engineer).get(address).json()["results"]
    answers = [client_of(engineer).post(act).json() for _ in range(2)]

    assert (listed["reference"], listed["reasons"], listed["acknowledged_at"]) == (
        incident.reference,
        {"opted_out": 3},
        None,
    )
    assert [one["acknowledged_by"] for one in answers] == ["emil", "emil"]
    assert client_of(second_engineer).get(address).status_code == 403
    assert client_of(second_engineer).post(act).status_code == 403
    assert client_of(officer).get(address).json()["results"][0]["state"] == "acknowledged"
    assert client_of(engineer).post(f"{address}/INC-1/acknowledgement").status_code == 404
