"""A preparation in a process of its own, for tests that end it: `python child.py DIRECTORY [MAX_BYTES_OF_A_FILE]`."""

import resource
import signal
import sys
from pathlib import Path

from making import COLUMNS, KEY, OPTIONS, make_permission

from training_portal.errors import PortalError
from training_portal.prepare import Redaction, prepare
from training_portal.redaction import Profile

DELIVERED, POPULATION = range(1, 801), 1000


def main(directory: Path, limit: int = 0) -> int:
    permission = make_permission(directory, DELIVERED, population=POPULATION)
    inputs = sorted((directory / "raw").glob("*.parquet"))
    if limit:
        # A file that grows beyond it ends as on a full disk: with an error, and not with the process.
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    print("begins", flush=True)  # noqa: T201  the test reads it
    try:
        prepare(
            inputs, directory / "clean", permission=permission, columns=COLUMNS, key=KEY,
            redaction=Redaction(Profile.load()), options=OPTIONS,
        )  # fmt: skip
    except PortalError as error:
        print(error.code, flush=True)  # noqa: T201
        return error.exit_code
    return 0


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1]), *map(int, sys.argv[2:])))
