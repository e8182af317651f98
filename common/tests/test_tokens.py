"""Service tokens: scoped, expiring, shown once."""

import datetime as dt

import pytest
import time_machine
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from common.identity import tokens
from common.models import ServiceToken
from ledger.errors import InvalidInput
from ledger.models import Entry

pytestmark = pytest.mark.django_db


def issue(user, *scopes, days=30):
    return tokens.issue_token(
        user=user, name="trainer", scopes=scopes or ["runs:read"], days=days, actor="test"
    )


def get(plain, path="runs"):
    return Client().get(f"/api/v1/{path}", headers={"Authorization": f"Bearer {plain}"})


def test_a_token_does_what_its_scopes_name(engineer):
    _, plain = issue(engineer, "runs:read")

    assert get(plain).status_code == 200


def test_a_token_does_nothing_its_scopes_do_not_name(engineer):
    _, plain = issue(engineer, "runs:write")

    answer = get(plain)

    assert answer.status_code == 403
    assert answer.json()["code"] == "scope_missing"


def test_a_token_does_nothing_its_user_may_not(product):
    _, plain = issue(product, "runs:read")

    answer = get(plain)

    assert answer.status_code == 403
    assert answer.json()["code"] == "permission_missing"


def test_a_token_ends(engineer):
    token, plain = issue(engineer, days=1)

    with time_machine.travel(timezone.now() + dt.timedelta(days=1, minutes=1)):
        answer = get(plain)

    assert answer.status_code == 401
    assert ServiceToken.objects.get() == token


def test_a_revoked_token_is_refused_and_revoking_again_changes_nothing(engineer, administrator):
    token, plain = issue(engineer)

    tokens.revoke_token(token=token, actor=administrator)
    tokens.revoke_token(token=token, actor=administrator)

    assert get(plain).status_code == 401
    written = Entry.objects.filter(kind__startswith="token.").values_list("kind", flat=True)
    assert list(written) == ["token.revoked", "token.issued"]


def test_the_token_of_an_inactive_user_is_refused(engineer):
    _, plain = issue(engineer)
    User.objects.filter(pk=engineer.pk).update(is_active=False)

    assert get(plain).status_code == 401


@pytest.mark.parametrize("plain", ["", "x", "a b", "é", "\xff\x80", "0" * 64, "0" * 5000])
def test_what_is_no_token_is_refused(engineer, plain):
    issue(engineer)

    answer = Client().get("/api/v1/runs", HTTP_AUTHORIZATION=f"Bearer {plain}")

    assert answer.status_code == 401
    assert answer["WWW-Authenticate"] == "Bearer"


def test_neither_database_nor_ledger_hold_the_secret(engineer):
    token, plain = issue(engineer)

    stored = [str(value) for value in ServiceToken.objects.values_list().get()]
    entry = Entry.objects.get(kind__startswith="token.")
    assert plain not in stored
    assert entry.kind == "token.issued"
    assert entry.subject == f"token:{token.token_key}"
    assert plain[len(token.token_key) :] not in entry.reason


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"scopes": ["runs:everything"]}, "scopes"),
        ({"scopes": []}, "scopes"),
        ({"days": 0}, "days"),
        ({"days": 366}, "days"),
        ({"name": " "}, "name"),
        ({"name": "a\nb"}, "name"),
    ],
)
def test_a_token_without_bounds_is_not_made(engineer, change, field):
    good = {"user": engineer, "name": "x", "scopes": ["runs:read"], "days": 1, "actor": "test"}

    with pytest.raises(InvalidInput) as refusal:
        tokens.issue_token(**{**good, **change})

    assert refusal.value.field == field
    assert not ServiceToken.objects.exists()
    assert not Entry.objects.filter(kind__startswith="token.").exists()


# --- manage.py create_token ---------------------------------------------------------------------


def command(*args):
    call_command("create_token", *args)


def test_the_command_prints_a_token_that_works(engineer, capsys):
    command("--user", "emil", "--name", "ci", "--scope", "runs:read", "runs:write", "--days", "7")

    plain = capsys.readouterr().out.strip()
    assert get(plain).status_code == 200
    assert ServiceToken.objects.get().scopes == ["runs:read", "runs:write"]


def test_the_command_makes_a_service_user_only_when_told(capsys):
    command(
        "--user", "trainer", "--create-user", "--role", "ML engineer",
        "--name", "ci", "--scope", "runs:read",
    )  # fmt: skip

    user = User.objects.get(username="trainer")
    assert not user.has_usable_password()
    assert not user.is_staff
    assert get(capsys.readouterr().out.strip()).status_code == 200


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--user", "unknown"], "no user unknown"),
        (["--user", "emil", "--scope", "all"], "scopes: One or more of"),
        (["--user", "emil", "--days", "1000"], "days: 1 to 365"),
        (["--user", "emil", "--create-user", "--role", "Auditor"], "already"),
        (["--user", "new", "--create-user"], "go together"),
        (["--user", "new", "--create-user", "--role", "Auditor", "--days", "0"], "days"),
    ],
)
def test_the_command_says_what_is_wrong_and_makes_nothing(engineer, args, words):
    with pytest.raises(CommandError, match=words):
        command("--name", "x", "--scope", "runs:read", *args)

    assert not ServiceToken.objects.exists()
    assert list(User.objects.all()) == [engineer]
