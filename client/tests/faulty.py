"""A network that fails: a proxy before the live portal that cuts connections and answers for a portal that is busy."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx


class Faults:
    """What goes wrong next, each once: statuses to answer with, and lengths after which an answer is cut."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.cuts: list[int] = []
        self.seen: list[tuple[str, str, str]] = []
        """Method, path and Range of each request that came."""


@contextmanager
def faulty_network(portal: str) -> Iterator[tuple[str, Faults]]:
    """The address of the proxy, and what goes wrong in it."""
    faults = Faults()
    client = httpx.Client(base_url=portal, timeout=60)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._pass_on()

        do_POST = do_GET  # noqa: N815  the library's names
        do_DELETE = do_GET  # noqa: N815

        def _pass_on(self) -> None:
            faults.seen.append((self.command, self.path, self.headers.get("Range", "")))
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            if faults.statuses:
                self.send_response(faults.statuses.pop(0))
                self.send_header("Retry-After", "0")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            headers = {k: v for k, v in self.headers.items() if k.lower() != "host"}
            answer = client.request(self.command, self.path, headers=headers, content=body)
            self.send_response(answer.status_code)
            for name, value in answer.headers.items():
                if name.lower() not in ("transfer-encoding", "connection", "content-encoding", "content-length"):  # fmt: skip
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            cut = faults.cuts.pop(0) if faults.cuts and "/files/" in self.path else None
            self.wfile.write(answer.content[:cut])
            if cut is not None:
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", faults
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
        client.close()
