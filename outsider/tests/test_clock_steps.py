"""What an export says of wrong clocks: each step is told, and what had to wait is found."""

import json

from ledger import registry
from outsider import verify

AT = "2026-11-22T02:55:51.423229Z"
BACK = "2026-11-20T02:55:51.423229Z"


def line(sequence, kind, **rows):
    tables = {
        name.replace("_", ".", 1): {
            "columns": sorted(row),
            "values": [[row[key] for key in sorted(row)]],
        }
        for name, row in rows.items()
    }
    return json.dumps(
        {
            "actor": {"id": None, "name": "x"}, "credential": "", "format": 1, "kind": kind, "reason": "", "recorded_at": BACK,
            "rows": tables, "sequence": sequence, "subject": "",
        },
        sort_keys=True, separators=(",", ":"),
    )  # fmt: skip


STEP = {"id": 1, "previous_at": AT, "server_at": AT}
DENY, ALLOW = {"id": 1, "choice": "deny"}, {"id": 2, "choice": "allow"}


def read(tmp_path, *lines):
    path = tmp_path / "ledger.ndjson"
    path.write_text("".join(f"{one}\n" for one in lines))
    report = verify.Report()
    verify.read_ledger(path, report)
    return report


def test_what_had_to_wait_for_the_clocks_is_found(tmp_path):
    report = read(
        tmp_path,
        line(1, "consent.decision", consent_decision=DENY, ledger_clockstep=STEP),
        line(2, "consent.decision", consent_decision=ALLOW),
        line(3, "run.requested"),
        line(4, "consent.decision", consent_decision=DENY),
        line(5, "run.frozen"),
        line(6, "clock.settled", ledger_clocksettlement={"id": 1, "stepped_in": 1}),
        line(7, "run.frozen"),
    )

    assert [problem.partition(" had to wait")[0] for problem in report.problems] == [
        "Entry 2", "Entry 3", "Entry 5",
    ]  # fmt: skip
    assert "Entry 1 marks a clock step" in report.notes[0]
    assert BACK in report.notes[0] and AT in report.notes[0]


def test_a_step_that_is_never_settled_lets_nothing_in(tmp_path):
    report = read(
        tmp_path,
        line(1, "consent.decision", consent_decision=DENY, ledger_clockstep=STEP),
        line(2, "rule.approved"),
    )

    assert len(report.problems) == 1


def test_the_script_knows_the_kinds_that_the_portal_writes_anyway():
    assert {
        kind.code for kind in registry.entry_kinds.values() if kind.despite_clocks
    } == verify.WRITTEN_ANYWAY
