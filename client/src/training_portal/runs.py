"""A training run from its registration to its end, in three lines:

    portal = Portal.from_environment()
    with portal.training_run(purpose="generative-ai", data_categories=["posts"], tracker_run_id="…") as run:
        permission = run.permission()

Entering registers and starts the run, waits for its manifest and its delivery, verifies both and says that training
begins. Inside it is kept alive. Leaving completes it on its receipt, or marks it failed where an error leaves the block.
"""

import datetime as dt
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

from pyroaring import BitMap

from training_portal import keys, receipts, waiting
from training_portal.alive import SECONDS, Heart
from training_portal.cache import Cache
from training_portal.errors import LeaseOver, Misuse, NotVerified, Refused, Withdrawn
from training_portal.http import Session
from training_portal.permission import Permission
from training_portal.progress import Progress, Silent
from training_portal.settings import Settings, load
from training_portal.source import PortalSource
from training_portal.trust import Memory, Trust, VerifierKey

if TYPE_CHECKING:
    from training_portal.data_sets import Made
    from training_portal.prepare import Columns, DataSet, Engine, Redaction

Form = Literal["list", "set"]
_ENDED = frozenset({"completed", "cancelled"})


class Portal:
    """The portal, asked with one token and verified with pinned keys. Close it, or use it as a context manager."""

    def __init__(self, settings: Settings, *, progress: Progress | None = None) -> None:
        self.settings = settings
        self.progress: Progress = progress or Silent()
        self.session = Session(settings, warn=self.progress.warn)
        self.cache = Cache(settings.cache, self.session.now)

    @classmethod
    def from_environment(cls, *, progress: Progress | None = None) -> "Portal":
        """By `training_portal.settings`. Raises Misuse with what is missing."""
        return cls(load(), progress=progress)

    def __enter__(self) -> "Portal":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.session.close()

    def me(self) -> dict[str, Any]:
        """The token's account, its scopes and its end."""
        return dict(self.session.get("me").json)

    def data_set(self, directory: Path, *, run: str | None = None) -> "DataSet":
        """The data set in a directory, signed by this machine's key or by one that the portal knows of this account.

        See `training_portal.prepare.verify_directory`. Raises NotVerified, LeaseOver.
        """
        from training_portal.prepare import verify_directory

        known = keys.trusted(self.settings.state, self.session)
        return verify_directory(directory, keys=known, now=self.session.now(), run=run)

    @property
    def trust(self) -> Trust:
        """The pinned keys. Raises Misuse where there is none: an unpinned key proves nothing."""
        if not self.settings.keys:
            raise Misuse(
                "There is no key to verify with.",
                "Set PORTAL_KEY to the verifier key that came with the token, from people, not from the portal.",
                code="no_key",
            )
        pinned = tuple(VerifierKey.parse(text) for text in self.settings.keys)
        return Trust(pinned, Memory(self.settings.state))

    def run(self, reference: str) -> "TrainingRun":
        """A run that is registered. Raises Misuse where there is no such run."""
        return TrainingRun(self, self.session.get(f"runs/{reference}").json)

    def register(
        self,
        *,
        purpose: str,
        data_categories: Sequence[str],
        tracker_run_id: str = "",
        title: str = "",
        parent: str | None = None,
    ) -> "TrainingRun":
        """Register a run; the same `tracker_run_id` again gives the same run. Without one it is a new run each time."""
        body = {
            "tracker_run_id": tracker_run_id or f"training-portal-{uuid.uuid4()}",
            "purpose": purpose,
            "data_categories": sorted(set(data_categories)),
            "title": title,
            **({"parent": parent} if parent else {}),
            **({"team": self.settings.team} if self.settings.team else {}),
        }
        facts = self.session.post("runs", body).json
        return TrainingRun(self, facts, asked=(purpose, tuple(body["data_categories"])))

    def training_run(
        self,
        *,
        purpose: str,
        data_categories: Sequence[str],
        tracker_run_id: str = "",
        title: str = "",
        parent: str | None = None,
        form: Form = "list",
        accept_unmatched: bool = False,
    ) -> "TrainingRun":
        """A run to be used in a `with` block; see the head of this module."""
        run = self.register(
            purpose=purpose,
            data_categories=data_categories,
            tracker_run_id=tracker_run_id,
            title=title,
            parent=parent,
        )
        run.form = form
        run.accept_unmatched = accept_unmatched
        return run


class TrainingRun:
    """A run. Each method can be repeated: what is done already is not done again."""

    def __init__(
        self,
        portal: Portal,
        facts: Mapping[str, Any],
        *,
        asked: tuple[str, tuple[str, ...]] | None = None,
    ) -> None:
        self.portal = portal
        self.facts: dict[str, Any] = dict(facts)
        """The run as the portal last showed it."""
        self.form: Form = "list"
        self.accept_unmatched = False
        """Start although objections reach no account for longer than the portal's policy allows; it keeps that."""
        self._asked = asked
        self._permission: Permission | None = None
        self._members: BitMap | None = None
        self._leased_until: dt.datetime | None = None
        self._heart: Heart | None = None

    def __repr__(self) -> str:
        return f"<TrainingRun {self.reference}, {self.state}>"

    @property
    def reference(self) -> str:
        return str(self.facts["reference"])

    @property
    def state(self) -> str:
        return str(self.facts["state"])

    @property
    def path(self) -> str:
        return f"runs/{self.reference}"

    def refresh(self) -> dict[str, Any]:
        self.facts = dict(self.portal.session.get(self.path).json)
        return self.facts

    # --- To the permission ----------------------------------------------------------------------

    def freeze(self) -> dict[str, Any]:
        """Start the run where it was not, and wait until its manifest verified.

        Raises Refused with every gap, NotVerified where the second computation differs, TryAgain without a worker.
        """
        if self.state == "registered":
            try:
                accepted = {"accept_unmatched": True} if self.accept_unmatched else {}
                self._post("start", accepted, is_repeatable=False)
            except Refused as error:
                # Another process may have been faster.
                if error.code != "forbidden_move":
                    raise
        self.facts = dict(
            waiting.until(
                self._is_frozen,
                session=self.portal.session,
                path=self.path,
                progress=self.portal.progress,
                what=f"The manifest of {self.reference} is being frozen and verified",
                patience=self.portal.settings.patience,
            )
        )
        return self.facts

    def _is_frozen(self, facts: Mapping[str, Any]) -> bool:
        if facts["state"] in _ENDED:
            raise Refused(
                f"{self.reference} is {facts['state']}.",
                f"Using its data again is a run of its own, with parent={self.reference}.",
                code=f"run_{facts['state']}",
            )
        verification = (facts["manifest"] or {}).get("verification")
        if verification == "differs":
            raise NotVerified(
                f"The manifest of {self.reference} does not verify.",
                "It stays closed for good: tell the operator, and register another run.",
                code="manifest_blocked",
            )
        return verification == "agrees"

    def deliver(self, *, renew: bool = False) -> dict[str, Any]:
        """Request a delivery and wait until it is made; the one whose lease lasts, or with `renew` the next one."""
        session = self.portal.session
        facts = session.post(f"{self.path}/deliveries", {"form": self.form}).json
        if renew and facts["state"] == "delivered":
            facts = session.post(f"deliveries/{facts['reference']}/renewals").json
        return dict(
            waiting.until(
                self._is_delivered,
                session=session,
                path=f"deliveries/{facts['reference']}",
                progress=self.portal.progress,
                what=f"The delivery {facts['reference']} is being made",
                patience=self.portal.settings.patience,
            )
        )

    @staticmethod
    def _is_delivered(facts: Mapping[str, Any]) -> bool:
        if facts["state"] in ("requested", "delivered"):
            return bool(facts["state"] == "delivered")
        raise LeaseOver(
            f"{facts['reference']} is {facts['state']}. {facts['end_reason']}".strip(),
            f"Request another one: training-portal fetch {facts['run']}.",
        )

    def verify(self, delivery: str, *, with_lists: bool = True) -> Permission:
        """Verify a delivery in the fixed order (`training_portal.trust`). Raises NotVerified, LeaseOver, TryAgain."""
        portal = self.portal
        portal.progress.step(f"{delivery} is being brought and verified")
        source = PortalSource(
            portal.session, portal.cache, portal.progress, patience=portal.settings.patience
        )
        try:
            permission = portal.trust.verify(
                source, run=self.reference, delivery=delivery, with_lists=with_lists
            )
            if self._asked not in (None, (permission.purpose, permission.data_categories)):
                raise NotVerified(
                    f"{delivery} is for {permission.purpose} with {', '.join(permission.data_categories)},"
                    " and something else was asked for."
                )
        except NotVerified:
            # A file that was damaged on this machine is brought anew the next time.
            portal.cache.drop(delivery)
            raise
        return permission

    def permission(self) -> Permission:
        """The verified permission; the first call makes it, with all that it takes. Later calls check the lease."""
        if self._permission is None:
            # First, because a missing key would be noticed an hour later.
            _ = self.portal.trust
            self.freeze()
            self._take(self.verify(self.deliver()["reference"]))
        assert self._permission is not None
        if self._heart is not None:
            self._heart.reads()
        self.check()
        return self._permission

    def renew(self) -> Permission:
        """The permission of the next delivery: without those who left meanwhile, with a new lease."""
        permission = self.verify(self.deliver(renew=True)["reference"])
        self._take(permission)
        return permission

    def permission_of(self, delivery: str) -> Permission:
        """The permission of one delivery of the run, verified; from now on it is the run's own."""
        permission = self.verify(delivery)
        self._take(permission)
        return permission

    def _take(self, permission: Permission) -> None:
        self._permission = permission
        self.watch(permission.members, permission.leased_until)

    def redaction_list(self) -> dict[str, Any]:
        """Borrow the list of people without an account for the delivery (`list_version`, `until`, `entries`, `lines`).

        It names people who objected: keep it in memory, never write it down. Needs the scope `suppression:read`.
        """
        delivery = self.permission().delivery
        return dict(self.portal.session.post(f"deliveries/{delivery}/redaction-list").json)

    def prepare(
        self,
        inputs: Sequence[Path],
        output: Path,
        *,
        columns: "Columns",
        redaction: "Redaction | None",
        accept_unknown: str = "",
        engine: "Engine" = "duckdb",
    ) -> "Made":
        """Make the run's data set and send its receipt (`training_portal.data_sets`); again it goes on where it was."""
        from training_portal.data_sets import make

        return make(
            self,
            inputs,
            output,
            columns=columns,
            redaction=redaction,
            accept_unknown=accept_unknown,
            engine=engine,
        )

    # --- The receipt ----------------------------------------------------------------------------

    def send_receipt(self, statement: Mapping[str, Any]) -> dict[str, Any]:
        """Sign a statement with the key of this machine and send it; the same one again gives the same receipt."""
        return self.send_envelope(self.sign(statement))

    def sign(self, statement: Mapping[str, Any]) -> dict[str, Any]:
        """The statement in an envelope of this machine's key, which is made and registered where that was not done."""
        key = keys.load_or_make(self.portal.settings.state)
        keys.register(self.portal.session, key)
        return receipts.envelope(statement, key)

    def send_envelope(self, envelope: Mapping[str, Any]) -> dict[str, Any]:
        """Send a receipt that is signed already."""
        return dict(self._post("receipts", dict(envelope)))

    # --- Training -------------------------------------------------------------------------------

    def watch(self, members: BitMap, leased_until: dt.datetime) -> None:
        """Follow a data set that was prepared before: whose rows it has, and until when it may be used."""
        self._members, self._leased_until = members, leased_until

    def begin(
        self,
        *,
        delivery: str = "",
        is_reading: bool = False,
        beat_seconds: float = SECONDS,
        acknowledge: str = "",
    ) -> None:
        """Say that training begins on a delivery, by default the permitted one, and keep saying that it lives.

        `acknowledge` is the digest of who has withdrawn and is not in the data any more.
        """
        permission = self._permission
        if permission is not None:
            delivery = delivery or permission.delivery
            if permission.withdrawn:
                # They were left out of the data, and the run says that it knows.
                acknowledge = acknowledge or permission.withdrawn_digest
        self._post("training", {"delivery": delivery} if delivery else {})
        self.facts["state"] = "training"
        self._heart = Heart(self, is_reading=is_reading, seconds=beat_seconds)
        if acknowledge:
            self.acknowledge(acknowledge)
        self._heart.start()

    def check(self) -> None:
        """Raise LeaseOver or Withdrawn where the data may not be used as it is any more; call it at each checkpoint."""
        until = self._leased_until
        if until is not None and self.portal.session.now() >= until:
            raise LeaseOver(
                f"The lease of the data of {self.reference} ended at {until:%Y-%m-%dT%H:%M:%SZ}.",
                "Stop, renew the delivery and prepare again.",
            )
        if self._heart is not None and self._heart.stopped_by is not None:
            raise self._heart.stopped_by

    def withdrawn(self) -> tuple[BitMap, str]:
        """The members in use who have withdrawn by now, and the digest that acknowledges everybody who has.

        In use are those of the permission or of the data set that is watched, else everybody in the manifest.
        """
        source = PortalSource(self.portal.session, self.portal.cache, self.portal.progress)
        answer = source.withdrawn(self.reference)
        if self._members is None:
            return answer.numbers, answer.digest
        return answer.numbers & self._members, answer.digest

    def acknowledge(self, digest: str) -> None:
        """Say that the training knows who has withdrawn, by the digest of `withdrawn()`."""
        self._post("withdrawn/acknowledgements", {"digest": digest})
        if self._heart is not None and isinstance(self._heart.stopped_by, Withdrawn):
            self._heart.stopped_by = None

    def gate(self, delivery: str = "") -> dict[str, Any]:
        """Whether the run may be trained on now. Raises Refused, LeaseOver or TryAgain with the reason."""
        asked = {"delivery": delivery} if delivery else {}
        return dict(self.portal.session.get(f"{self.path}/gate", params=asked).json)

    def complete(self, receipt: str = "") -> dict[str, Any]:
        """Complete the run on a receipt, by default its newest one. This cannot be undone."""
        self._still()
        self.facts = dict(self._post("complete", {"receipt": receipt} if receipt else {}))
        return self.facts

    def fail(self, reason: str) -> dict[str, Any]:
        """Say that training failed. Give a kind of error, never its text: that may hold what members wrote."""
        self._still()
        self.facts = dict(self._post("fail", {"reason": reason}))
        return self.facts

    def _still(self) -> None:
        if self._heart is not None:
            self._heart.stop()
            self._heart = None

    def _post(self, path: str, body: Any = None, *, is_repeatable: bool = True) -> Any:
        return self.portal.session.post(
            f"{self.path}/{path}", body, is_repeatable=is_repeatable
        ).json

    # --- A block --------------------------------------------------------------------------------

    def __enter__(self) -> "TrainingRun":
        self.permission()
        self.begin()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None:
            self.fail(f"The training ended with {kind.__name__}.")
            return
        try:
            self.check()
        except (LeaseOver, Withdrawn) as stop:
            self.fail(f"The training ended with {stop.code}.")
            raise
        self.complete()
