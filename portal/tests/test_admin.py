"""The admin's pages: who may open them, what they say, what they refuse."""

import re
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from common.identity import roles, tokens
from common.models import ServiceToken
from common.staff.list_exports import ExportedList
from common.staff.site import CappedPaginator, PortalModelAdmin, site
from ledger import entries
from ledger import registry as ledger_registry
from ledger.models import Entry
from ledger.reads import recording
from portal.version import __version__
from tools import factories

ROLE_FIXTURES = ["officer", "engineer", "auditor", "administrator", "stranger"]


@pytest.fixture
def person(request: pytest.FixtureRequest) -> User:
    return request.getfixturevalue(request.param)


@pytest.mark.parametrize("person", ROLE_FIXTURES, indirect=True)
def test_a_list_opens_for_exactly_those_who_may_view_its_rows(person: User, client_of: Any) -> None:
    client = client_of(person)

    opened = {}
    allowed = {}
    for model in site._registry:
        label = f"{model._meta.app_label}_{model._meta.model_name}"
        opened[label] = client.get(reverse(f"admin:{label}_changelist")).status_code == 200
        allowed[label] = person.has_perm(f"{model._meta.app_label}.view_{model._meta.model_name}")
    # A team sees the incidents of its own runs.
    allowed["training_runs_incident"] |= person.has_perm("training_runs.view_own_incident")

    assert opened == allowed


@pytest.mark.parametrize("person", ROLE_FIXTURES, indirect=True)
def test_no_role_can_delete_anything(person: User, client_of: Any) -> None:
    client = client_of(person)

    answers = {
        model: client.post(
            reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_delete", args=["1"])
        ).status_code
        for model in site._registry
    }

    # A row that does not exist sends everybody home with a message; one that does is forbidden.
    assert set(answers.values()) <= {302, 403}
    assert all(
        not model_admin.has_delete_permission(None) for model_admin in site._registry.values()
    )


def test_every_page_is_built_on_the_hardened_classes() -> None:
    assert all(isinstance(found, PortalModelAdmin) for found in site._registry.values())
    assert all(not found.list_editable for found in site._registry.values())


def test_an_action_without_permissions_is_never_offered(auditor: User, rf: Any) -> None:
    class Careless(type(site._registry[Entry])):  # type: ignore[misc]
        actions = ["anything"]

        def anything(self, request: Any, queryset: Any) -> None: ...

    request = rf.get("/")
    request.user = auditor

    assert Careless(Entry, site).get_actions(request) == {}


# --- Start page ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("person", "titles"),
    [
        (
            "officer",
            [
                "Objections",
                "Your next tickets",
                "Outcomes waiting for your word",
                "Texts and erasures waiting for your word",
                "Letters",
                "Redaction list: too weak",
                "Incidents",
                "Proposals waiting for your review",
                "Compatibility assessments that wait for you",
                "Accounts that no file has named",
                "Latest denies recorded by staff",
                "Completions without a receipt",
                "Recipients to tell",
                "Findings",
            ],
        ),
        (
            "engineer",
            [
                "Incidents to acknowledge",
                "Incidents of your runs",
                "Your runs",
                "Freezes that failed so far",
                "Deliveries that need you",
                "Findings",
            ],
        ),
        (
            "auditor",
            [
                "Integrity checks",
                "Objections",
                "Letters",
                "Incidents",
                "Ledger",
                "Manifests",
                "Findings",
            ],
        ),
        (
            "administrator",
            [
                "Clocks",
                "Tokens about to expire",
                "People without a role",
                "Daily digest of the objection desk",
            ],
        ),
        ("stranger", []),
    ],
    indirect=["person"],
)
def test_the_start_page_shows_what_waits_for_the_role(
    person: User, titles: list[str], client_of: Any
) -> None:
    response = client_of(person).get(reverse("admin:index"))

    assert [panel.title for panel in response.context["panels"]] == titles


def test_the_footer_shows_the_version_to_signed_in_staff_only(
    stranger: User, client: Client, client_of: Any
) -> None:
    version = f"Version {__version__}."

    signed_in = client_of(stranger).get("/admin/")
    signing_in = client.get("/admin/login/")

    assert (signed_in.status_code, signing_in.status_code) == (200, 200)
    assert version in signed_in.content.decode()
    assert __version__ not in signing_in.content.decode()


def test_a_person_without_a_role_is_told_so(stranger: User, client_of: Any) -> None:
    response = client_of(stranger).get(reverse("admin:index"))

    assert "You have no role yet" in response.text


# --- Ledger -------------------------------------------------------------------------------------


def test_an_entry_shows_the_rows_it_wrote(
    officer: User, second_officer: User, auditor: User, client_of: Any
) -> None:
    factories.publish(officer, second_officer, version="2025-11-03")
    proposed = Entry.objects.get(kind="notice.proposed")

    response = client_of(auditor).get(reverse("admin:ledger_entry_change", args=[proposed.pk]))

    (part,) = response.context["parts"]
    assert (part.name, part.count) == ("notice", 1)
    assert "2025-11-03" in response.text


# --- People -------------------------------------------------------------------------------------


def _user_form(user: User, **changes: Any) -> dict[str, Any]:
    form = {"username": user.username, "groups": [g.pk for g in user.groups.all()]}
    form |= {"is_active": "on", "is_staff": "on"}
    return form | changes


def test_giving_a_role_is_an_entry_of_the_ledger(
    administrator: User, stranger: User, client_of: Any
) -> None:
    role = Group.objects.get(name=roles.AUDITOR)

    response = client_of(administrator).post(
        reverse("admin:auth_user_change", args=[stranger.pk]),
        _user_form(stranger, groups=[role.pk]),
    )

    assert response.status_code == 302
    assert list(stranger.groups.all()) == [role]
    entry = Entry.objects.get()
    assert (entry.kind, entry.actor, entry.subject) == ("user.changed", administrator, "stranger")
    assert entry.reason == "Changed: Groups. Roles now: Auditor. Active."


def test_adding_a_person_is_an_entry_of_the_ledger(administrator: User, client_of: Any) -> None:
    client_of(administrator).post(
        reverse("admin:auth_user_add"),
        {
            "username": "newcomer",
            "usable_password": "true",
            "password1": "a battery of horses",
            "password2": "a battery of horses",
        },
    )

    assert User.objects.filter(username="newcomer").count() == 1
    assert Entry.objects.get().subject == "newcomer"


def test_a_new_password_is_an_entry_of_the_ledger(
    administrator: User, stranger: User, client_of: Any
) -> None:
    client_of(administrator).post(
        reverse("admin:auth_user_password_change", args=[stranger.pk]),
        {
            "usable_password": "true",
            "password1": "a battery of horses",
            "password2": "a battery of horses",
        },
    )

    stranger.refresh_from_db()
    assert stranger.check_password("a battery of horses")
    assert Entry.objects.get().reason.startswith("Changed: password.")


def test_administrators_cannot_give_themselves_a_role(administrator: User, client_of: Any) -> None:
    everything = [group.pk for group in Group.objects.all()]

    client_of(administrator).post(
        reverse("admin:auth_user_change", args=[administrator.pk]),
        _user_form(administrator, groups=everything),
    )

    assert [group.name for group in administrator.groups.all()] == [roles.ADMINISTRATOR]


def test_no_form_makes_a_superuser(administrator: User, stranger: User, client_of: Any) -> None:
    client = client_of(administrator)

    for user in (administrator, stranger):
        client.post(
            reverse("admin:auth_user_change", args=[user.pk]),
            _user_form(user, is_superuser="on", user_permissions=["1", "2"]),
        )

    assert not User.objects.filter(is_superuser=True).exists()
    assert stranger.user_permissions.count() == administrator.user_permissions.count() == 0


@pytest.mark.parametrize("page", ["auth_user_change", "auth_user_password_change"])
def test_a_superuser_cannot_be_changed(page: str, administrator: User, client_of: Any) -> None:
    root = User.objects.create_superuser("root", password="correct horse battery")

    response = client_of(administrator).post(
        reverse(f"admin:{page}", args=[root.pk]),
        _user_form(root, password1="a battery of horses", password2="a battery of horses"),
    )

    root.refresh_from_db()
    assert response.status_code == 403
    assert root.check_password("correct horse battery")


# --- Tokens -------------------------------------------------------------------------------------


def test_a_token_is_shown_once_and_works(
    administrator: User, product: User, client_of: Any
) -> None:
    client = client_of(administrator)

    response = client.post(
        reverse("admin:common_servicetoken_add"),
        {"name": "tracker", "user": product.pk, "scopes": ["decisions:write"], "days": "30"},
    )

    secret = response.context["secret"]
    token = ServiceToken.objects.get()
    assert secret in response.text
    assert "no-store" in response["Cache-Control"]
    assert (token.name, token.user, token.scopes) == ("tracker", product, ["decisions:write"])
    listed = client.get(reverse("admin:common_servicetoken_changelist"))
    assert secret not in listed.text


def test_a_token_is_revoked_after_a_confirmation(
    administrator: User, product: User, client_of: Any
) -> None:
    token, _ = tokens.issue_token(
        user=product, name="tracker", scopes=["decisions:write"], days=3, actor="test"
    )
    client = client_of(administrator)
    address = reverse("admin:common_servicetoken_revoke", args=[token.pk])

    asked = client.get(address)
    assert ServiceToken.objects.count() == 1
    client.post(address)

    assert "refused from now on" in asked.text
    assert ServiceToken.objects.count() == 0


def test_a_token_about_to_expire_is_on_the_start_page(
    administrator: User, product: User, client_of: Any
) -> None:
    tokens.issue_token(user=product, name="soon", scopes=["decisions:write"], days=3, actor="test")
    tokens.issue_token(user=product, name="late", scopes=["decisions:write"], days=90, actor="test")

    response = client_of(administrator).get(reverse("admin:index"))

    lines = {panel.title: panel.lines for panel in response.context["panels"]}
    assert [line.text for line in lines["Tokens about to expire"]] == ["soon"]


def test_no_inline_style_or_script_in_our_templates() -> None:

    inline = re.compile(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)")

    found = [
        path.name
        for path in (settings.BASE_DIR / "templates").rglob("*.html")
        if inline.search(path.read_text())
    ]

    assert found == []


def test_logging_in_is_themed_and_wrong_passwords_lock(officer: User, db: Any) -> None:
    client = Client()

    page = client.get(reverse("admin:login"))
    for _ in range(6):
        last = client.post(reverse("admin:login"), {"username": "olga", "password": "wrong"})

    assert "portal/portal.css" in page.text
    assert last.status_code == 429


def test_the_ledger_panel_shows_the_size_and_root(auditor: User, client_of: Any) -> None:
    with entries.entry("test.act", actor="test"):
        pass

    response = client_of(auditor).get(reverse("admin:index"))

    assert entries.read_head().root in response.text


# --- Lists of millions --------------------------------------------------------------------------


def test_counting_a_list_stops_and_says_that_there_is_more(
    auditor: User, client_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CappedPaginator, "MAX_COUNTED", 3)
    for _ in range(3):
        with entries.entry("test.act", actor="test"):
            pass
    client = client_of(auditor)
    exact = client.get(reverse("admin:ledger_entry_changelist")).text
    with entries.entry("test.act", actor="test"):
        pass

    capped = client.get(reverse("admin:ledger_entry_changelist")).text

    assert ["more than 3 ledger entries" in text for text in (exact, capped)] == [False, True]
    assert "3 ledger entries" in exact


@pytest.mark.parametrize("label", ["entry", "accessrecord"])
def test_no_list_asks_its_table_which_kinds_there_are(
    label: str, auditor: User, client_of: Any
) -> None:
    with CaptureQueriesContext(connection) as queries:
        response = client_of(auditor).get(reverse(f"admin:ledger_{label}_changelist"))

    assert [query["sql"] for query in queries if "DISTINCT" in query["sql"]] == []
    assert "manifest.verified" in response.text or "manifest.archive" in response.text


def test_a_list_that_is_read_on_record_declares_its_reads() -> None:
    reads = set()
    for model, shown in site._registry.items():
        name = model._meta.model_name
        if isinstance(shown, ExportedList):
            reads.add(f"export.{name}")
        if getattr(shown, "read_on_record", False):
            reads |= {f"{name}.listed", f"{name}.read"}
            reads |= {f"{name}.history_read"} if shown.has_history else set()

    assert reads - ledger_registry.read_kinds.keys() == set()


@pytest.mark.parametrize(
    ("term", "found"), [("member:1", 1), ("member:", 0), ("tessa", 1), ("tess", 0)]
)
def test_reads_are_found_by_the_whole_subject_or_the_whole_name(
    term: str, found: int, auditor: User, client_of: Any
) -> None:
    reader = User.objects.create_user("tessa")
    recording.record_read(reader, "member.read", "member:1")
    recording.record_read(auditor, "member.read", "member:2")

    page = client_of(auditor).get(reverse("admin:ledger_accessrecord_changelist"), {"q": term})

    assert page.context["cl"].result_count == found


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("/admin/ledger/entry/99999999999999999999999/change/", 302),
        ("/admin/ledger/accessrecord/99999999999999999999999/change/", 302),
        ("/admin/ledger/entry/?recorded_at__year=99999999999999", 400),
        ("/admin/ledger/accessrecord/?read_at__year=99999999999999", 400),
        ("/admin/ledger/accessrecord/?p=99999999999999999999999", 400),
    ],
)
def test_a_number_that_no_column_can_hold_is_no_crash(
    address: str, status: int, auditor: User, client_of: Any
) -> None:
    assert client_of(auditor).get(address).status_code == status


def test_an_entry_is_read_only_after_the_reader_is_recorded(
    engineer: User, auditor: User, client_of: Any
) -> None:
    with entries.entry("test.act", actor="test") as opened:
        pass
    address = reverse("admin:ledger_entry_change", args=[opened.sequence])

    asked = {}
    for user in (engineer, auditor):
        client = client_of(user)
        with CaptureQueriesContext(connection) as queries:
            client.get(address)
        asked[user.username] = [query["sql"] for query in queries]

    sealed = 'FROM "consent_decision"'
    recorded = 'INSERT INTO "ledger_accessrecord"'
    first = {
        word: next(i for i, sql in enumerate(asked[auditor.username]) if word in sql)
        for word in (sealed, recorded)
    }
    assert not any(sealed in sql for sql in asked[engineer.username])
    assert first[recorded] < first[sealed]


def test_the_longest_life_of_a_token_is_the_services(administrator: User, client_of: Any) -> None:
    response = client_of(administrator).get(reverse("admin:common_servicetoken_add"))

    assert response.context["form"].fields["days"].max_value == tokens.MAX_DAYS
