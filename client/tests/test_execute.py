import datetime as dt
import json
import sys
import threading
import time

import pytest
from raw import write_posts
from test_run import accounts

from conftest import new_run
from training_portal.errors import LeaseOver, NotVerified, Refused, Withdrawn
from training_portal.execute import execute
from training_portal.prepare import Columns

pytestmark = pytest.mark.live

COLUMNS = Columns(member_column="author", categories={"posts": ("body",)}, text=("body",))


@pytest.fixture
def prepared(portal, facts, tmp_path):
    """A run with its data set, as the preparation left it."""
    raw = tmp_path / "posts.parquet"
    write_posts(raw, facts["accounts"])
    run = new_run(portal)
    run.prepare([raw], tmp_path / "clean", columns=COLUMNS, redaction=None)
    return run


@pytest.fixture
def data(prepared, tmp_path):
    return tmp_path / "clean"


def python(script: str) -> list[str]:
    return [sys.executable, "-c", script]


def test_a_command_that_ends_well_completes_the_run(portal, prepared, data, tmp_path, monkeypatch):
    monkeypatch.setenv("PORTAL_TOKEN", "not for the command")
    script = f"import json, os; json.dump(dict(os.environ), open({str(tmp_path / 'env')!r}, 'w'))"

    done = execute(portal, data, python(script))

    facts = prepared.refresh()
    assert (done.exit_code, facts["state"]) == (0, "completed")
    assert (facts["use"]["completed_on"], facts["findings"]) == (done.receipt, [])
    seen = json.loads((tmp_path / "env").read_text())
    assert seen["PORTAL_RUN"] == prepared.reference
    assert seen["PORTAL_RECEIPT"] == done.receipt
    assert "PORTAL_TOKEN" not in seen


def test_a_command_that_ends_badly_marks_the_run_failed(portal, prepared, data):
    done = execute(portal, data, python("raise SystemExit(7)"))

    assert (done.exit_code, prepared.refresh()["state"]) == (7, "failed")


def test_a_command_that_is_none_marks_the_run_failed(portal, prepared, data):
    with pytest.raises(Exception, match="cannot be started"):
        execute(portal, data, ["/nowhere/train"])

    assert prepared.refresh()["state"] == "failed"


def test_a_data_set_that_was_changed_trains_nothing(portal, prepared, data, tmp_path):
    (file,) = data.glob("*.parquet")
    changed = bytearray(file.read_bytes())
    changed[-20] ^= 1
    file.write_bytes(changed)

    with pytest.raises(NotVerified):
        execute(portal, data, python(f"open({str(tmp_path / 'ran')!r}, 'w')"))

    assert not (tmp_path / "ran").exists()
    assert prepared.refresh()["state"] == "frozen"


def test_a_run_that_is_over_trains_nothing(portal, prepared, data):
    execute(portal, data, python("pass"))

    with pytest.raises(Refused) as refused:
        execute(portal, data, python("pass"))

    assert refused.value.code == "run_completed"


def member_of(prepared, data):
    permission = prepared.permission()
    return accounts(permission)[permission.members[10]]


def test_who_withdrew_before_stops_the_training_before_it_begins(
    portal, prepared, data, switch_off, tmp_path
):
    switch_off(member_of(prepared, data))

    with pytest.raises(Withdrawn) as refused:
        execute(portal, data, python(f"open({str(tmp_path / 'ran')!r}, 'w')"))

    assert refused.value.exit_code == 5
    assert not (tmp_path / "ran").exists()


def test_who_withdraws_meanwhile_stops_the_training(portal, prepared, data, switch_off, tmp_path):
    account = member_of(prepared, data)
    script = f"import time; open({str(tmp_path / 'ran')!r}, 'w').close(); time.sleep(60)"

    def leave():
        while not (tmp_path / "ran").exists():
            time.sleep(0.05)
        switch_off(account)

    leaving = threading.Thread(target=leave)
    leaving.start()
    with pytest.raises(Withdrawn):
        execute(portal, data, python(script), beat_seconds=0.2, grace_seconds=5)
    leaving.join()

    assert prepared.refresh()["state"] == "failed"


def test_withdrawals_can_be_acknowledged_in_place(portal, prepared, data, switch_off):
    switch_off(member_of(prepared, data))

    done = execute(portal, data, python("pass"), on_withdrawal="acknowledge")

    assert (done.exit_code, prepared.refresh()["findings"]) == (0, [])


def test_the_end_of_the_lease_stops_the_training(portal, prepared, data, monkeypatch):
    began = []
    real = portal.session.now

    def now():
        # The lease is over from the second look of the running training on.
        return real() + dt.timedelta(days=400 if began else 0)

    portal.session.now = now
    run = type(prepared).begin

    def begin(self, **said):
        run(self, **said)
        began.append(True)

    monkeypatch.setattr(type(prepared), "begin", begin)
    with pytest.raises(LeaseOver):
        execute(portal, data, python("import time; time.sleep(60)"), grace_seconds=5)

    assert prepared.refresh()["state"] == "failed"


def test_two_runs_of_the_same_posts_have_data_sets_of_their_own(portal, facts, tmp_path):
    write_posts(tmp_path / "posts.parquet", facts["accounts"])

    made = [
        new_run(portal).prepare(
            [tmp_path / "posts.parquet"], tmp_path / name, columns=COLUMNS, redaction=None
        )
        for name in ("one", "two")
    ]

    assert made[0].receipt != made[1].receipt
