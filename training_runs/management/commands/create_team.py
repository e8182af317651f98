"""Make a team that runs can belong to, with the people in it; again it adds people who are not in it yet."""

from argparse import ArgumentParser
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError

from ledger.errors import InvalidInput
from training_runs import teams
from training_runs.choices import TeamKind
from training_runs.models import Team

ACTOR = "command:create_team"


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="small letters, digits and dashes: feed-ranking")
        parser.add_argument("--responsible", required=True, help="the person who answers for it")
        parser.add_argument("--person", action="append", default=[], help="another person in it")
        parser.add_argument("--kind", default=TeamKind.TEAM.value, choices=TeamKind.values)

    def handle(self, *args: Any, **options: Any) -> None:
        people = [_person(name) for name in [options["responsible"], *options["person"]]]
        team = Team.objects.filter(name=options["name"]).first()
        try:
            team = team or teams.create(
                name=options["name"], responsible=people[0], kind=options["kind"], actor=ACTOR
            )
        except InvalidInput as error:
            raise CommandError(str(error)) from error
        if team.responsible_id != people[0].pk or team.kind != options["kind"]:
            raise CommandError(f"There is a team {team.name} already; it changes in the admin.")
        for person in people:
            teams.add(team=team, user=person, actor=ACTOR)
        names = ", ".join(sorted({person.get_username() for person in people}))
        self.stdout.write(f"In the team {team.name}: {names}.")


def _person(username: str) -> User:
    person = User.objects.filter(username=username, is_active=True).first()
    if person is None:
        raise CommandError(f"There is no active user {username}.")
    return person
