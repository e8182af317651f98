import pytest
from faulty import faulty_network

from conftest import new_run
from training_portal.errors import Misuse, Refused, TryAgain

pytestmark = pytest.mark.live


@pytest.fixture
def network(facts):
    with faulty_network(facts["url"]) as found:
        yield found


@pytest.fixture
def faults(network):
    return network[1]


@pytest.fixture
def behind_it(portal_with, network):
    return portal_with(url=network[0])


def test_a_busy_portal_is_asked_again(behind_it, faults):
    faults.statuses = [503, 429, 502]

    assert behind_it.me()["user"] == "emil"

    assert len(faults.seen) == 4


def test_a_download_that_breaks_off_goes_on_where_it_was(behind_it, faults):
    faults.cuts = [1_000, 2_000]

    permission = new_run(behind_it).permission()

    ranges = [asked for _, path, asked in faults.seen if "/files/" in path]
    assert ranges == ["", "bytes=1000-", "bytes=3000-"]
    assert permission.files[0].rows == len(permission.members | permission.withdrawn)


def test_a_part_with_other_bytes_is_brought_anew(behind_it, faults, settings):
    run = new_run(behind_it)
    permission = run.permission()
    whole = permission.files[0].path
    partial = whole.with_name(f"{whole.name}.partial")
    partial.write_bytes(bytes(1_000))
    whole.unlink()

    run.verify(permission.delivery)

    ranges = [asked for _, path, asked in faults.seen if "/files/" in path]
    assert ranges == ["", "bytes=1000-", ""]


def test_a_start_that_was_perhaps_heard_is_not_sent_twice(behind_it, faults):
    run = new_run(behind_it)

    run.freeze()
    run.freeze()

    assert len([path for method, path, _ in faults.seen if path.endswith("/start")]) == 1


def test_without_an_answer_one_is_told_to_try_again(portal_with):
    portal = portal_with(url="http://127.0.0.1:9", patience=1)

    with pytest.raises(TryAgain) as failure:
        portal.me()

    assert (failure.value.exit_code, failure.value.code) == (6, "no_answer")


def test_a_worker_that_does_not_come_is_not_waited_for_forever(portal_with):
    run = new_run(portal_with(patience=0))

    with pytest.raises(TryAgain) as failure:
        run.freeze()

    assert (failure.value.exit_code, failure.value.code) == (6, "no_worker")
    assert "tell the operator" in str(failure.value)


def test_an_answer_that_has_not_changed_is_no_redirect(portal):
    run = new_run(portal)
    etag = portal.session.get(run.path).headers["ETag"]

    again = portal.session.get(run.path, etag=etag)

    assert (again.status, again.body) == (304, b"")


def test_a_redirect_is_not_followed(portal_with, facts):
    portal = portal_with()

    with pytest.raises(Misuse, match="leads elsewhere"):
        portal.session.get("../../admin/")


# --- Tokens -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("token", "code", "sentence"),
    [
        ("ended_token", "token_expired", "administrator issues a new token"),
        ("wrong", "not_authenticated", "look at PORTAL_TOKEN"),
    ],
)
def test_a_token_that_does_not_work_ends_with_what_to_do(portal_with, facts, token, code, sentence):
    portal = portal_with(token=facts.get(token, "a-wrong-token"))

    with pytest.raises(Refused) as refused:
        portal.me()

    assert (refused.value.exit_code, refused.value.code) == (3, code)
    assert sentence in str(refused.value)


def test_a_token_without_the_scope_says_which_is_missing(portal_with, facts):
    portal = portal_with(token=facts["reading_token"])

    with pytest.raises(Refused) as refused:
        new_run(portal)

    assert (refused.value.exit_code, refused.value.code) == (3, "scope_missing")
    assert "runs:write" in str(refused.value)


def test_a_token_in_its_last_days_warns_once(portal_with, facts, heard):
    portal = portal_with(token=facts["ending_token"])

    portal.me()
    portal.me()

    (warning,) = heard.warnings
    assert warning.startswith("The token ends in 2 days")


def test_the_token_is_in_nothing_that_is_printed(portal, settings):
    assert settings.token not in repr(settings)
    assert settings.token not in repr(portal)


# --- Refusals -----------------------------------------------------------------------------------


def test_a_start_that_is_refused_lists_every_gap(portal):
    run = portal.register(purpose="safety", data_categories=["posts"], tracker_run_id="gaps")

    with pytest.raises(Refused) as refused:
        run.freeze()

    assert (refused.value.exit_code, refused.value.code) == (3, "start_refused")
    assert "safety" in refused.value.problem
    assert "privacy officers propose" in refused.value.remedy


def test_a_run_that_does_not_exist_is_a_fault_of_the_call(portal):
    with pytest.raises(Misuse, match="no such run"):
        portal.run("TR-2026-999999")


def test_another_purpose_for_the_same_tracker_run_is_refused(portal):
    portal.register(purpose="generative-ai", data_categories=["posts"], tracker_run_id="same")

    with pytest.raises(Refused) as refused:
        portal.register(purpose="safety", data_categories=["posts"], tracker_run_id="same")

    assert refused.value.code == "tracker_id_reused"
