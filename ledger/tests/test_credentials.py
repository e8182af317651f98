"""By what an actor acted: each entry records a session, a link, a token, a command or a task."""

import json
import re

import pytest
from celery import shared_task
from django.conf import settings
from django.test import Client
from django.urls import reverse

import manage
from common.identity import tokens
from consent.models import Member
from consent.public import member_links
from ledger import entries, open_entry, sealing
from ledger.errors import InvalidInput
from ledger.models import Entry
from ledger.verification.verifying import verify_ledger
from tools import factories

pytestmark = pytest.mark.django_db


def last() -> Entry:
    return Entry.objects.latest("sequence")


@shared_task
def act_as_a_task() -> None:
    with entries.entry("test.act", actor="system:test"):
        pass


def test_a_session_is_recorded(officer, client_of):
    client_of(officer).post(
        reverse("admin:password_change"),
        {
            "old_password": "correct horse battery",
            "new_password1": "another horse battery",
            "new_password2": "another horse battery",
        },
    )

    assert (last().kind, last().credential) == ("user.changed", "session")


def test_a_token_is_recorded_by_its_key(product):
    factories.add_member("acc-1")
    token, plain = tokens.issue_token(
        user=product, name="feed", scopes=["decisions:write"], days=1, actor="test"
    )
    Client().post(
        "/api/v1/decisions",
        json.dumps({
            "account_ref": "acc-1", "purpose": "generative-ai", "choice": "deny",
            "source_id": "1", "decided_at": "2026-01-01T00:00:00Z", "channel": "product",
        }),
        content_type="application/json",
        headers={"Authorization": f"Bearer {plain}"},
    )  # fmt: skip

    assert (last().kind, last().credential) == ("consent.decision", f"token:{token.token_key}")
    # Nothing of it is left for the next request of the process.
    assert open_entry.credential_now() == ""


def test_a_members_link_is_recorded_even_where_staff_are_signed_in(
    officer, second_officer, client_of
):
    factories.open_world(officer, second_officer)
    member = Member.objects.get(pk=factories.add_member("acc-1"))
    client = client_of(officer)
    client.get(member_links.link_for(member).url.removeprefix(settings.PUBLIC_URL))
    page = client.get(reverse("setting")).text
    form_id = re.search(r'name="form_id" value="([^"]+)"', page)[1]

    client.post(reverse("setting"), {"choice": "deny", "form_id": form_id})

    assert (last().kind, last().credential) == ("consent.decision", "link")


# A command closes its connection at the end.
@pytest.mark.django_db(transaction=True)
def test_a_command_is_recorded_with_the_user_who_ran_it(administrator, monkeypatch):
    monkeypatch.setenv("LOGNAME", "otis")

    manage.main(["manage.py", "checkpoint_key", "add", "--by", administrator.username])

    assert last().credential == "command:checkpoint_key:otis"


def test_a_task_is_recorded():
    act_as_a_task.apply()

    assert last().credential == f"task:{act_as_a_task.name}"
    assert open_entry.credential_now() == ""


def test_the_credential_is_sealed(officer):
    with open_entry.acting_with("session"), entries.entry("test.act", actor=officer):
        pass

    sealed = json.loads(sealing.entry_bytes(last(), {}))

    assert (sealed["format"], sealed["credential"]) == (1, "session")
    assert verify_ledger().problems == []


# --- Long entries -------------------------------------------------------------------------------


@pytest.mark.parametrize(("count", "is_whole"), [(300, True), (600, False)])
def test_a_long_entry_is_sealed_by_the_digests_of_its_rows(count, is_whole):
    factories.add_members(count)

    rows = {"consent.historicalmember": list(
        Member.history.model.objects.filter(entry_id=1).order_by("pk").values_list(
            *sealing.sealed_columns(Member.history.model)
        )
    )}  # fmt: skip
    found = sealing.leaf_data(Entry.objects.get(), rows)

    assert found.is_whole == is_whole
    assert len(found.data) <= sealing.MAX_BYTES
    assert (len(sealing.entry_bytes(Entry.objects.get(), rows)) <= sealing.MAX_BYTES) == is_whole
    assert verify_ledger().problems == []


def test_a_reason_that_no_entry_can_hold_is_refused():
    longest = "x" * (sealing.MAX_BYTES - 300)
    with entries.entry("test.act", actor="test", reason=longest):
        pass
    with (
        pytest.raises(InvalidInput),
        entries.entry("test.act", actor="test", reason=f"{longest}{'x' * 300}"),
    ):
        pass

    assert Entry.objects.count() == 1
