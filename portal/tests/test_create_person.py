import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

from ledger.models import Entry

pytestmark = pytest.mark.django_db


def test_first_administrator_is_made_by_command_and_recorded(capsys):
    call_command("create_person", "anton", role="Administrator")

    person = User.objects.get(username="anton")
    assert person.is_staff and not person.is_superuser and not person.has_usable_password()
    assert [group.name for group in person.groups.all()] == ["Administrator"]
    entry = Entry.objects.get()
    assert (entry.kind, entry.actor_name, entry.subject) == (
        "user.changed", "command:create_person", "anton",
    )  # fmt: skip
    assert "changepassword anton" in capsys.readouterr().out


def test_person_who_is_there_keeps_the_roles(officer):
    with pytest.raises(CommandError, match="already"):
        call_command("create_person", officer.username, role="Administrator")

    assert [group.name for group in officer.groups.all()] == ["Privacy officer"]
