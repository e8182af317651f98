"""One place decides who sent a request, and the portal does not start where it cannot know."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.test import RequestFactory

from common.errors import SenderUnknown
from common.identity.sender import known_sender_of, pseudonym, sender_of
from portal.checks import senders_are_told_apart

pytestmark = pytest.mark.processes


def request_of(settings, hops, forwarded, address="192.0.2.1"):
    settings.PROXY_HOPS = hops
    headers = {} if forwarded is None else {"X-Forwarded-For": forwarded}
    return RequestFactory().get("/", headers=headers, REMOTE_ADDR=address)


@pytest.mark.parametrize(
    ("hops", "forwarded", "sender"),
    [
        (0, None, "192.0.2.1"),
        (0, "203.0.113.9", "192.0.2.1"),
        (1, "203.0.113.9", "203.0.113.9"),
        (1, "10.9.9.9, 203.0.113.9", "203.0.113.9"),
        (1, "10.9.9.9,203.0.113.9", "203.0.113.9"),
        (2, "10.9.9.9, 203.0.113.9, 198.51.100.2", "203.0.113.9"),
        (1, "203.0.113.9:4711", "203.0.113.9"),
        (1, "[2001:db8:1:2::9]:4711", "2001:db8:1:2::/64"),
        (1, "[2001:db8:1:2::9]", "2001:db8:1:2::/64"),
        # No proxy vouches for these; the proxy's own address would be everybody's.
        (1, None, ""),
        (1, "", ""),
        (1, "203.0.113.9,", ""),
        (2, "203.0.113.9", ""),
        (1, "unknown", ""),
        (1, "203.0.113.9:port", ""),
        (1, "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        (1, "::ffff:203.0.113.9", "203.0.113.9"),
        (1, "fe80::1%eth0", "fe80::/64"),
    ],
)
def test_only_our_own_proxies_are_believed_who_the_sender_is(settings, hops, forwarded, sender):
    assert sender_of(request_of(settings, hops, forwarded)) == sender


def test_behind_a_unix_socket_without_hops_no_sender_is_known(settings):
    request = request_of(settings, 0, "203.0.113.9", address="")

    assert sender_of(request) == ""
    with pytest.raises(SenderUnknown, match="PROXY_HOPS"):
        known_sender_of(request)


def test_logs_know_a_sender_again_and_not_the_address():
    assert pseudonym("192.0.2.1") == pseudonym("192.0.2.1") != pseudonym("192.0.2.2")
    assert len(pseudonym("192.0.2.1")) == 16
    assert pseudonym("") == ""


@pytest.mark.parametrize(
    ("behind_proxy", "hops", "codes"),
    [(True, 0, ["portal.E003"]), (True, 1, []), (True, 2, []), (False, 0, []), (False, 1, [])],
)
def test_a_proxy_that_tells_no_senders_does_not_pass_the_checks(
    behind_proxy, hops, codes, settings
):
    header = ("HTTP_X_FORWARDED_PROTO", "https") if behind_proxy else None
    settings.SECURE_PROXY_SSL_HEADER, settings.PROXY_HOPS = header, hops

    assert [error.id for error in senders_are_told_apart(None)] == codes


START = """
import socket, sys
kind = {"unix": socket.AF_UNIX, "::1": socket.AF_INET6}.get(sys.argv[1], socket.AF_INET)
listener = socket.socket(kind)
listener.bind(sys.argv[2] if sys.argv[1] == "unix" else (sys.argv[1], 0))
listener.listen()
import django
django.setup()
from ledger import checks
# The database is not what this is about.
checks.require_triggers = checks.compare_clocks = lambda: None
import portal.wsgi
"""


PRODUCTION = {
    "PORTAL_ENV": "production",
    **dict.fromkeys(("SECRET_KEY", "SUPPRESSION_KEY"), "x" * 80),
    "REDACTION_KEYS": "eA" * 21 + "A=",
    "ALLOWED_HOSTS": "portal.example",
    "PUBLIC_URL": "https://portal.example",
    "CONTROLLER_NAME": "Example",
    "CONTROLLER_CONTACT": "privacy@portal.example",
    "EMAIL_URL": "smtp+tls://mail.portal.example:587",
    "REDIS_URL": "redis://127.0.0.1:6379/0",
    "CHECKPOINT_KEY_FILE": "/nowhere/checkpoint.key",
    "DATABASE_URL": "postgres://portal@127.0.0.1/portal",
}


@pytest.mark.parametrize(
    ("listens_on", "variables", "starts"),
    [
        ("unix", {}, False),
        ("unix", {"PROXY_HOPS": "1"}, True),
        ("unix", {"BEHIND_TLS_PROXY": "true"}, True),
        ("unix", {"BEHIND_TLS_PROXY": "true", "PROXY_HOPS": "0"}, False),
        ("127.0.0.1", {}, True),
        ("127.0.0.1", {"BEHIND_TLS_PROXY": "true", "PROXY_HOPS": "0"}, False),
        ("127.0.0.1", {"PROXY_HOPS": "-1"}, False),
        # In production something reaches a server on loopback for others: all would be one sender.
        ("127.0.0.1", PRODUCTION, False),
        ("127.0.0.1", {**PRODUCTION, "PROXY_HOPS": "1"}, True),
        ("::1", PRODUCTION, False),
        ("0.0.0.0", PRODUCTION, True),
    ],
)
def test_a_web_server_that_cannot_know_its_senders_does_not_start(
    listens_on, variables, starts, tmp_path
):
    home = Path(__file__).parents[2]
    environment = {**os.environ, "PORTAL_DATA_DIR": str(tmp_path), "PYTHONPATH": str(home)}
    for name in ("PROXY_HOPS", "BEHIND_TLS_PROXY"):
        environment.pop(name, None)

    done = subprocess.run(
        [sys.executable, "-c", START, listens_on, tmp_path / "web.sock"],
        cwd=tmp_path, env={**environment, **variables}, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert (done.returncode == 0) is starts, done.stderr
    if not starts:
        assert "PROXY_HOPS" in done.stderr.splitlines()[-1]
