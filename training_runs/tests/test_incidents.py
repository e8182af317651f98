"""The owner of a run knows its incidents: on the run's page, the start page and by the API. Other owners' runs are not shown."""

import datetime as dt
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from ledger.models import AccessRecord
from objections.models import Ticket
from tools import factories
from training_runs.models import Incident, Run

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def ticket(officer: User, second_officer: User, engineer: User, second_engineer: User) -> Ticket:
    """An objection that reached us before two runs were frozen with the member in them, one of a colleague."""
    factories.open_world(officer, second_officer)
    factories.add_members(3)
    factories.freeze(engineer)
    factories.freeze(second_engineer)
    factories.freeze(engineer, verified=False)
    return factories.objection(
        "acc-1",
        name="Maria Secret",
        email="maria@example.org",
        statement="I was stalked.",
        received_at=timezone.now() - dt.timedelta(days=1),
    )


def runs_of(user: User) -> list[Run]:
    return list(Run.objects.filter(team__responsible=user).order_by("pk"))


def test_the_owner_reads_the_incidents_of_a_run_without_the_person(
    ticket: Ticket, engineer: User, client_of: Any
) -> None:
    client = client_of(engineer)
    run = runs_of(engineer)[0]
    incident = Incident.objects.get(run=run)

    own_page = client.get(f"/admin/training_runs/run/{run.pk}/change/").content.decode()
    listed = client.get(f"/admin/training_runs/run/{run.pk}/incidents/").content.decode()
    start = client.get("/admin/").content.decode()

    assert "1 incident<" in own_page
    assert incident.reference in listed
    assert f"{run.reference}: 1 incident" in start
    for page in (own_page, listed, start):
        assert ticket.reference not in page
        assert "Secret" not in page
        assert "maria@" not in page
        assert "stalked" not in page
        assert "acc-1" not in page
    read = AccessRecord.objects.get(kind="incident.listed")
    assert (read.actor_name, read.subject) == ("emil", run.reference)


def test_the_incidents_of_a_colleagues_run_stay_closed(
    ticket: Ticket, engineer: User, second_engineer: User, client_of: Any
) -> None:
    client = client_of(engineer)
    [theirs] = runs_of(second_engineer)
    [incident] = Incident.objects.filter(run=theirs)

    assert client.get(f"/admin/training_runs/run/{theirs.pk}/incidents/").status_code == 403
    assert client.get("/admin/training_runs/incident/").text.count(incident.reference) == 0
    assert client.get(f"/admin/training_runs/incident/{incident.pk}/change/").status_code == 403
    page = client.get(f"/admin/training_runs/run/{theirs.pk}/change/").content.decode()
    assert incident.reference not in page
    assert "No incident is recorded" not in page
    assert "1 incident" not in page
    assert theirs.reference not in client.get("/admin/").content.decode()


def test_the_api_tells_their_number_to_the_owner_and_null_to_a_colleague(
    ticket: Ticket, engineer: User, second_engineer: User, officer: User, client_of: Any
) -> None:
    own, *_ = runs_of(engineer)
    [theirs] = runs_of(second_engineer)

    def told(user: User) -> tuple[Any, Any]:
        client = client_of(user)
        one = client.get(f"/api/v1/runs/{own.reference}").json()["incidents"]
        listed = {row["reference"]: row for row in client.get("/api/v1/runs").json()["results"]}
        assert listed[own.reference]["incidents"] == one
        return one, listed[theirs.reference]["incidents"]

    assert told(engineer) == (1, None)
    assert told(second_engineer) == (None, 1)
    assert told(officer) == (1, 1)


def test_incidents_are_counted_only_for_an_answer_that_tells_their_number(
    engineer: User, second_engineer: User, officer: User, second_officer: User, client_of: Any
) -> None:
    factories.open_world(officer, second_officer)
    factories.add_members(2)
    run = factories.freeze(engineer).run
    stranger = User.objects.create_user("vera")
    stranger.user_permissions.add(Permission.objects.get(codename="view_run"))

    def counts(user: User, path: str) -> int:
        with CaptureQueriesContext(connection) as asked:
            assert client_of(user).get(path).status_code == 200
        return sum("training_runs_incident" in query["sql"] for query in asked.captured_queries)

    assert (
        counts(engineer, "/api/v1/runs") == counts(engineer, f"/api/v1/runs/{run.reference}") == 1
    )
    assert (
        counts(stranger, "/api/v1/runs") == counts(stranger, f"/api/v1/runs/{run.reference}") == 0
    )
    assert counts(second_engineer, f"/api/v1/runs/{run.reference}") == 0
    assert counts(engineer, f"/api/v1/runs/{run.reference}/preview") == 0


def test_without_an_incident_the_owner_reads_of_how_many_runs_that_is_so(
    officer: User, second_officer: User, engineer: User, second_engineer: User, client_of: Any
) -> None:
    empty = client_of(engineer).get("/admin/").content.decode()
    factories.open_world(officer, second_officer)
    factories.add_members(2)
    run = factories.freeze(engineer).run

    start = client_of(engineer).get("/admin/").content.decode()
    page = client_of(engineer).get(f"/admin/training_runs/run/{run.pk}/change/").content.decode()

    assert "You have no frozen run yet." in empty
    assert "No open incident is recorded for your 1 frozen run." in start
    assert "No incident is recorded for this run." in page
    assert client_of(engineer).get(f"/api/v1/runs/{run.reference}").json()["incidents"] == 0
    theirs = client_of(second_engineer).get(f"/admin/training_runs/run/{run.pk}/change/")
    assert "No incident is recorded" not in theirs.content.decode()
