"""The audit of the story: a checkpoint kept from the beginning, an export, and the outsider's own check of it."""

import logging
import subprocess
import sys
import tempfile
from collections.abc import Callable
from io import StringIO
from pathlib import Path

from demo import stage

EXPORT = "export"
KEPT = "kept.checkpoint"
_VERIFY = stage.ROOT / "outsider" / "verify.py"


def keep_checkpoint() -> int:
    """An auditor's act on the first day: keep a signed checkpoint. Returns how many entries it covers."""
    from ledger.checkpoints import signing

    # What it logs is for operators; the story says it in words.
    logging.getLogger("ledger.checkpoints.signing").setLevel(logging.ERROR)
    checkpoint = signing.sign_now()
    (stage.DATA_DIR / KEPT).write_text(checkpoint.note)
    signing.delivered(checkpoint, "download", "ada")
    return checkpoint.size


def audit(*, say: Callable[[str], None]) -> bool:
    """Sign, export, and have the export checked by plain Python in an empty directory; whether nothing is wrong."""
    from django.core.management import call_command

    from auditing import verification
    from ledger.checkpoints import signing

    verification.check_tonight(seconds=0)
    signing.sign_now()
    purpose = "the audit at the end of the demo"
    call_command(
        "export_ledger",
        str(stage.DATA_DIR / EXPORT),
        by="ada",
        purpose=purpose,
        stdout=StringIO(),
    )
    return check(stage.DATA_DIR / EXPORT, say=say)


def check(export: Path, *, say: Callable[[str], None]) -> bool:
    """Run `verify.py` on an export from an empty directory, without anything of ours; whether nothing is wrong."""
    key = (export / "keys.txt").read_text().split()[0]
    kept = stage.DATA_DIR / KEPT
    with tempfile.TemporaryDirectory() as nowhere:
        done = subprocess.run(
            [sys.executable, "-I", "-S", _VERIFY, "export", export, "--key", key, "--kept", kept],
            cwd=nowhere,
            capture_output=True,
            text=True,
            check=False,
        )
    for line in (done.stdout + done.stderr).splitlines():
        say(f"  {line.replace(f'{stage.DATA_DIR}/', '')}")
    return done.returncode == 0
