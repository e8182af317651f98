"""`make run`: serve what the demo left, or say that there is nothing yet."""

import argparse
import os
import sys
from typing import NoReturn

from demo import stage


def main() -> NoReturn:
    parser = argparse.ArgumentParser(prog="python -m demo.portal", description=__doc__)
    parser.add_argument("--bind", default="127.0.0.1:8000", help="address and port")
    bind = parser.parse_args().bind
    logins = stage.DATA_DIR / stage.LOGINS
    if not logins.exists():
        raise stage.CannotBegin("There is no demo data yet: run `make demo` first.")
    print(f"Logins (for this trial only):\n\n{logins.read_text()}", flush=True)
    stage.demo_environment()
    # Links in letters lead to where the portal is served.
    os.environ["PUBLIC_URL"] = f"http://{bind}"
    # A client waits for the signature over its delivery: in a trial not for five minutes.
    os.environ.setdefault("CHECKPOINT_SECONDS", "15")
    print(f"A member's setting page, for some minutes:\n\n  {stage.setting_link()}\n", flush=True)
    settings = "".join(f"  export {name}={value}\n" for name, value in stage.client_settings(bind))
    print(f"The client's settings, as emil (client/README.md):\n\n{settings}", flush=True)
    os.chdir(stage.ROOT)
    # The same process goes on as the server: one Ctrl-C reaches it, nothing stands in between.
    os.execv(sys.executable, [sys.executable, "manage.py", "serve", "--bind", bind])


if __name__ == "__main__":
    main()
