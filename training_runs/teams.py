"""Teams and services that runs belong to, and the people in them. Administrators make them."""

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError

from ledger import entries, open_entry
from ledger.errors import InvalidInput
from training_runs.choices import TeamKind
from training_runs.models import Run, Team, TeamMembership
from training_runs.querysets import teams_of


def create(
    *, name: str, responsible: User, actor: open_entry.Actor, kind: str = TeamKind.TEAM
) -> Team:
    """Make a team; the responsible person is in it. Raises InvalidInput."""
    team = Team(name=name, kind=kind, responsible=responsible)
    try:
        team.full_clean(exclude=["responsible"])
    except ValidationError as error:
        raise InvalidInput(" ".join(error.messages), field=next(iter(error.message_dict))) from None
    with entries.entry("team.created", actor=actor, subject=f"team:{name}"):
        team.save()
        TeamMembership(team=team, user=responsible).save()
    return team


def change(
    *, team: Team, responsible: User, kind: str, is_active: bool, actor: open_entry.Actor
) -> Team:
    """Change who answers for a team, its kind, or whether it acts at all. Raises InvalidInput."""
    with entries.entry("team.changed", actor=actor, subject=f"team:{team.name}") as opened:
        team = Team.objects.select_for_update().get(pk=team.pk)
        if (team.responsible_id, team.kind, team.is_active) == (responsible.pk, kind, is_active):
            opened.abandon()
            return team
        if not responsible.is_active:
            raise InvalidInput("The person who answers for a team is active.", field="responsible")
        team.responsible, team.kind, team.is_active = responsible, kind, is_active
        team.save()
        _set_membership(team, responsible, is_active=True)
    return team


def add(*, team: Team, user: User, actor: open_entry.Actor) -> None:
    """Put a person into a team; again changes nothing."""
    with entries.entry("team.person_added", actor=actor, subject=f"team:{team.name}") as opened:
        if not _set_membership(team, user, is_active=True):
            opened.abandon()


def remove(*, team: Team, user: User, actor: open_entry.Actor) -> None:
    """Take a person out of a team; the membership stays in the history. Raises InvalidInput for the responsible one."""
    if team.responsible_id == user.pk:
        raise InvalidInput("Name another responsible person first.", field="user")
    with entries.entry("team.person_removed", actor=actor, subject=f"team:{team.name}") as opened:
        if not _set_membership(team, user, is_active=False):
            opened.abandon()


def _set_membership(team: Team, user: User, *, is_active: bool) -> bool:
    """Whether anything changed."""
    known = TeamMembership.objects.filter(team=team, user=user).first()
    if (known.is_active if known else False) == is_active:
        return False
    membership = known or TeamMembership(team=team, user=user)
    membership.is_active = is_active
    membership.save()
    return True


def has(run: Run, user: User) -> bool:
    """Whether a run belongs to a team that the person is in now."""
    return teams_of(user).filter(team=run.team_id).exists()


def named(user: User, name: str = "") -> Team:
    """The person's team of that name; without a name the only one. Raises InvalidInput."""
    own = Team.objects.filter(pk__in=teams_of(user)).order_by("name")
    if name:
        team = own.filter(name=name).first()
        if team is None:
            raise InvalidInput(
                f"One of your teams: {', '.join(one.name for one in own) or 'you are in none'}.",
                field="team",
            )
        return team
    found = list(own[:2])
    if not found:
        raise InvalidInput(
            "A run belongs to a team, and you are in none: ask an administrator.", field="team"
        )
    if len(found) > 1:
        raise InvalidInput(
            f"You are in several teams. Name one of {', '.join(one.name for one in own)}.",
            field="team",
        )
    return found[0]


def answered_for_by(person: User) -> str:
    """The teams that a person answers for, in a sentence; empty for none. Another one has to, when the account closes."""
    names = list(
        Team.objects.filter(responsible=person, is_active=True).values_list("name", flat=True)
    )
    return (
        f"Answers for {'the team' if len(names) == 1 else 'the teams'} {', '.join(names)}."
        if names
        else ""
    )
