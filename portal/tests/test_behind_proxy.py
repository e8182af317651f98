"""The recipe of deploy/ with a real nginx and a real gunicorn: sign-in through the proxy."""

import contextlib
import http.client
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlencode

import pytest
from django.conf import settings as project
from django.contrib.auth.hashers import PBKDF2PasswordHasher

from tools.workers import database_url

NGINX = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")

pytestmark = [
    pytest.mark.processes,
    pytest.mark.slow,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(
        NGINX is None,
        reason="NGINX IS MISSING: sign-in was not tried through a proxy. Install it: apt-get install nginx-light",
    ),
]

PASSWORD = "correct horse battery"
GUESSER, OFFICER = "127.0.0.2", "127.0.0.3"
"""Two addresses of this machine, as the proxy sees them."""


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@pytest.fixture
def portal(request, tmp_path):
    """The address of nginx in front of gunicorn, on a unix socket or on a port."""
    port = free_port()
    if request.param == "unix":
        bind, upstream = f"unix:{tmp_path}/web.sock", f"http://unix:{tmp_path}/web.sock"
    else:
        bind = f"127.0.0.1:{free_port()}"
        upstream = f"http://{bind}"
    config = (project.BASE_DIR / "deploy" / "nginx.conf").read_text()
    # Without TLS, which is not what this is about.
    site = re.sub(r"    ssl_.*\n", "", config.rpartition("server {")[2])
    site = site.replace("listen 443 ssl", f"listen 127.0.0.1:{port}")
    site = site.replace("http://unix:/run/portal/web.sock", upstream)
    (tmp_path / "nginx.conf").write_text(
        f"daemon off; pid {tmp_path}/nginx.pid; error_log {tmp_path}/nginx.log;"
        + ("user root;" if os.geteuid() == 0 else "")
        + "events {} http { access_log off;"
        + "".join(
            f"{kind}_temp_path {tmp_path}/{kind};"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        + f"server {{{site} }}"
    )
    environment = {
        **os.environ,
        "DATABASE_URL": database_url(),
        "BEHIND_TLS_PROXY": "true",
        "ALLOWED_HOSTS": "portal.example",
        "WEB_BIND": bind,
        "WEB_PROCESSES": "2",
        "SECURE_SSL_REDIRECT": "false",
    }
    with contextlib.ExitStack() as stack:
        for command in (
            [sys.executable, "-m", "gunicorn", "--config", "deploy/gunicorn.conf.py"],
            [NGINX, "-c", tmp_path / "nginx.conf", "-p", tmp_path],
        ):
            process = subprocess.Popen(command, cwd=project.BASE_DIR, env=environment)
            stack.callback(process.wait, 20)
            stack.callback(process.terminate)
        until = time.monotonic() + 60
        while not is_alive(port):
            assert time.monotonic() < until, Path(tmp_path / "nginx.log").read_text()
            time.sleep(0.1)
        yield port


def is_alive(port):
    with contextlib.suppress(OSError, http.client.HTTPException):
        return ask(port, OFFICER, "GET", "/healthz")[0] == 200
    return False


def ask(port, sender, method, path, body=None, headers=None):
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=30, source_address=(sender, 0))
    with contextlib.closing(link):
        link.request(method, path, body, {"Host": "portal.example", **(headers or {})})
        answer = link.getresponse()
        return answer.status, answer.msg, answer.read().decode(errors="replace")


def log_in(port, sender, password, **headers):
    token = "a" * 32
    status, said, _ = ask(
        port, sender, "POST", "/admin/login/",
        urlencode({"username": "olga", "password": password, "csrfmiddlewaretoken": token, "next": "/admin/"}),
        {"Content-Type": "application/x-www-form-urlencoded", "Cookie": f"csrftoken={token}", **headers},
    )  # fmt: skip
    return status, said.get("Retry-After"), said.get("Location")


@pytest.mark.parametrize("portal", ["unix", "port"], indirect=True)
def test_guesses_through_the_proxy_are_delayed_and_lock_out_no_other_sender(portal, officer):
    # The web server is a process of its own, and hashes as production does.
    officer.password = PBKDF2PasswordHasher().encode(PASSWORD, "salt", iterations=1000)
    officer.save()

    # Whatever a sender writes into the header is no other sender.
    guesses = [
        log_in(portal, GUESSER, "wrong", **{"X-Forwarded-For": f"198.51.100.{number}"})
        for number in range(60)
    ]
    right = log_in(portal, GUESSER, PASSWORD)
    elsewhere = log_in(portal, OFFICER, PASSWORD)

    statuses = [status for status, _, _ in guesses]
    assert statuses[:5] == [200] * 5
    assert statuses.count(429) >= 45
    assert right[0] == 429 and int(right[1]) >= 1
    assert elsewhere[0] == 302 and elsewhere[2] == "/admin/"


@pytest.mark.parametrize("portal", ["unix"], indirect=True)
def test_the_proxy_reaches_what_it_should_and_the_socket_is_closed_to_others(portal, tmp_path):
    socket_mode = (tmp_path / "web.sock").stat().st_mode & 0o777

    alive = ask(portal, OFFICER, "GET", "/healthz", headers={"Host": "10.0.0.1"})
    wrong_host = ask(portal, OFFICER, "GET", "/admin/login/", headers={"Host": "other.example"})

    assert socket_mode == 0o770
    assert alive[0] == 200
    assert wrong_host[0] == 400
