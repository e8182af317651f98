"""The last checkpoint that was seen of each ledger: a later one must continue it, an earlier one is refused."""

import os
import tempfile
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path

from training_portal import locks
from training_portal.errors import NotVerified
from training_portal.trust.notes import Checkpoint, VerifierKey, check_growth


class Memory:
    """Checkpoints in a private directory, a file for each ledger."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def follow(
        self,
        new: Checkpoint,
        keys: Sequence[VerifierKey],
        prove: Callable[[int, int], str],
    ) -> None:
        """Check that the checkpoint continues the last one, and remember it.

        `prove(old, new)` asks for the consistency proof between two sizes. Raises NotVerified for a checkpoint that is
        older than the last one, of the same size with another root, or not a continuation.
        """
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self.directory / f"{sha256(new.origin.encode()).hexdigest()[:16]}.checkpoint"
        with locks.held(path.with_suffix(".lock")):
            last = self._read(path, keys)
            if last is not None:
                self._check(last, new, keys, prove)
            if last is None or last.size < new.size:
                write_private(path, new.note.encode())

    def _read(self, path: Path, keys: Sequence[VerifierKey]) -> Checkpoint | None:
        if not path.exists():
            return None
        try:
            return Checkpoint.read(
                path.read_text(), keys, "The checkpoint remembered from last time"
            )
        except NotVerified as error:
            error.remedy = (
                f"If people gave you a new key in place of the old one, set PORTAL_KEY to both until this has passed once."
                f" The memory is {path}: do not delete it, it is what shows a rewritten history."
            )
            raise

    @staticmethod
    def _check(
        last: Checkpoint,
        new: Checkpoint,
        keys: Sequence[VerifierKey],
        prove: Callable[[int, int], str],
    ) -> None:
        if new.size < last.size:
            raise NotVerified(
                f"The portal shows a checkpoint of {new.size} entries, and has shown one of {last.size} before.",
                "A backup was restored or history was cut off: use nothing, and tell the portal's people and an auditor.",
                code="older_checkpoint",
            )
        if new.size == last.size:
            if new.root != last.root:
                raise NotVerified(
                    f"Two checkpoints of {new.size} entries have different roots.",
                    "History was rewritten: use nothing, and tell the portal's people and an auditor.",
                    code="ledger_rewritten",
                )
            return
        check_growth(last, new, prove(last.size, new.size), keys, "The consistency proof")


def write_private(path: Path, data: bytes) -> None:
    """Write a file as a whole or not at all, for the owner alone."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
