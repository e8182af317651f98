"""Fetching a list over a network that cuts, while deliveries end: the same bytes to the same digest, or a refusal."""

import contextlib
import hashlib
import http.client
import os
import socket
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest
from django.conf import settings
from django.urls import reverse

from common.files.serving import BLOCK, repr_digest
from common.identity import tokens
from consent import accounts, members
from consent.members import Facts
from deliveries.choices import DeliveryState
from deliveries.made import requesting
from deliveries.models import Delivery
from ledger import entries
from tools import factories
from tools.workers import database_url, until
from training_runs.models import Run

pytestmark = [pytest.mark.slow, pytest.mark.one_engine, pytest.mark.django_db(transaction=True)]

CUT = 64 * 1024
MEMBERS = 12_000


@pytest.fixture
def big(officer, second_officer, engineer) -> Run:
    """A frozen run over members whose accounts do not shrink in a file."""
    factories.open_world(officer, second_officer)
    references = [hashlib.sha256(b"%d" % number).hexdigest() for number in range(MEMBERS)]
    with entries.entry("test.members", actor="test"):
        members.create([(ref, Facts("US", "", factories.ADULT, "open")) for ref in references])
    return factories.freeze(engineer).run


@contextlib.contextmanager
def cutting(port: int, after: int) -> Iterator[int]:
    """The port of a relay to the portal that cuts each answer after so many bytes of its body."""

    class Relay(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with socket.create_connection(("127.0.0.1", port)) as portal:
                portal.sendall(self.request.recv(65_536))
                answer = portal.makefile("rb")
                while (line := answer.readline()) != b"\r\n":
                    self.request.sendall(line)
                self.request.sendall(line + answer.read(after))

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Relay) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def portal(tmp_path) -> Iterator[int]:
    """The port of a web server as in production, on the test's database and files."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    environment = {
        **os.environ,
        "DATABASE_URL": database_url(),
        "PORTAL_DATA_DIR": str(settings.DELIVERY_DIR.parent),
        "WEB_BIND": f"127.0.0.1:{port}",
        "WEB_PROCESSES": "1",
    }
    command = [sys.executable, "-m", "gunicorn", "--config", "deploy/gunicorn.conf.py"]
    process = subprocess.Popen(command, cwd=settings.BASE_DIR, env=environment)
    try:
        until(lambda: _is_alive(port), 60)
        yield port
    finally:
        process.terminate()
        process.wait(40)


def _is_alive(port: int) -> bool:
    with contextlib.suppress(OSError, http.client.HTTPException):
        return fetched(port, "/healthz")[0] == 200
    return False


def fetched(
    port: int, address: str, **headers: str
) -> tuple[int, http.client.HTTPMessage, bytes, bool]:
    """Status, headers and body of an answer, and whether the body was whole."""
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    with contextlib.closing(link):
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        link.request("GET", address, headers={"Connection": "close", **sent})
        answer = link.getresponse()
        try:
            return answer.status, answer.msg, answer.read(), True
        except http.client.IncompleteRead as cut:
            return answer.status, answer.msg, cut.partial, False


def address_of(delivery: Delivery) -> str:
    return reverse("api:delivery-file", args=[delivery.reference, "members.parquet"])


def test_a_transfer_cut_every_64_kib_is_seen_and_resumed_to_the_same_digest(
    big, portal, engineer, product
):
    delivery = factories.deliver(big, engineer)
    (file,) = delivery.files
    _, key = tokens.issue_token(
        user=engineer, name="test", scopes=["deliveries:write"], days=1, actor="test"
    )
    said = {"Authorization": f"Bearer {key}"}
    got, etag, cuts = b"", f'"{file["sha256"]}"', 0

    with cutting(portal, CUT) as port:
        is_whole = False
        while not is_whole:
            resumed = {"Range": f"bytes={len(got)}-", "If_Range": etag} if got else {}
            status, headers, data, is_whole = fetched(port, address_of(delivery), **said, **resumed)
            assert status == (206 if got else 200)
            assert (headers["ETag"], headers["Repr-Digest"]) == (etag, repr_digest(file["sha256"]))
            assert int(headers["Content-Length"]) == file["bytes"] - len(got)
            assert len(data) == min(CUT, file["bytes"] - len(got))
            got += data
            cuts += not is_whole

        assert hashlib.sha256(got).hexdigest() == file["sha256"]
        assert cuts == (file["bytes"] - 1) // CUT > 4

    # Between two parts a member says no, and the delivery is renewed: no list is pieced together out of both.
    account_ref = hashlib.sha256(b"7").hexdigest()
    factories.decide(account_ref, "deny", actor=product)
    new = factories.made(requesting.renew(delivery=delivery, actor=engineer)[0])
    resumed = {"Range": f"bytes={CUT}-", "If_Range": etag}
    old_status, _, refusal, _ = fetched(portal, address_of(delivery), **said, **resumed)
    status, headers, data, is_whole = fetched(portal, address_of(new), **said, **resumed)
    assert old_status == 409 and b"lease_over" in refusal
    assert (status, is_whole, headers["Content-Range"]) == (200, True, None)
    assert hashlib.sha256(data).hexdigest() == new.files[0]["sha256"] != file["sha256"]


def test_an_erasure_while_a_list_is_sent_ends_the_transfer(big, engineer, officer, api):
    delivery = factories.deliver(big, engineer)
    answer = api.get(address_of(delivery))
    sent = iter(answer.streaming_content)
    begun = next(sent)

    account_ref = hashlib.sha256(b"7").hexdigest()
    accounts.erase_member(account_ref=account_ref, actor=officer, reason="test")

    assert len(begun) == BLOCK < int(answer["Content-Length"])
    with pytest.raises(OSError, match="Stale"):
        next(sent)
    delivery.refresh_from_db()
    again = api.get(address_of(delivery), headers={"Range": f"bytes={BLOCK}-"})
    assert delivery.state == DeliveryState.CANCELLED
    assert (again.status_code, again.json()["code"]) == (409, "lease_over")


def test_an_erasure_just_before_the_file_is_opened_is_the_end_of_the_lease_and_no_damage(
    officer, run, engineer, api
):
    """An audit hook of Python hears that the file is about to be opened; it is kept until the process ends."""
    delivery = factories.deliver(run, engineer)
    waiting = [delivery.files[0]["sha256"]]

    def heard(event, args):
        if waiting and event == "open" and waiting[0] in str(args[0]):
            waiting.clear()
            accounts.erase_member(account_ref="acc-1", actor=officer, reason="test")

    sys.addaudithook(heard)

    answer = api.get(address_of(delivery))

    assert waiting == []
    assert (answer.status_code, answer.json()["code"]) == (409, "lease_over")
    assert "erased" in answer.json()["detail"]
