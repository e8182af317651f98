"""Members who switch the setting off and on while runs are frozen, one by one and in bulk."""

import datetime as dt
import random
import threading
from collections.abc import Sequence
from typing import Any

from demo.client import Client, UnexpectedAnswer

OFF_SHARE = 0.7
BULK_EVERY = 3
BULK_SIZE = 100


class Switching(threading.Thread):
    """Sends decisions until `stop`; `acknowledged` counts what the portal answered for."""

    def __init__(self, client: Client, account_refs: Sequence[str], *, seed: int) -> None:
        super().__init__(name="switching", daemon=True)
        self.acknowledged = 0
        self._client = client
        self._account_refs = account_refs
        self._chance = random.Random(seed)
        self._sent = 0
        self._seed = seed
        self._stopped = threading.Event()
        self._failure: Exception | None = None

    def run(self) -> None:
        try:
            while not self._stopped.is_set():
                if self._chance.randrange(BULK_EVERY):
                    self._client.post("decisions", self._decision(), expect=201)
                    self.acknowledged += 1
                else:
                    self.send_bulk(self._chance.choices(self._account_refs, k=BULK_SIZE))
                # A steady trickle: the freezes must not depend on members holding still, nor wait for them.
                self._stopped.wait(0.02)
        except Exception as error:
            # Raised again by `stop`, where the caller sees it.
            self._failure = error

    def send_bulk(self, account_refs: Sequence[str]) -> None:
        answer = self._client.post_lines(
            "decisions/bulk", [self._decision(account_ref) for account_ref in account_refs]
        )
        for line in answer.lines:
            if line["status"] != "recorded":
                raise UnexpectedAnswer(f"A decision was refused: {line['code']}.")
        self.acknowledged += len(answer.lines)

    def stop(self) -> None:
        """End, and raise what went wrong on the way."""
        self._stopped.set()
        self.join()
        if self._failure is not None:
            raise self._failure

    def _decision(self, account_ref: str = "") -> dict[str, Any]:
        self._sent += 1
        return {
            "account_ref": account_ref or self._chance.choice(self._account_refs),
            "purpose": "generative-ai",
            "choice": "deny" if self._chance.random() < OFF_SHARE else "allow",
            "channel": "product",
            "source_id": f"demo-{self._seed}-{self._sent}",
            "decided_at": dt.datetime.now(dt.UTC).isoformat(),
        }
