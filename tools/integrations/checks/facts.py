"""The portal that a check runs against: its address, a token, and what was done with it before."""

import json
import sys
import urllib.request
from pathlib import Path
from typing import Any

FACTS: dict[str, Any] = json.loads(Path(sys.argv[1]).read_text())


def get(path: str) -> Any:
    """The JSON of an answer."""
    request = urllib.request.Request(
        f"{FACTS['url']}/api/v1/{path}", headers={"Authorization": f"Bearer {FACTS['token']}"}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)
