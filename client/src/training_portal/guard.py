"""The end of a command whose starter was killed (SIGKILL, out of memory) and could not stop it.

A shell waits beside the command on a pipe from its starter. The pipe closes when the starter is gone, whatever ended it.
Unless the starter said `ended` before, the shell then ends the group of the command. A signal that the kernel sends at the
death of a parent (PR_SET_PDEATHSIG) would reach the command alone and not its children, and only on Linux.
"""

import contextlib
import math
import os
import subprocess
from collections.abc import Callable, Iterator

_GUARD = """
while read -r line; do
    [ "$line" = ended ] && exit 0
    group=$line
done
[ -n "$group" ] || exit 0
kill -s TERM -- "-$group"
while [ "$1" -gt 0 ] && kill -s 0 -- "-$group"; do sleep 1; set -- $(($1 - 1)); done
kill -s KILL -- "-$group"
"""


@contextlib.contextmanager
def guarded(grace: float) -> Iterator[Callable[[int], None]]:
    """A block that starts a command: it tells the guard the group of the command, by its leader's process id.

    Where this process is gone before the block has ended, the group gets SIGTERM, and after `grace` seconds SIGKILL.
    """
    guard = subprocess.Popen(
        ["/bin/sh", "-c", _GUARD, "guard", str(math.ceil(grace))],
        env={"PATH": os.defpath},
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        # Ctrl-C is for the command.
        start_new_session=True,
    )
    assert guard.stdin is not None
    pipe = guard.stdin

    def say(words: str) -> None:
        # The guard was killed: the command goes on without it.
        with contextlib.suppress(BrokenPipeError):
            os.write(pipe.fileno(), f"{words}\n".encode())

    try:
        yield lambda group: say(str(group))
    finally:
        say("ended")
        pipe.close()
        guard.wait()
