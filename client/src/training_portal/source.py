"""The portal as a source for `trust`: every file by way of the cache, every answer as bytes that others check."""

import datetime as dt
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

from pyroaring import BitMap

from training_portal.cache import Cache
from training_portal.errors import TryAgain
from training_portal.http import Session
from training_portal.progress import Progress
from training_portal.trust import Withdrawals
from training_portal.trust.sealed import KIND, SealedDelivery, SealedFile

T = TypeVar("T")
_PAUSE = 3.0


class PortalSource:
    """`patience` are the seconds for which the next signature of the portal is waited for."""

    def __init__(
        self, session: Session, cache: Cache, progress: Progress, *, patience: float = 900
    ) -> None:
        self._session = session
        self._cache = cache
        self._progress = progress
        self._patience = patience

    def deliveries_made(self, run: str) -> Sequence[int]:
        found = self._session.pages(f"runs/{run}/entries")
        return [one["sequence"] for one in found if one["kind"] == KIND]

    def entry_proof(self, run: str, sequence: int) -> str:
        return self._once_signed(
            lambda: self._session.get(f"runs/{run}/entries/{sequence}/proof").text
        )

    def entry(self, run: str, sequence: int) -> bytes:
        return self._session.get(f"runs/{run}/entries/{sequence}").body

    def consistency(self, old: int, new: int) -> str:
        return self._session.get("me/consistency", params={"old": old, "new": new}).text

    def delivery_archive(self, delivery: SealedDelivery) -> bytes:
        path = f"deliveries/{delivery.reference}/archive"
        return self._file(delivery, path, delivery.archive, delivery.archive_bytes).read_bytes()

    def manifest_archive(self, run: str, digest: str, delivery: SealedDelivery) -> bytes:
        return self._file(delivery, f"runs/{run}/manifest/archive", digest, None).read_bytes()

    def manifest_checkpoint(self, run: str) -> str:
        return self._once_signed(lambda: self._session.get(f"runs/{run}/manifest/checkpoint").text)

    def list_file(self, delivery: SealedDelivery, file: SealedFile) -> Path:
        path = f"deliveries/{delivery.reference}/files/{file.name}"
        return self._file(delivery, path, file.sha256, file.bytes)

    def withdrawn(self, run: str) -> Withdrawals:
        answer = self._session.get(f"runs/{run}/withdrawn", params={"page_size": 500}).json
        digest, numbers = answer["digest"], BitMap()
        while True:
            # The pages belong to one answer, to which the cursor leads.
            numbers |= BitMap(one["member_number"] for one in answer["results"])
            if not answer["next"]:
                return Withdrawals(numbers, digest)
            answer = self._session.following(answer["next"], f"runs/{run}/withdrawn").json

    def now(self) -> dt.datetime:
        return self._session.now()

    def _file(self, delivery: SealedDelivery, path: str, digest: str, size: int | None) -> Path:
        name = path.rpartition("/")[2]

        def bring(to: Path) -> None:
            said = partial(self._progress.file, name)
            self._session.download(path, to, digest=digest, size=size, progress=said)

        return self._cache.file(delivery.reference, delivery.leased_until, digest, bring)

    def _once_signed(self, ask: Callable[[], T]) -> T:
        until, said = time.monotonic() + self._patience, False
        while True:
            try:
                return ask()
            except TryAgain as error:
                if error.code != "no_proof" or time.monotonic() > until:
                    raise
            if not said:
                self._progress.step(
                    "The portal signs what it has recorded; that takes some minutes"
                )
                said = True
            time.sleep(_PAUSE)
