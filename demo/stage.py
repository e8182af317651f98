"""The setting of the story: an empty portal, people, tokens, a running server."""

import contextlib
import datetime as dt
import fcntl
import http.client
import io
import os
import secrets
import shutil
import socket
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from common.processes import children
from demo import population
from demo.population import Person

ROOT = Path(__file__).resolve().parent.parent
DATA_DIR = Path(os.environ.get("DEMO_DATA_DIR", ROOT / "var" / "demo")).resolve()
LOGINS = "logins.txt"

# user name, role (the constant's name in common.identity.roles), what the person does in the story
PEOPLE = (
    ("olga", "PRIVACY_OFFICER", "works objections, proposes rules and notices"),
    ("otto", "PRIVACY_OFFICER", "works objections, approves what olga proposes"),
    ("emil", "ML_ENGINEER", "trains models"),
    ("ada", "AUDITOR", "checks"),
    ("anton", "ADMINISTRATOR", "users and tokens"),
)


class CannotBegin(SystemExit):
    """One sentence for the person who started the demo; exit code 2."""

    def __init__(self, sentence: str) -> None:
        print(sentence, file=sys.stderr)
        super().__init__(2)


TRAINER_SCOPES = (
    "runs:read",
    "runs:write",
    "manifests:read",
    "deliveries:write",
    "receipts:write",
)


@dataclass(frozen=True)
class Tokens:
    """The tokens of the story's two services."""

    product: str
    trainer: str


@contextlib.contextmanager
def only_demo() -> Iterator[None]:
    """One demo at a time: it empties its data directory."""
    DATA_DIR.parent.mkdir(parents=True, exist_ok=True)
    with DATA_DIR.with_suffix(".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CannotBegin(f"Another demo is running on {DATA_DIR}: let it end first.") from None
        yield


def demo_environment() -> None:
    """Point at the demo's data. Whatever the environment says of other data is put aside."""
    for name in ("DATABASE_URL", "REDIS_URL"):
        os.environ.pop(name, None)
    if url := os.environ.get("DEMO_DATABASE_URL"):
        os.environ["DATABASE_URL"] = url
    os.environ["PORTAL_ENV"] = "development"
    os.environ["PORTAL_DATA_DIR"] = str(DATA_DIR)
    os.environ["DJANGO_SETTINGS_MODULE"] = "portal.settings"


def empty_portal() -> None:
    """Migrate a fresh database in the demo's own directory; what an earlier demo left is removed."""
    demo_environment()
    import django

    django.setup()

    from django.core.management import call_command

    from common.processes.supervisor import NotStarted, data_directory_lock

    try:
        # Waits for the end of a demo that was killed; refuses while a process serves this data.
        with data_directory_lock(DATA_DIR, say=print):
            for path in DATA_DIR.iterdir():
                if path.name == "run":
                    continue
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            call_command("migrate", verbosity=0)
    except NotStarted as refusal:
        raise CannotBegin(str(refusal)) from refusal


def invite_people() -> dict[str, str]:
    """The staff with their passwords, which the file `logins.txt` keeps for `make run`, and the product's service."""
    from django.contrib.auth.models import Group, User

    from common.identity import roles
    from training_runs import teams

    passwords = {}
    for username, role, _ in PEOPLE:
        passwords[username] = secrets.token_urlsafe(9)
        user = User.objects.create_user(
            username, f"{username}@example.org", passwords[username], is_staff=True
        )
        user.groups.add(Group.objects.get(name=getattr(roles, role)))
    product = User.objects.create_user("product")
    product.groups.add(Group.objects.get(name=roles.PRODUCT))
    teams.create(
        name="language-models", responsible=User.objects.get(username="emil"), actor="system:demo"
    )
    path = DATA_DIR / LOGINS
    path.touch(mode=0o600)
    path.write_text(
        "".join(
            f"  {username:<7}{passwords[username]:<14}{getattr(roles, role):<17}{does}\n"
            for username, role, does in PEOPLE
        )
    )
    return passwords


def issue_tokens() -> Tokens:
    from django.contrib.auth.models import User

    from common.identity.tokens import issue_token

    _, product_token = issue_token(
        user=User.objects.get(username="product"),
        name="The product's setting page",
        scopes=["decisions:write", "members:read"],
        days=7,
        actor="system:demo",
    )
    _, trainer_token = issue_token(
        user=User.objects.get(username="emil"),
        name="Training pipeline",
        scopes=[*TRAINER_SCOPES, "members:read"],
        days=7,
        actor="system:demo",
    )
    return Tokens(product_token, trainer_token)


def play_past(people: list[Person], *, say: Callable[[str], None]) -> int:
    """The members' import four months ago and the desk's days since; returns the number of tickets."""
    from demo import past

    def import_and_say() -> None:
        # What was law before: dates of majority are computed for it.
        load_rules(dt.date(2024, 9, 17))
        for line in import_members(people):
            say(f"  {line}")
        say("Four months of the objection desk are played at high speed; all of it is synthetic.")

    return past.play(people, import_members=import_and_say)


def import_members(people: list[Person]) -> list[str]:
    """Through the same door as real ones: a file and `manage.py import_members`. Returns what it says."""
    from django.core.management import call_command

    path = DATA_DIR / "members.csv.gz"
    population.write_csv(path, people)
    said = io.StringIO()
    call_command("import_members", str(path), stdout=said)
    return said.getvalue().splitlines()


def load_rules(day: dt.date) -> None:
    """Load the rules that are new in the real timeline by that day: olga proposes, otto approves."""
    from django.core.management import call_command

    call_command(
        "load_timeline", until=day, proposed_by="olga", approved_by="otto", stdout=io.StringIO()
    )


def late_post(account_ref: str) -> tuple[str, list[str]]:
    """An objection that reached us before the runs, keyed in only now: its reference, and a line for each incident."""
    from demo import past

    ticket = past.late_post(account_ref)
    return ticket.reference, list(past.work_incidents(ticket))


def verify_ledger() -> list[str]:
    """Every entry recomputed from its rows, the played past like the present. Raises CommandError."""
    from django.core.management import call_command

    said = io.StringIO()
    call_command("verify_ledger", stdout=said)
    return said.getvalue().splitlines()


def desk_table() -> list[str]:
    from demo import desk
    from objections.clock.days import today

    return desk.table(today())


def setting_link() -> str:
    """The address of a member's setting page, as the product gets it by the API."""
    import django

    django.setup()

    from consent.models import Member
    from consent.public import member_links

    member = Member.objects.filter(status="open", country="US", adult_on__lt=dt.date.today())
    return member_links.link_for(member.earliest("pk")).url


def client_settings(bind: str) -> list[tuple[str, str]]:
    """The settings that the client takes from its environment: address, key and a token of emil's."""
    import django

    django.setup()

    from django.contrib.auth.models import User

    from common.identity.tokens import issue_token
    from ledger.checkpoints import signing

    _, token = issue_token(
        user=User.objects.get(username="emil"),
        name="The client, tried",
        scopes=[*TRAINER_SCOPES, "suppression:read"],
        days=30,
        actor="system:demo",
    )
    return [
        ("PORTAL_URL", f"http://{bind}"),
        ("PORTAL_KEY", signing.verifiers()[-1].text),
        ("PORTAL_TOKEN", token),
    ]


@contextlib.contextmanager
def served() -> Iterator[tuple[str, int]]:
    """The portal with its worker, on a free port, while the block runs. Its log is `serve.log`."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with (DATA_DIR / "serve.log").open("wb") as log:
        command: list[str | Path] = [
            sys.executable,
            ROOT / "manage.py",
            "serve",
            "--bind",
            f"127.0.0.1:{port}",
        ]
        server = children.start(command, output=log)
        try:
            _wait(server, port)
            yield "127.0.0.1", port
            if server.poll() is not None:
                raise SystemExit(f"The portal ended by itself: see {DATA_DIR / 'serve.log'}.")
        finally:
            # It stops its own children first.
            children.stop(server, patience=40)


def _wait(server: children.Child, port: int) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        if children.ended(server, 0.1) is not None:
            break
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            client.request("GET", "/readyz")
            if client.getresponse().status == http.client.OK:
                return
        except (OSError, http.client.HTTPException):
            continue
        finally:
            client.close()
    raise SystemExit(f"The portal did not start: see {DATA_DIR / 'serve.log'}.")
