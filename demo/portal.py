"""`make run`: serve what the demo left, or say that there is nothing yet."""

import os
import sys
from typing import NoReturn

from demo import stage


def main() -> NoReturn:
    logins = stage.DATA_DIR / stage.LOGINS
    if not logins.exists():
        raise stage.CannotBegin("There is no demo data yet: run `make demo` first.")
    print(f"Logins (for this trial only):\n\n{logins.read_text()}", flush=True)
    stage.demo_environment()
    os.chdir(stage.ROOT)
    # The same process goes on as the server: one Ctrl-C reaches it, nothing stands in between.
    os.execv(sys.executable, [sys.executable, "manage.py", "serve", *sys.argv[1:]])


if __name__ == "__main__":
    main()
