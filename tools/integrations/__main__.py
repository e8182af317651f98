"""`make integrations`: clients that others wrote, unchanged, against a live portal with a real worker.

The portal is served on SQLite with the bundled broker; each check runs in an environment of its own. A warning is a
failure.
"""

import datetime as dt
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
HOME = Path(__file__).resolve().parent
PYTHON = ROOT / ".venv-integrations" / "bin" / "python"
MEMBERS = 2_000
SECONDS = 60


def main() -> int:
    with tempfile.TemporaryDirectory() as work:
        os.environ["DEMO_DATA_DIR"] = f"{work}/portal"
        from demo import population, stage
        from demo.client import Client

        with stage.only_demo():
            stage.empty_portal()
            stage.invite_people()
            day = dt.date.today()
            stage.load_rules(day)
            stage.import_members(list(population.members(MEMBERS, today=day)))
            token = _token()
            with stage.served() as address:
                client = Client(address, token)
                facts = _lived(client)
                facts |= {"url": f"http://{address[0]}:{address[1]}", "token": token}
                facts_file = Path(work) / "facts.json"
                facts_file.write_text(json.dumps(facts))
                failed = [
                    check.stem
                    for check in sorted(HOME.glob("checks/check_*.py"))
                    if not _passes(check, facts_file)
                ]
    print(f"{len(failed)} checks failed: {', '.join(failed)}." if failed else "Every check passed.")
    return bool(failed)


def _token() -> str:
    from django.contrib.auth.models import User

    from common.identity.tokens import issue_token

    scopes = [
        "runs:read", "runs:write", "manifests:read", "deliveries:write", "receipts:write",
        "lineage:write", "suppression:read",
    ]  # fmt: skip
    _, plain = issue_token(
        user=User.objects.get(username="emil"),
        name="clients of others",
        scopes=scopes,
        days=1,
        actor="system:integrations",
    )
    return plain


def _lived(client: Any) -> dict[str, Any]:
    """A run from its registration to its completion, and its model; what the checks look at."""
    from tools.receipts import Runner, file, statement

    body = {
        "tracker_run_id": "0192e4c5-3c4e-7a1b-9d2f-0000000000aa",
        "purpose": "generative-ai",
        "data_categories": ["posts"],
    }
    run = client.post("runs", body, expect=201).json["reference"]
    client.post(f"runs/{run}/start", expect=202)
    _until(lambda: _verified(client.get(f"runs/{run}?wait=5").json))
    delivery = client.post(f"runs/{run}/deliveries", expect=202).json["reference"]
    _until(lambda: client.get(f"deliveries/{delivery}").json["state"] == "delivered")
    client.post(f"runs/{run}/training")
    runner = Runner()
    challenge = client.post("me/keys/challenges").json["challenge"]
    client.post("me/keys", runner.answer(challenge), expect=201)
    now = dt.datetime.now(dt.UTC).isoformat().replace("+00:00", "Z")
    envelope = runner.sign(
        statement(
            client.get(f"runs/{run}").json,
            client.get(f"deliveries/{delivery}").json,
            inputs=[file("raw/posts.parquet", b"raw", 1_000)],
            outputs=[file("clean/posts.parquet", b"clean", 930)],
            dropped={"excluded": 70},
            started_at=now,
            ended_at=now,
            content={"earliest": "2019-01-01", "latest": "2026-09-30"},
            redaction={"engine": "sample", "version": "1", "hits_by_kind": {"email": 12}},
        )
    )
    receipt = client.post(f"runs/{run}/receipts", envelope, expect=201).json["reference"]
    client.post(f"runs/{run}/complete")
    facts = {"licence_url": "https://example.org/terms", "page_url": "https://example.org/data"}
    client.post(
        "models",
        {"name": "sample-model", "title": "Sample model", "version": "1.0.0", "facts": facts},
    )
    client.post("models/sample-model/runs", {"run": run})
    return {
        "run": run,
        "tracker_run_id": body["tracker_run_id"],
        "receipt": receipt,
        "public_key": runner.public_bytes.hex(),
        "keyid": runner.keyid,
    }


def _verified(run: Any) -> bool:
    return run["manifest"] is not None and run["manifest"]["verification"] == "agrees"


def _until(is_so: Any) -> None:
    until = time.monotonic() + SECONDS
    while not is_so():
        if time.monotonic() > until:
            raise TimeoutError("The portal took too long.")
        time.sleep(0.2)


def _passes(check: Path, facts: Path) -> bool:
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as empty:
        done = subprocess.run(
            [PYTHON, check, facts],
            cwd=empty,
            capture_output=True,
            text=True,
            check=False,
            timeout=180,
            env={
                "PATH": os.environ["PATH"],
                "HOME": empty,
                "PYTHONPATH": f"{ROOT}/client/src:{ROOT}/client/tests/prepare",
                "CONFIG": str(HOME / "python-client.yaml"),
                "NODE": str(HOME / "node_modules" / ".bin"),
            },
        )
    print(
        f"{check.stem}: {'ok' if done.returncode == 0 else 'FAILED'}, {time.monotonic() - began:.1f} s"
    )
    for line in (done.stdout + (done.stderr if done.returncode else "")).splitlines()[-40:]:
        print(f"  {line}")
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
