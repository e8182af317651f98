"""The ML team's and the auditors' pages of runs."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from consent.models import Census
from ledger.errors import Refusal
from ledger.models import AccessRecord, Entry
from tools import factories
from training_runs.errors import StartRefused
from training_runs.manifests import archives
from training_runs.models import Finding, Run
from training_runs.runs import freezing, registering, verifying
from training_runs.staff.run_page import Share, gaps_in_words, shares

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.one_engine]

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
    assert (run.team.responsible, run.data_categories) == (engineer, ["posts"])


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

    assert "Another person changed the run while you were writing" in refused.text
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
        ("engineer", 1),
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
    # A list leads to its file's page.
    assert all(client.get(address, follow=True).status_code == 200 for _, address in offered)


def test_a_manifest_that_differs_is_shown_in_red_and_not_offered(
    frozen: Run, engineer: User, auditor: User, client_of: Any
) -> None:
    archives.path_of(frozen.manifest.digest).write_bytes(b"something else")
    verifying.verify(frozen.manifest)

    page = client_of(engineer).get(_page("change", frozen))
    start = client_of(auditor).get(reverse("admin:index"))

    assert page.context["downloads"] == []
    assert "The manifest DIFFERS from what history says" in page.text
    assert Finding.objects.count() == 1
    assert [line.tone for panel in start.context["panels"] for line in panel.lines][-1] == "danger"


def test_a_final_run_cannot_be_cancelled_and_shows_no_form_for_it(
    frozen: Run, engineer: User, client_of: Any
) -> None:
    factories.complete(frozen, engineer)
    cancelled = registering.cancel(
        run=factories.register(engineer), actor=engineer, reason="mistake"
    )
    client = client_of(engineer)

    pages = [client.get(_page("cancel", run)) for run in (frozen, cancelled)]

    assert [page.context["form"] for page in pages] == [None, None]
    assert all("it cannot be cancelled" in page.text for page in pages)


def test_nothing_of_a_cancelled_run_is_offered(
    frozen: Run, engineer: User, auditor: User, client_of: Any
) -> None:
    registering.cancel(run=frozen, actor=engineer, reason="wrong data")

    pages = [client_of(user).get(_page("change", frozen)) for user in (engineer, auditor)]
    asked = client_of(engineer).get(_page("withdrawn", frozen))

    assert [page.context["downloads"] for page in pages] == [[], []]
    assert [page.context["may_ask_withdrawn"] for page in pages] == [False, False]
    assert asked.status_code == 409


@pytest.mark.parametrize(
    ("role", "shown"),
    [
        ("engineer", [("included", 2)]),
        ("second_engineer", [("included", 2)]),
        ("officer", [("included", 2), ("opted_out", 1)]),
        ("auditor", [("included", 2), ("opted_out", 1)]),
    ],
)
def test_withdrawn_since_counts_without_names_and_tells_reasons_to_those_who_see_decisions(
    role: str,
    shown: list[tuple[str, int]],
    frozen: Run,
    officer: User,
    request: pytest.FixtureRequest,
    client_of: Any,
) -> None:
    factories.decide("acc-2", "deny", actor=officer)
    reader = request.getfixturevalue(role)

    page = client_of(reader).get(_page("withdrawn", frozen))

    assert _page("withdrawn", frozen) in client_of(reader).get(_page("change", frozen)).text
    assert [(share.code, share.count) for share in page.context["shares"]] == shown
    assert ("setting for the purpose is off" in page.text) == (len(shown) > 1)
    assert "1 of the 3 members" in page.text
    assert "acc-2" not in page.text
    read = AccessRecord.objects.get(kind="manifest.withdrawn")
    assert (read.user, read.subject) == (reader, frozen.reference)


@pytest.mark.parametrize(
    ("role", "status"),
    [("officer", 200), ("auditor", 200), ("administrator", 403), ("stranger", 403)],
)
def test_withdrawn_since_is_for_those_who_may_read_manifests(
    role: str, status: int, frozen: Run, client_of: Any, request: pytest.FixtureRequest
) -> None:
    client = client_of(request.getfixturevalue(role))

    assert client.get(_page("withdrawn", frozen)).status_code == status
    assert client.post(_page("withdrawn", frozen)).status_code in (403, 405)


def test_a_manifest_that_is_not_verified_says_nothing_of_withdrawals(
    officer: User, second_officer: User, engineer: User, client_of: Any
) -> None:
    factories.open_world(officer, second_officer)
    factories.add_members(3)
    run = factories.freeze(engineer, verified=False).run

    asked = client_of(engineer).get(_page("withdrawn", run))

    assert asked.status_code == 409
    assert not AccessRecord.objects.filter(kind="manifest.withdrawn").exists()


def test_the_run_says_that_canaries_are_counted(
    frozen: Run, engineer: User, client_of: Any
) -> None:
    page = client_of(engineer).get(_page("change", frozen))

    assert (
        "Each reason includes one test account (canary) that must be out for that reason"
        in page.text
    )


def test_a_failing_freeze_says_why(frozen: Run, engineer: User, client_of: Any) -> None:
    run = registering.start(run=factories.register(engineer), actor=engineer)
    Census.objects.update(complete=99)
    with pytest.raises(Refusal):
        freezing.freeze(run.pk)

    client = client_of(engineer)

    assert "the census says 99" in client.get(_page("change", run)).text
    assert "the census says 99" in client.get(reverse("admin:index")).text


def test_only_the_officer_has_manifests_verified_again(
    frozen: Run, auditor: User, engineer: User, officer: User, client_of: Any
) -> None:
    statuses = [
        client_of(user).post(_page("verify", frozen)).status_code
        for user in (engineer, auditor, officer)
    ]

    assert statuses == [403, 403, 302]
    requested = Entry.objects.get(kind="verification.requested")
    assert (requested.actor, requested.subject) == (officer, frozen.reference)


def test_the_action_is_offered_to_the_officer_only(
    frozen: Run, auditor: User, engineer: User, officer: User, client_of: Any
) -> None:
    address = reverse("admin:training_runs_run_changelist")
    act = {"action": "verify_again", "_selected_action": [frozen.pk]}

    answers = [
        client_of(user).post(address, act, follow=True).text
        for user in (auditor, engineer, officer)
    ]

    assert ["Verifications queued: 1." in text for text in answers] == [False, False, True]


# --- Explaining ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("role", "who"), [("engineer", "acc-1"), ("officer", "acc-1"), ("officer", "#2")]
)
def test_a_member_is_explained_in_sentences_and_the_look_is_recorded(
    role: str, who: str, frozen: Run, client_of: Any, request: pytest.FixtureRequest
) -> None:
    user = request.getfixturevalue(role)

    response = client_of(user).post(_page("explain", frozen), {"who": who})

    assert response.context["answer"] == [
        f"The member was out of {frozen.reference} because the member's setting for the purpose is off.",
        "The member would be out of a run started now because the member's setting for the purpose is off.",
    ]
    read = AccessRecord.objects.get(kind="run.explained")
    assert (read.user, read.subject, read.purpose) == (user, "member:2", frozen.reference)


def test_the_owner_of_a_run_asks_by_reference_and_not_by_number(
    frozen: Run, engineer: User, officer: User, client_of: Any
) -> None:
    offered = [
        client_of(user).get(_page("change", frozen)).context["explain_form"]["who"]
        for user in (engineer, officer)
    ]

    answer = client_of(engineer).post(_page("explain", frozen), {"who": "#2"})

    assert [field.label for field in offered] == [
        "Account reference",
        "Account reference or member number",
    ]
    assert ["#12" in field.help_text for field in offered] == [False, True]
    assert [*answer.context["form"].errors.values()] == [["No member has this account_ref."]]
    (look,) = AccessRecord.objects.filter(kind="run.explained")
    assert look.subject == "member:unknown"


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


@pytest.mark.parametrize(
    ("who", "looks"),
    [
        ("unknown", ["member:unknown"]),
        ("#999", ["member:unknown"]),
        ("#0", ["member:unknown"]),
        ("#99999999999999", ["member:unknown"]),
        # Nothing was asked.
        ("", []),
        ("\x00", []),
    ],
)
def test_a_look_that_finds_no_member_is_said_and_recorded(
    who: str, looks: list[str], frozen: Run, officer: User, client_of: Any
) -> None:
    response = client_of(officer).post(_page("explain", frozen), {"who": who})

    assert response.status_code == 200
    assert response.context["form"].errors
    records = AccessRecord.objects.filter(kind="run.explained")
    assert list(records.values_list("subject", flat=True)) == looks


def test_a_reference_in_the_address_is_not_read(
    frozen: Run, engineer: User, client_of: Any
) -> None:
    assert client_of(engineer).get(_page("explain", frozen), {"who": "acc-1"}).status_code == 400
    assert client_of(engineer).get(_page("explain", frozen)).status_code == 405
    assert not AccessRecord.objects.filter(kind="run.explained").exists()


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


def test_reasons_that_exclude_no_member_are_not_drawn() -> None:
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


@pytest.mark.parametrize(
    ("reasons", "sentences"),
    [
        ([{"code": "no_data_categories"}], ["Declare the data categories the run uses."]),
        (
            [{"code": "no_country_allowed", "purpose": "safety"}],
            ["No region rule in force allows the purpose in any country."],
        ),
        (
            [{"code": "no_notice_in_force", "purpose": "safety"}],
            ["No approved notice for the purpose is in force."],
        ),
        (
            [{"code": "no_member_eligible", "population": 1}],
            ["Every member is out for one of the reasons shown."],
        ),
        (
            [
                {"code": "no_notice", "country": code, "data_categories": ["posts"]}
                for code in ("DE", "FR")
            ],
            ["No notice in force covers Posts and articles in Germany, France."],
        ),
    ],
)
def test_each_gap_of_a_refused_start_is_a_sentence(reasons, sentences):
    assert gaps_in_words(StartRefused("Refused.", reasons=reasons)) == sentences


def test_a_start_that_would_train_on_no_member_is_refused_with_its_reason(
    officer, second_officer, engineer
):
    factories.open_world(officer, second_officer)
    factories.add_member("acc-0", status="closed")

    with pytest.raises(StartRefused) as refused:
        registering.start(run=factories.register(engineer), actor=engineer)

    assert [reason["code"] for reason in refused.value.reasons] == ["no_member_eligible"]
