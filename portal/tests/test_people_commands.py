"""Who gets an account or a password by a command is in the ledger, and no superuser works."""

import io

import pytest
from django.contrib.auth.management.commands import changepassword
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connection
from django.urls import resolve, reverse

from ledger.models import Entry
from portal import checks

pytestmark = pytest.mark.django_db

NEW = "tungsten drizzle marimba"


def entries():
    return list(
        Entry.objects.order_by("sequence").values_list("kind", "actor_name", "subject", "reason")
    )


def answer(monkeypatch, *typed):
    said = iter(typed)
    monkeypatch.setattr(changepassword.getpass, "getpass", lambda prompt="": next(said))


def test_a_password_by_command_is_an_entry(officer, monkeypatch):
    answer(monkeypatch, NEW, NEW)

    call_command("changepassword", "olga")

    officer.refresh_from_db()
    assert officer.check_password(NEW)
    assert entries() == [("user.changed", "command:changepassword", "olga", "Changed: password.")]


def test_a_password_can_come_from_a_pipe(officer, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{NEW}\n"))

    call_command("changepassword", "olga", "--stdin")

    officer.refresh_from_db()
    assert officer.check_password(NEW)
    assert len(entries()) == 1


@pytest.mark.parametrize(
    "typed",
    [
        [NEW, "another"] * 3,
        ["short", "short"] * 3,
        ["8475629104857", "8475629104857", NEW, "another", "short", "short"],
    ],
)
def test_a_password_that_is_refused_is_no_entry(typed, officer, monkeypatch):
    answer(monkeypatch, *typed)
    before = officer.password

    with pytest.raises(CommandError, match="No password was set after 3 attempts"):
        call_command("changepassword", "olga", stderr=io.StringIO())

    officer.refresh_from_db()
    assert officer.password == before
    assert entries() == []


def test_a_weak_password_from_a_pipe_is_refused(officer, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("short\n"))

    with pytest.raises(CommandError, match="at least 12 characters"):
        call_command("changepassword", "olga", "--stdin")

    assert entries() == []


def test_an_unknown_name_is_refused():
    with pytest.raises(CommandError, match="There is no user nemo"):
        call_command("changepassword", "nemo")
    with pytest.raises(CommandError, match="Name whose password"):
        call_command("changepassword")


def test_ones_own_password_is_an_entry(officer, client_of):
    answered = client_of(officer).post(
        reverse("admin:password_change"),
        {"old_password": "correct horse battery", "new_password1": NEW, "new_password2": NEW},
    )

    officer.refresh_from_db()
    assert answered.status_code == 302
    assert officer.check_password(NEW)
    assert entries() == [("user.changed", "olga", "olga", "Changed: own password.")]


def test_ones_own_password_that_is_refused_is_no_entry(officer, client_of):
    answered = client_of(officer).post(
        reverse("admin:password_change"),
        {"old_password": "wrong", "new_password1": NEW, "new_password2": NEW},
    )

    assert answered.status_code == 200
    assert entries() == []


def test_a_service_user_by_command_is_an_entry(capsys):
    call_command(
        "create_token", "--user", "product", "--create-user", "--role", "Product service",
        "--name", "product", "--scope", "decisions:write",
    )  # fmt: skip

    assert [(kind, subject.partition(":")[0]) for kind, _, subject, _ in entries()] == [
        ("user.changed", "product"),
        ("token.issued", "token"),
    ]


# --- Superusers ---------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [[], ["--username", "root", "--email", "", "--noinput"]])
def test_no_superuser_is_made_and_the_attempt_is_an_entry(arguments):
    with pytest.raises(CommandError, match="create_person"):
        call_command("createsuperuser", *arguments)

    assert not User.objects.exists()
    [(kind, actor, _, reason)] = entries()
    assert (kind, actor) == ("user.superuser_refused", "command:createsuperuser")
    assert reason.startswith("Refused")


def test_a_superuser_fails_the_check_and_gets_no_password():
    assert checks.no_superusers(None, databases=["default"]) == []
    User.objects.create_superuser("root", password=NEW)

    [error] = checks.no_superusers(None, databases=["default"])

    assert (error.id, error.msg) == ("portal.E004", "root is a superuser.")
    with pytest.raises(CommandError, match="superuser"):
        call_command("changepassword", "root")
    with pytest.raises(CommandError, match="no active user root"):
        call_command("checkpoint_key", "add", "--by", "root")


@pytest.mark.django_db(transaction=True)
def test_the_command_check_names_a_superuser():
    call_command("check", "--database", "default")
    User.objects.create_superuser("root", password=NEW)

    with pytest.raises(Exception, match=r"portal\.E004"):
        call_command("check", "--database", "default")


@pytest.mark.django_db(transaction=True)
def test_the_check_passes_where_there_are_no_tables_yet(monkeypatch):
    monkeypatch.setattr(connection.introspection, "table_names", lambda *args: [])

    assert checks.no_superusers(None, databases=["default"]) == []


# --- The shortcut is gone -----------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/admin/r/1/1/", "/admin/r/4/2/", "/admin/r/1/x/"])
def test_there_is_no_shortcut_to_rows(path, administrator, client_of):
    assert client_of(administrator).get(path).status_code == 404
    # A shortcut answers 404 too, for rows whose model names no page.
    assert resolve(path).url_name != "view_on_site"
