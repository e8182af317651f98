"""`exec`: a training on a data set that was verified a moment ago, reported to the portal until it ends.

    verified data set → its receipt is the portal's → the gate → who has withdrawn → training begins → the command

The command is stopped when the lease ends, when members withdraw, or when this process is killed; its exit code completes the
run, or fails it.
"""

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Literal

from pyroaring import BitMap

from training_portal.alive import SECONDS, withdrawn
from training_portal.errors import Misuse, PortalError, Withdrawn
from training_portal.guard import guarded
from training_portal.prepare import DataSet
from training_portal.prepare.verifying import numbers_in
from training_portal.runs import Portal, TrainingRun

OnWithdrawal = Literal["stop", "acknowledge"]
GRACE = 60.0
"""Seconds that a command has to end by itself once it was told to."""
_LOOK = 0.5
_SECRET = ("PORTAL_TOKEN", "PORTAL_TOKEN_FILE")
"""Not passed on: the command needs no right of the runner."""


@dataclass(frozen=True)
class Execution:
    """The end of a training."""

    run: str
    receipt: str
    exit_code: int
    """Of the command; 128 and the signal's number where a signal ended it."""

    @property
    def is_completed(self) -> bool:
        return self.exit_code == 0


def execute(
    portal: Portal,
    directory: Path,
    command: Sequence[str],
    *,
    on_withdrawal: OnWithdrawal = "stop",
    beat_seconds: float = SECONDS,
    grace_seconds: float = GRACE,
) -> Execution:
    """Train with a command on the data set in a directory.

    Raises NotVerified, LeaseOver, Withdrawn, Refused or TryAgain before the command begins; LeaseOver or Withdrawn when
    it was stopped for that, after the run was marked failed. A command that ends badly is no error of this call.
    """
    if not command:
        raise Misuse("There is no command.", "training-portal exec --data DIR -- python train.py")
    portal.progress.step("The data set is verified")
    data = portal.data_set(directory)
    said = data.predicate
    run = portal.run(said["run"])
    receipt = str(run.send_envelope(data.envelope)["reference"])
    run.gate(said["delivery"]["reference"])
    run.watch(members_in(data), data.leased_until)
    since, digest = run.withdrawn()
    if since and on_withdrawal == "stop":
        raise withdrawn(run.reference, len(since))
    run.begin(
        delivery=said["delivery"]["reference"],
        is_reading=True,
        beat_seconds=beat_seconds,
        acknowledge=digest,
    )
    environment = environment_of(data, receipt, portal.settings.url)
    code = _run(run, command, environment, on_withdrawal, grace_seconds)
    if code == 0:
        run.complete(receipt)
    else:
        run.fail(f"The training ended with exit code {code}.")
    return Execution(run.reference, receipt, code)


def members_in(data: DataSet) -> BitMap:
    """The members whose rows are in the data set."""
    found = BitMap()
    for name in data.names:
        for numbers in numbers_in(data.directory / name):
            found |= BitMap(numbers)
    return found


def environment_of(data: DataSet, receipt: str, url: str) -> dict[str, str]:
    """Variables that tell a training, a tracker or a callback of its data."""
    said = data.predicate
    return {
        "PORTAL_URL": url,
        "PORTAL_RUN": said["run"],
        "PORTAL_PURPOSE": said["purpose"],
        "PORTAL_MANIFEST": said["manifest"],
        "PORTAL_DELIVERY": said["delivery"]["reference"],
        "PORTAL_LEASED_UNTIL": said["delivery"]["leased_until"],
        "PORTAL_RECEIPT": receipt,
        "PORTAL_DATA": str(data.directory.resolve()),
    }


def _run(
    run: TrainingRun,
    command: Sequence[str],
    environment: Mapping[str, str],
    on_withdrawal: OnWithdrawal,
    grace: float,
) -> int:
    """The exit code of the command. Whatever stops it in between marks the run failed and is raised."""
    inherited = {name: value for name, value in os.environ.items() if name not in _SECRET}
    with guarded(grace) as guard:
        try:
            child = subprocess.Popen(
                list(command), env={**inherited, **environment}, start_new_session=True
            )
        except OSError as error:
            run.fail("The command could not be started.")
            raise Misuse(f"The command {command[0]} cannot be started: {error.strerror}.") from None
        try:
            guard(child.pid)
            with _passed_on(child):
                return _watched(run, child, on_withdrawal)
        except BaseException as error:
            _stop(child, grace)
            code = error.code if isinstance(error, PortalError) else type(error).__name__
            run.fail(f"The training was stopped: {code}.")
            raise


def _watched(
    run: TrainingRun, child: "subprocess.Popen[bytes]", on_withdrawal: OnWithdrawal
) -> int:
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            code = child.wait(timeout=_LOOK)
            return 128 - code if code < 0 else code
        try:
            run.check()
        except Withdrawn:
            if on_withdrawal == "stop":
                raise
            _, digest = run.withdrawn()
            run.acknowledge(digest)


@contextlib.contextmanager
def _passed_on(child: "subprocess.Popen[bytes]") -> Iterator[None]:
    """Ctrl-C and SIGTERM reach the command, which decides how it ends."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def pass_on(number: int, _: FrameType | None) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, number)

    before = {one: signal.signal(one, pass_on) for one in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def _stop(child: "subprocess.Popen[bytes]", grace: float) -> None:
    """Tell the command and its children to end, and make them."""
    for number, patience in ((signal.SIGTERM, grace), (signal.SIGKILL, 10.0)):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(timeout=patience)
            return
