"""openapi-python-client generates a client without a warning, and the client reads `/me`."""

import json
import os
import subprocess
import sys
from pathlib import Path

from facts import FACTS, get

Path("openapi.json").write_text(json.dumps(get("schema/?format=json")))
done = subprocess.run(
    [
        Path(sys.executable).parent / "openapi-python-client", "generate", "--path", "openapi.json",
        "--output-path", "client", "--meta", "none", "--fail-on-warning", "--config", os.environ["CONFIG"],
    ],
    capture_output=True,
    text=True,
    check=False,
)  # fmt: skip
print((done.stdout + done.stderr).strip())
if done.returncode or "warning" in (done.stdout + done.stderr).lower():
    raise SystemExit("The client was not generated without a warning.")

sys.path.insert(0, ".")
from client import AuthenticatedClient  # noqa: E402
from client.api.me import read_me  # noqa: E402

me = read_me.sync(client=AuthenticatedClient(FACTS["url"], FACTS["token"]))
assert me.user == "emil", me
print(f"the generated client is {me.user}, API {me.api_version}")
