"""The ML team's and the auditors' pages of runs."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from portal.models import AccessRecord, Entry
from tools import factories
from training_runs import archives, services
from training_runs.admin_views import Share, shares
from training_runs.models import Finding, Run

pytestmark = pytest.mark.django_db(transaction=True)

RUN = {"tracker_run_id": "mlflow-1", "purpose": "generative-ai", "data_categories": ["posts"]}


def _page(name: str, run: Run) -> str:
    return reverse(f"admin:training_runs_run_{name}", args=[run.pk])


# --- Acts ---------------------------------------------------------------------------------------


def test_an_engineer_registers_a_run_once(engineer: User, client_of: Any) -> None:
    client = client_of(engineer)

    for _ in range(2):
        response = client.post(reverse("admin:training_runs_run_add"), RUN)

    run = Run.objects.get()
    assert response.url == _page("change", run)
    assert (run.owner, run.data_categories) == (engineer, ["posts"])


def test_a_parent_that_does_not_exist_is_named(engineer: User, client_of: Any) -> None:
    response = client_of(engineer).post(
        reverse("admin:training_runs_run_add"), RUN | {"parent": "TR-1999-000001"}
    )

    assert "There is no run TR-1999-000001." in response.text
    assert not Run.objects.exists()


def test_the_start_page_previews_and_only_the_post_starts(
    officer: User, second_officer: User, engineer: User, client_of: Any
) -> None:
    factories.open_world(officer, second_officer)
    factories.add_members(3)
    run = factories.register(engineer)
    client = client_of(engineer)

    looked = client.get(_page("start", run))
    run.refresh_from_db()
    state_after_looking = run.state
    client.post(_page("start", run))
    run.refresh_from_db()

    assert looked.context["shares"][0].count == 3
    assert (state_after_looking, run.state) == ("registered", "requested")


def test_a_refused_start_lists_the_gaps_in_words(
    officer: User, second_officer: User, engineer: User, client_of: Any
) -> None:
    factories.allow(officer, second_officer)
    factories.add_members(3)
    run = factories.register(engineer)

    response = client_of(engineer).post(_page("start", run))

    assert "No approved notice for the purpose is in force." in response.context["gaps"]
    assert any("covers Posts and articles in" in gap for gap in response.context["gaps"])
    run.refresh_from_db()
    assert run.state == "registered"


def test_cancelling_needs_a_reason_and_is_final(engineer: User, client_of: Any) -> None:
    run = factories.register(engineer)
    client = client_of(engineer)

    client.post(_page("cancel", run), {"reason": " "})
    run.refresh_from_db()
    without_reason = run.state
    client.post(_page("cancel", run), {"reason": "wrong data"})
    run.refresh_from_db()

    assert (without_reason, run.state) == ("registered", "cancelled")
    assert Entry.objects.get(kind="run.cancelled").reason == "wrong data"


def test_a_stale_rename_is_refused_keeps_what_was_typed_and_works_the_second_time(
    engineer: User, client_of: Any
) -> None:
    run = factories.register(engineer)
    client = client_of(engineer)
    seen = run.version
    client.post(_page("rename", run), {"title": "first", "version": seen})

    refused = client.post(_page("rename", run), {"title": "second", "version": seen})
    run.refresh_from_db()
    title_after_refusal = run.title
    form = refused.context["form"]
    client.post(
        _page("rename", run), {"title": form["title"].value(), "version": form["version"].value()}
    )
    run.refresh_from_db()

    assert "Somebody changed the run while you were writing" in refused.text
    assert 'value="second"' in refused.text
    assert (title_after_refusal, run.title) == ("first", "second")


@pytest.mark.parametrize("act", ["start", "cancel", "rename"])
@pytest.mark.parametrize(
    "role", ["second_engineer", "officer", "auditor", "administrator", "stranger"]
)
def test_only_the_owner_acts_on_a_run(
    act: str, role: str, engineer: User, client_of: Any, request: pytest.FixtureRequest
) -> None:
    run = factories.register(engineer)
    client = client_of(request.getfixturevalue(role))
    before = Run.objects.values().get()

    statuses = {
        client.get(_page(act, run)).status_code,
        client.post(_page(act, run), {"reason": "x", "title": "x", "version": 1}).status_code,
    }

    assert statuses == {403}
    assert Run.objects.values().get() == before


@pytest.mark.parametrize("role", ["officer", "auditor", "engineer", "administrator"])
def test_only_engineers_register_runs(
    role: str, client_of: Any, request: pytest.FixtureRequest
) -> None:
    client = client_of(request.getfixturevalue(role))

    status = client.get(reverse("admin:training_runs_run_add")).status_code

    assert status == (200 if role == "engineer" else 403)


# --- What the page shows ------------------------------------------------------------------------


@pytest.fixture
def frozen(officer: User, second_officer: User, engineer: User) -> Run:
    factories.open_world(officer, second_officer)
    factories.add_members(4)
    factories.decide("acc-1", "deny", actor=officer)
    return factories.freeze(engineer).run


def test_the_run_shows_who_is_in_and_why_others_are_out(
    frozen: Run, engineer: User, client_of: Any
) -> None:
    response = client_of(engineer).get(_page("change", frozen))

    counts = {share.code: share.count for share in response.context["shares"]}
    header = frozen.manifest.header
    assert counts == {part["name"]: part["members"] for part in header["parts"] if part["members"]}
    assert counts["included"] == 3
    assert counts["opted_out"] == 2  # the member and the canary
    assert frozen.manifest.digest in response.text
    assert AccessRecord.objects.filter(kind="manifest.read").count() == 1


@pytest.mark.parametrize(
    ("role", "texts"),
    [
        ("engineer", 3),
        ("second_engineer", 0),
        ("officer", 0),
        ("auditor", 1),
    ],
)
def test_downloads_are_offered_to_those_who_may_have_them(
    role: str, texts: int, frozen: Run, client_of: Any, request: pytest.FixtureRequest
) -> None:
    client = client_of(request.getfixturevalue(role))

    offered = client.get(_page("change", frozen)).context["downloads"]

    assert len(offered) == texts
    assert all(client.get(address).status_code == 200 for _, address in offered)


def test_a_manifest_that_differs_is_shown_in_red_and_not_offered(
    frozen: Run, engineer: User, auditor: User, client_of: Any
) -> None:
    archives.path_of(frozen.manifest.digest).write_bytes(b"something else")
    services.verify(frozen.manifest)

    page = client_of(engineer).get(_page("change", frozen))
    start = client_of(auditor).get(reverse("admin:index"))

    assert page.context["downloads"] == []
    assert "The manifest DIFFERS from what history says" in page.text
    assert Finding.objects.count() == 1
    assert [line.tone for panel in start.context["panels"] for line in panel.lines][-1] == "danger"


def test_a_failing_freeze_says_why(frozen: Run, engineer: User, client_of: Any) -> None:
    from consent.models import Census
    from portal.errors import PortalError

    run = services.start(run=factories.register(engineer), actor=engineer)
    Census.objects.update(complete=99)
    with pytest.raises(PortalError):
        services.freeze(run.pk)

    client = client_of(engineer)

    assert "the census says 99" in client.get(_page("change", run)).text
    assert "the census says 99" in client.get(reverse("admin:index")).text


def test_the_auditor_has_manifests_verified_again_and_nobody_else(
    frozen: Run, auditor: User, engineer: User, officer: User, client_of: Any
) -> None:
    statuses = [
        client_of(user).post(_page("verify", frozen)).status_code
        for user in (engineer, officer, auditor)
    ]

    assert statuses == [403, 403, 302]


def test_the_action_is_offered_to_the_auditor_only(
    frozen: Run, auditor: User, engineer: User, officer: User, client_of: Any
) -> None:
    address = reverse("admin:training_runs_run_changelist")
    act = {"action": "verify_again", "_selected_action": [frozen.pk]}

    answers = [
        client_of(user).post(address, act, follow=True).text
        for user in (auditor, engineer, officer)
    ]

    assert ["Verifications on their way: 1." in text for text in answers] == [True, False, False]


# --- Explaining ---------------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["acc-1", "#2"])
def test_a_member_is_explained_in_sentences_and_the_look_is_recorded(
    who: str, frozen: Run, engineer: User, client_of: Any
) -> None:
    response = client_of(engineer).post(_page("explain", frozen), {"who": who})

    assert response.context["answer"] == [
        f"The member was out of {frozen.reference} because the member switched the setting off.",
        "The member would be out of a run started now because the member switched the setting off.",
    ]
    read = AccessRecord.objects.get(kind="run.explained")
    assert (read.user, read.subject, read.purpose) == (engineer, "member:2", frozen.reference)


@pytest.mark.parametrize(
    ("role", "status"),
    [
        ("engineer", 200),
        ("second_engineer", 403),
        ("officer", 200),
        ("auditor", 200),
        ("administrator", 403),
        ("stranger", 403),
    ],
)
def test_engineers_ask_about_members_in_their_own_runs_only(
    role: str, status: int, frozen: Run, client_of: Any, request: pytest.FixtureRequest
) -> None:
    client = client_of(request.getfixturevalue(role))

    response = client.post(_page("explain", frozen), {"who": "acc-1"})

    assert response.status_code == status
    assert AccessRecord.objects.filter(kind="run.explained").exists() == (status == 200)


@pytest.mark.parametrize("who", ["nobody", "#999", "#0", "#99999999999999", "", "\x00"])
def test_nobody_found_is_said_and_nothing_recorded(
    who: str, frozen: Run, engineer: User, client_of: Any
) -> None:
    response = client_of(engineer).post(_page("explain", frozen), {"who": who})

    assert response.status_code == 200
    assert response.context["form"].errors
    assert not AccessRecord.objects.filter(kind="run.explained").exists()


def test_a_reference_in_the_address_is_not_read(
    frozen: Run, engineer: User, client_of: Any
) -> None:
    assert client_of(engineer).get(_page("explain", frozen), {"who": "acc-1"}).status_code == 405


# --- Numbers and lists --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("count", "population", "percent", "width"),
    [
        (0, 0, "0 %", "0.000%"),
        (1, 3, "33.33 %", "33.333%"),
        (1, 1_000_000, "under 0.01 %", "0.000%"),
        (10, 10, "100.00 %", "100.000%"),
    ],
)
def test_a_share_is_a_number_a_percentage_and_a_width(
    count: int, population: int, percent: str, width: str
) -> None:
    share = Share("x", "", "", count, population)

    assert (share.percent, share.width) == (percent, width)


def test_reasons_that_leave_out_nobody_are_not_drawn() -> None:
    drawn = shares(10, 7, {"minor": 1, "closed": 0, "opted_out": 2})

    assert [share.code for share in drawn] == ["included", "opted_out", "minor"]


@pytest.mark.parametrize("label", ["run", "manifest", "verification", "canary"])
def test_a_list_asks_no_more_questions_for_three_rows_than_for_one(
    label: str, frozen: Run, auditor: User, engineer: User, client_of: Any
) -> None:
    client = client_of(auditor)
    address = reverse(f"admin:training_runs_{label}_changelist")
    counts = []

    for _ in range(2):
        with CaptureQueriesContext(connection) as queries:
            client.get(address)
        counts.append(len(queries))
        factories.freeze(engineer)
        factories.freeze(engineer)

    assert counts[0] == counts[1]
    assert counts[0] <= 9
