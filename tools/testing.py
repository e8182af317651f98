"""The tests' environment, set before Django reads its settings (pytest loads this first: `-p tools.testing`).

DATABASE_URL if given; else TEST_DATABASE=postgresql starts an embedded server; else SQLite in a file.
"""

import atexit
import contextlib
import os
import tempfile

from tools import postgres

_stack = contextlib.ExitStack()
atexit.register(_stack.close)

data_dir = _stack.enter_context(tempfile.TemporaryDirectory(prefix="portal-test-"))
os.environ["PORTAL_ENV"] = "development"
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
os.environ["PORTAL_DATA_DIR"] = data_dir
# The machine that tests may be nearly full: what that changes has tests of its own.
os.environ["MIN_FREE_BYTES"] = os.environ["MIN_FREE_PERCENT"] = "0"
# Browser tests keep an event loop in the main thread; nothing here is asynchronous.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
if not os.environ.get("DATABASE_URL") and os.environ.get("TEST_DATABASE") == "postgresql":
    os.environ["DATABASE_URL"] = _stack.enter_context(postgres.server())
