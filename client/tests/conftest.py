import os
import uuid
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import httpx
import pytest
from live import live_portal

from training_portal.progress import Silent
from training_portal.runs import Portal
from training_portal.settings import Settings

CATEGORIES = ["posts"]


@pytest.fixture(autouse=True)
def _nothing_of_the_developers(monkeypatch, tmp_path):
    """No test reads the settings, the cache or the key of whoever runs it."""
    for name in [name for name in os.environ if name.startswith("PORTAL_")]:
        if name != "PORTAL_PYTHON":
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def facts() -> Any:
    with live_portal() as found:
        yield found


@dataclass
class Heard(Silent):
    """What was said to whoever waits."""

    steps: list[str]
    warnings: list[str]

    def step(self, sentence: str) -> None:
        self.steps.append(sentence)

    def warn(self, sentence: str) -> None:
        self.warnings.append(sentence)


@pytest.fixture
def heard() -> Heard:
    return Heard([], [])


@pytest.fixture
def settings(facts, tmp_path) -> Settings:
    """Of a new machine: without a key, while the keys of the tests before have ended (an account has 20 at most)."""
    me = f"{facts['url']}/api/v1/me/keys"
    bearer = {"Authorization": f"Bearer {facts['token']}"}
    for one in httpx.get(me, headers=bearer).json()["results"]:
        if one["ended_at"] is None:
            httpx.delete(f"{me}/{one['fingerprint']}", headers=bearer)
    return Settings(
        url=facts["url"],
        token=facts["token"],
        keys=(facts["key"],),
        ca=None,
        team="",
        cache=tmp_path / "cache",
        state=tmp_path / "state",
        patience=60,
    )


@pytest.fixture
def portal(settings, heard):
    with Portal(settings, progress=heard) as found:
        yield found


@pytest.fixture
def portal_with(settings, heard):
    """Portals with other settings: `portal_with(token=…)`."""
    made = []

    def make(**changes) -> Portal:
        made.append(Portal(replace(settings, **changes), progress=heard))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def environment(settings):
    """The settings as a process gets them."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": os.environ["HOME"],
        "PORTAL_URL": settings.url,
        "PORTAL_TOKEN": settings.token,
        "PORTAL_KEY": " ".join(settings.keys),
        "PORTAL_CACHE": str(settings.cache),
        "PORTAL_STATE": str(settings.state),
    }


def new_run(portal: Portal, **more):
    return portal.register(
        purpose="generative-ai",
        data_categories=CATEGORIES,
        tracker_run_id=f"test-{uuid.uuid4()}",
        **more,
    )


def switch_off_at(facts: Any, *accounts: str) -> None:
    """Members switch the use of their data off, as the product tells it."""
    for account in accounts:
        answer = httpx.post(
            f"{facts['url']}/api/v1/decisions",
            headers={"Authorization": f"Bearer {facts['product_token']}"},
            json={
                "account_ref": account,
                "purpose": "generative-ai",
                "choice": "deny",
                "channel": "product",
                "source_id": str(uuid.uuid4()),
                "decided_at": "2026-11-01T10:00:00Z",
            },
        )
        assert answer.status_code == 201, answer.text


@pytest.fixture
def switch_off(facts):
    return partial(switch_off_at, facts)
