"""`python -m tools.portal_for_clients`: a live portal with a worker, for the tests of the client.

It writes one line of JSON, the facts that a client needs (address, key, tokens, accounts), and serves until its standard
input ends. SQLite, or PostgreSQL with TEST_DATABASE=postgresql (DATABASE_URL, else an embedded server). The client
shares no environment with the portal, so this is a process.
"""

import contextlib
import datetime as dt
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

MEMBERS = 3_000


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="portal-for-clients-") as home, _database():
        os.environ["DEMO_DATA_DIR"] = f"{home}/portal"
        # A signature each second: tests do not wait for the usual five minutes.
        os.environ["CHECKPOINT_SECONDS"] = "1"
        from demo import population, stage

        with stage.only_demo(), contextlib.redirect_stdout(sys.stderr):
            stage.empty_portal()
            stage.invite_people()
            day = dt.date.today()
            stage.load_rules(day)
            people = list(population.members(MEMBERS, today=day))
            stage.import_members(people)
            facts = {
                **_tokens(),
                "key": _verifier_key(),
                "accounts": [one.account_ref for one in people],
            }
            with stage.served() as (host, port):
                facts["url"] = f"http://{host}:{port}"
                print(json.dumps(facts), file=sys.__stdout__, flush=True)
                sys.stdin.read()


@contextlib.contextmanager
def _database() -> Iterator[None]:
    if os.environ.get("TEST_DATABASE") != "postgresql":
        yield
        return
    from tools import postgres

    with contextlib.ExitStack() as stack:
        url = os.environ.get("DATABASE_URL") or stack.enter_context(postgres.server())
        os.environ["DEMO_DATABASE_URL"] = stack.enter_context(_fresh(url))
        yield


@contextlib.contextmanager
def _fresh(url: str) -> Iterator[str]:
    """An empty database of our own on that server, gone when the block ends."""
    from urllib.parse import urlsplit, urlunsplit

    import psycopg

    name = f"portal_for_clients_{os.getpid()}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        try:
            yield urlunsplit(urlsplit(url)._replace(path=f"/{name}"))
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _tokens() -> dict[str, Any]:
    from django.contrib.auth.models import User
    from django.utils import timezone

    from common.identity.tokens import issue_token
    from common.models import ServiceToken
    from demo import stage

    everything = [*stage.TRAINER_SCOPES, "suppression:read"]

    def token(username: str, scopes: list[str], days: int = 60) -> str:
        _, plain = issue_token(
            user=User.objects.get(username=username),
            name="a client's tests",
            scopes=scopes,
            days=days,
            actor="system:tests",
        )
        return plain

    ended = token("emil", everything)
    row = ServiceToken.objects.latest("created")
    ServiceToken.objects.filter(pk=row.pk).update(expiry=timezone.now() - dt.timedelta(hours=1))
    return {
        "token": token("emil", everything),
        "ending_token": token("emil", everything, days=3),
        "ended_token": ended,
        "reading_token": token("emil", ["runs:read"]),
        "product_token": token("product", ["decisions:write", "members:read"]),
    }


def _verifier_key() -> str:
    from ledger.checkpoints import signing

    signing.sign_now()
    return signing.verifiers()[-1].text


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    main()
