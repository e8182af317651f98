"""Teams that runs belong to: administrators make them and put people in and out, by page and by command."""

import io

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse

from ledger.errors import InvalidInput
from ledger.models import Entry
from tools import factories
from training_runs import teams
from training_runs.models import Team

pytestmark = pytest.mark.django_db(transaction=True)


def send(client, act, *args, **body):
    return client.post(reverse(f"admin:training_runs_team_{act}", args=args), body)


def people_of(team):
    return {one.user.username for one in team.memberships.all() if one.is_active}


@pytest.fixture
def team(engineer, administrator):
    return teams.create(name="feed-ranking", responsible=engineer, actor=administrator)


def test_an_administrator_makes_a_team_and_changes_it(
    client_of, administrator, engineer, second_engineer
):
    client = client_of(administrator)

    made = send(client, "add", name="feed-ranking", kind="team", responsible=engineer.pk)
    team = Team.objects.get(name="feed-ranking")
    changed = send(client, "edit", team.pk, kind="service", responsible=second_engineer.pk)

    assert made.status_code == changed.status_code == 302
    team.refresh_from_db()
    assert (team.kind, team.responsible, team.is_active) == ("service", second_engineer, False)
    assert people_of(team) == {engineer.username, second_engineer.username}
    kinds = Entry.objects.filter(subject="team:feed-ranking").values_list("kind", flat=True)
    assert list(kinds.order_by("sequence")) == ["team.created", "team.changed"]


def test_a_team_that_is_made_badly_is_refused_beside_the_field(client_of, administrator, engineer):
    client = client_of(administrator)

    odd = send(client, "add", name="Feed Ranking", kind="team", responsible=engineer.pk)
    nobodys = send(client, "add", name="feed", kind="team", responsible=10**6)

    assert odd.status_code == nobodys.status_code == 200
    assert not Team.objects.filter(name__in=["Feed Ranking", "feed"]).exists()
    teams.create(name="feed", responsible=engineer, actor=administrator)
    twice = send(client, "add", name="feed", kind="team", responsible=engineer.pk)
    assert "already exists" in twice.content.decode()


def test_people_come_and_go_and_the_one_who_answers_stays(
    client_of, administrator, engineer, second_engineer, team
):
    client = client_of(administrator)

    send(client, "add_person", team.pk, user=second_engineer.pk)
    assert people_of(team) == {engineer.username, second_engineer.username}
    gone = send(client, "remove_person", team.pk, user=second_engineer.pk)
    stays = send(client, "remove_person", team.pk, user=engineer.pk)

    assert gone.status_code == 302
    assert "Name another responsible person first" in stays.content.decode()
    assert people_of(team) == {engineer.username}
    page = client.get(reverse("admin:training_runs_team_change", args=[team.pk]))
    assert "feed-ranking" in page.content.decode()


def test_what_is_so_already_changes_nothing(team, engineer, second_engineer, administrator):
    before = Entry.objects.count()

    teams.add(team=team, user=engineer, actor=administrator)
    teams.remove(team=team, user=second_engineer, actor=administrator)
    teams.change(
        team=team, responsible=engineer, kind=team.kind, is_active=True, actor=administrator
    )

    assert Entry.objects.count() == before


def test_who_answers_for_a_team_is_active(team, second_engineer, administrator):
    second_engineer.is_active = False

    with pytest.raises(InvalidInput) as refused:
        teams.change(
            team=team, responsible=second_engineer, kind="team", is_active=True, actor=administrator
        )

    assert refused.value.field == "responsible"


def test_the_team_of_a_new_run_is_named_where_it_is_not_clear(
    team, engineer, auditor, stranger, administrator
):
    teams.create(name="models", responsible=auditor, actor=administrator)
    own = ", ".join(
        sorted(Team.objects.filter(responsible=engineer).values_list("name", flat=True))
    )

    assert teams.named(auditor).name == teams.named(auditor, "models").name == "models"
    assert teams.named(engineer, "feed-ranking") == team
    for person, name, words in (
        (engineer, "", "several teams"),
        (engineer, "models", own),
        (stranger, "", "you are in none"),
        (stranger, "models", "you are in none"),
    ):
        with pytest.raises(InvalidInput, match=words):
            teams.named(person, name)
    assert teams.answered_for_by(engineer) == f"Answers for the teams {own}."
    assert teams.answered_for_by(auditor) == "Answers for the team models."
    assert teams.answered_for_by(stranger) == ""


def test_the_command_makes_a_team_and_adds_people_again(engineer, second_engineer):
    said = io.StringIO()

    call_command("create_team", "feed", responsible=engineer.username, stdout=said)
    call_command(
        "create_team", "feed", responsible=engineer.username, person=[second_engineer.username],
        stdout=said,
    )  # fmt: skip

    assert people_of(Team.objects.get(name="feed")) == {
        engineer.username, second_engineer.username,
    }  # fmt: skip
    assert "In the team feed:" in said.getvalue()


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("feed", {"responsible": "no-account"}, "no active user"),
        ("Feed!", {}, "Small letters"),
        ("feed", {"kind": "service"}, "There is a team feed already"),
    ],
)
def test_the_command_says_what_is_wrong(engineer, administrator, name, options, words):
    teams.create(name="feed", responsible=engineer, actor=administrator)

    with pytest.raises(CommandError, match=words):
        call_command("create_team", name, **{"responsible": engineer.username} | options)


def test_a_person_of_another_team_has_no_run_of_it(engineer, second_engineer, officer, world_of):
    run = factories.register(engineer)

    assert teams.has(run, engineer)
    assert not teams.has(run, second_engineer)


@pytest.fixture
def world_of(officer, second_officer):
    factories.open_world(officer, second_officer)
