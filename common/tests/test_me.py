"""The caller's own account over HTTP: `/me`, the end of a token, and its renewal."""

import datetime as dt
import html

import pytest
import time_machine
from django.conf import settings
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from common.identity import tokens
from common.models import ServiceToken
from ledger.checkpoints import signing
from ledger.errors import InvalidInput
from ledger.models import Entry

pytestmark = pytest.mark.django_db

RENEWALS = "/api/v1/me/token/renewals"


def issue(user, *scopes, days=20, name="trainer"):
    return tokens.issue_token(
        user=user, name=name, scopes=scopes or ["runs:read"], days=days, actor="test"
    )


def get(plain, path="me"):
    return Client().get(f"/api/v1/{path}", headers={"Authorization": f"Bearer {plain}"})


def renew(plain, body=None):
    return Client().post(
        RENEWALS,
        {} if body is None else body,
        content_type="application/json",
        headers={"Authorization": f"Bearer {plain}"},
    )


def in_seconds(moment):
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


# --- GET /me ------------------------------------------------------------------------------------


def test_a_token_is_told_who_it_is_what_it_may_do_and_when_it_ends(engineer):
    key = signing.add_key(actor="test")
    token, plain = issue(engineer, "runs:read", "runs:write", days=90)

    answer = get(plain)

    said = answer.json()
    server_time = dt.datetime.fromisoformat(said.pop("server_time"))
    assert abs(timezone.now() - server_time) < dt.timedelta(seconds=10)
    renewable_from = dt.datetime.fromisoformat(said["token"].pop("renewable_from"))
    assert renewable_from == token.expiry - dt.timedelta(days=30)
    assert dt.datetime.fromisoformat(said["token"].pop("expires_at")) == token.expiry
    assert said == {
        "user": "emil",
        "roles": ["ML engineer"],
        "token": {"name": "trainer", "scopes": ["runs:read", "runs:write"]},
        "api_version": settings.API_VERSION,
        "ledger": key.name,
        "verifier_keys": [key.text],
    }
    assert "no-store" in answer["Cache-Control"]


def test_a_session_has_no_token(client_of, engineer):
    answer = client_of(engineer).get("/api/v1/me")

    assert answer.json()["token"] is None
    assert "Token-Expires" not in answer


def test_what_me_says_costs_few_queries(engineer, django_assert_num_queries):
    _, plain = issue(engineer)

    # The token with its user, the roles, the keys.
    with django_assert_num_queries(3):
        get(plain)


# --- The end of a token -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "status"), [("me", 200), ("runs/TR-1999-000001", 404), ("audit/keys", 403)]
)
def test_every_answer_to_a_token_says_when_it_ends(engineer, path, status):
    token, plain = issue(engineer)

    answer = get(plain, path)

    assert answer.status_code == status
    assert answer["Token-Expires"] == in_seconds(token.expiry)


def test_an_ended_token_is_told_apart_from_a_wrong_one(engineer):
    token, plain = issue(engineer, days=1)
    wrong = plain[:-1] + ("0" if plain[-1] != "0" else "1")

    with time_machine.travel(timezone.now() + dt.timedelta(days=1, minutes=1)):
        ended, unknown = get(plain), get(wrong)

    assert (ended.status_code, ended.json()["code"]) == (401, "token_expired")
    assert f"{token.expiry:%Y-%m-%d %H:%M} UTC" in ended.json()["detail"]
    assert RENEWALS in ended.json()["detail"]
    assert ended["WWW-Authenticate"] == "Bearer"
    # Its first characters are known, and are no proof.
    assert (unknown.status_code, unknown.json()["code"]) == (401, "not_authenticated")
    assert f"{token.expiry:%Y-%m-%d}" not in unknown.json()["detail"]


def test_a_nightly_job_with_an_ended_token_locks_its_network_out_of_nothing(engineer):
    _, ended = issue(engineer, days=1)
    later = timezone.now() + dt.timedelta(days=1, minutes=1)

    with time_machine.travel(later):
        codes = {get(ended).json()["code"] for _ in range(tokens.FREE_TOKEN_FAILURES + 5)}

    assert codes == {"token_expired"}


# --- Renewal ------------------------------------------------------------------------------------


def test_a_token_renews_itself_once_and_the_old_one_works_until_its_own_end(engineer):
    old, plain = issue(engineer, "runs:read", "runs:write", days=20)

    answer = renew(plain, {"days": 15})

    assert answer.status_code == 201
    assert "no-store" in answer["Cache-Control"]
    new = ServiceToken.objects.exclude(pk=old.pk).get()
    said = answer.json()
    assert (said["name"], said["scopes"]) == ("trainer", ["runs:read", "runs:write"])
    assert dt.datetime.fromisoformat(said["expires_at"]) == new.expiry
    assert abs(new.expiry - new.created - dt.timedelta(days=15)) < dt.timedelta(seconds=1)
    assert [get(one).status_code for one in (plain, said["token"])] == [200, 200]
    again = renew(plain)
    assert (again.status_code, again.json()["code"]) == (409, "token_not_renewable")
    assert ServiceToken.objects.count() == 2


def test_a_renewal_is_an_entry_by_the_old_token_and_holds_no_secret(engineer):
    old, plain = issue(engineer)

    new = renew(plain).json()["token"]

    entry = Entry.objects.get(kind="token.renewed")
    renewed = ServiceToken.objects.exclude(pk=old.pk).get()
    assert entry.actor_id == engineer.pk
    assert entry.credential == f"token:{old.token_key}"
    assert entry.subject == f"token:{renewed.token_key}"
    assert f"token:{old.token_key}" in entry.reason
    assert new[len(renewed.token_key) :] not in entry.reason


def test_a_renewal_takes_no_scope_and_no_more_days_than_a_token_may_have(engineer):
    _, plain = issue(engineer)

    more = renew(plain, {"days": 90, "scopes": ["audit:read"]})
    long = renew(plain, {"days": 21})
    none = renew(plain, {"days": 0})

    assert [answer.status_code for answer in (more, long, none)] == [400, 400, 400]
    fields = [answer.json()["errors"][0]["field"] for answer in (more, long, none)]
    assert fields == ["scopes", "days", "days"]
    assert ServiceToken.objects.count() == 1
    assert not Entry.objects.filter(kind="token.renewed").exists()


def test_a_renewal_without_days_lasts_as_long_as_the_token_was_issued_for(engineer):
    old, plain = issue(engineer, days=3)

    renew(plain)

    renewed = ServiceToken.objects.exclude(pk=old.pk).get()
    assert abs(renewed.expiry - renewed.created - dt.timedelta(days=3)) < dt.timedelta(seconds=1)


def test_a_token_of_a_day_does_not_become_one_of_a_year(engineer):
    _, plain = issue(engineer, days=1)

    answer = renew(plain, {"days": 2})

    assert answer.status_code == 400
    assert answer.json()["errors"][0]["detail"] == "1 to 1 days: no longer than it was issued for."
    assert ServiceToken.objects.count() == 1


def test_revoking_a_token_ends_all_that_followed_it(engineer, administrator):
    first, plain = issue(engineer)
    other, _ = issue(engineer)
    second = renew(plain).json()["token"]
    third = renew(second).json()["token"]

    tokens.revoke_token(token=first, actor=administrator)

    assert [get(one).status_code for one in (plain, second, third)] == [401, 401, 401]
    assert list(ServiceToken.objects.all()) == [other]
    entry = Entry.objects.get(kind="token.revoked")
    assert entry.subject == f"token:{first.token_key}"
    assert second[:8] in entry.reason and third[:8] in entry.reason


def test_revoking_a_token_that_followed_another_leaves_that_one(engineer, administrator):
    first, plain = issue(engineer)
    renew(plain)
    second = ServiceToken.objects.exclude(pk=first.pk).get()

    tokens.revoke_token(token=second, actor=administrator)

    assert list(ServiceToken.objects.all()) == [first]


@pytest.mark.parametrize(("days", "status"), [(31, 409), (30, 201), (1, 201)])
def test_a_token_is_renewed_in_its_last_thirty_days(engineer, days, status):
    _, plain = issue(engineer, days=days)

    assert renew(plain).status_code == status


def test_an_ended_token_is_renewed_by_a_person_only(engineer):
    _, plain = issue(engineer, days=1)

    with time_machine.travel(timezone.now() + dt.timedelta(days=1, minutes=1)):
        answer = renew(plain)

    assert (answer.status_code, answer.json()["code"]) == (401, "token_expired")


def test_a_session_renews_no_token(client_of, engineer):
    answer = client_of(engineer).post(RENEWALS, {}, content_type="application/json")

    assert (answer.status_code, answer.json()["code"]) == (403, "tokens_only")


@pytest.mark.parametrize("changed", [{"is_active": False}, {"is_superuser": True}])
def test_a_person_who_may_not_sign_in_renews_nothing(engineer, changed):
    token, plain = issue(engineer)
    User.objects.filter(pk=engineer.pk).update(**changed)
    token.refresh_from_db()

    assert renew(plain).status_code == 401
    with pytest.raises(InvalidInput):
        tokens.renew_token(token=token)
    assert ServiceToken.objects.count() == 1


def test_a_token_that_was_revoked_meanwhile_is_not_renewed(engineer, administrator):
    token, _ = issue(engineer)
    tokens.revoke_token(token=ServiceToken.objects.get(), actor=administrator)

    with pytest.raises(tokens.NotRenewable):
        tokens.renew_token(token=token)

    assert not ServiceToken.objects.exists()


def test_a_token_of_the_same_name_that_an_administrator_issued_is_no_renewal(engineer):
    _, plain = issue(engineer, days=10)
    issue(engineer, "runs:write", days=90)

    assert renew(plain).status_code == 201


# --- The verifier key is given with the token ---------------------------------------------------


def test_the_command_shows_the_verifier_key_beside_the_token(engineer, capsys):
    key = signing.add_key(actor="test")

    call_command("create_token", "--user", "emil", "--name", "ci", "--scope", "runs:read")

    printed = capsys.readouterr()
    assert get(printed.out.strip()).json()["verifier_keys"] == [key.text]
    assert key.text in printed.err


def test_the_page_shows_the_verifier_key_beside_the_token(client_of, administrator, engineer):
    key = signing.add_key(actor="test")
    form = {"user": engineer.pk, "name": "ci", "scopes": ["runs:read"], "days": 30}

    page = client_of(administrator).post(reverse("admin:common_servicetoken_add"), form)

    assert page.status_code == 200
    assert ServiceToken.objects.count() == 1
    assert key.text in html.unescape(page.text)
