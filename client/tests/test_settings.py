from pathlib import Path

import pytest

from training_portal.errors import Misuse
from training_portal.settings import load

TOKEN = "3f9c2a7be1d84c55"


@pytest.fixture
def env(tmp_path):
    return {"HOME": str(tmp_path), "PORTAL_URL": "https://portal.example/", "PORTAL_TOKEN": TOKEN}


@pytest.fixture
def config(tmp_path):
    path = tmp_path / ".config" / "training-portal" / "config.toml"
    path.parent.mkdir(parents=True)

    def write(text: str, mode: int = 0o600) -> Path:
        path.write_text(text)
        path.chmod(mode)
        return path

    return write


def test_the_environment_comes_before_the_file(env, config):
    config('url = "https://other.example"\nteam = "language-models"\nkey = ["k1", "k2"]\n')

    found = load(env)

    assert found.url == "https://portal.example"
    assert (found.team, found.keys) == ("language-models", ("k1", "k2"))


def test_the_directories_are_the_persons_own(env, tmp_path):
    found = load(env)

    assert found.cache == tmp_path / ".cache" / "training-portal"
    assert found.state == tmp_path / ".local" / "state" / "training-portal"


def test_a_token_comes_from_a_private_file(env, tmp_path):
    path = tmp_path / "token"
    path.write_text(f"{TOKEN}\n")
    path.chmod(0o600)
    del env["PORTAL_TOKEN"]
    env["PORTAL_TOKEN_FILE"] = str(path)

    assert load(env).token == TOKEN


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604])
def test_a_token_file_that_others_read_is_refused(env, tmp_path, mode):
    path = tmp_path / "token"
    path.write_text(TOKEN)
    path.chmod(mode)
    del env["PORTAL_TOKEN"]
    env["PORTAL_TOKEN_FILE"] = str(path)

    with pytest.raises(Misuse, match="chmod 600") as refused:
        load(env)

    assert TOKEN not in str(refused.value)


def test_a_configuration_with_a_token_must_be_private(env, config):
    config(f'token = "{TOKEN}"\n', mode=0o644)

    with pytest.raises(Misuse, match="chmod 600"):
        load(env)


@pytest.mark.parametrize("text", [f'token = "{TOKEN}', f"token = {TOKEN}\n"])
def test_a_broken_configuration_is_not_repeated(env, config, text):
    config(text)

    with pytest.raises(Misuse, match="is no TOML") as refused:
        load(env)

    assert TOKEN not in str(refused.value)
    assert refused.value.__cause__ is None


def test_an_unknown_name_is_told(env, config):
    config('adress = "https://portal.example"\n')

    with pytest.raises(Misuse, match="unknown name 'adress'"):
        load(env)


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("", "no address"),
        ("portal.example", "no address of a portal"),
        ("ftp://portal.example", "no address of a portal"),
        ("http://portal.example", "not https"),
        ("https://emil@portal.example", "no address of a portal"),
    ],
)
def test_an_address_that_is_none_is_refused(env, url, problem):
    with pytest.raises(Misuse, match=problem):
        load({**env, "PORTAL_URL": url})


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8000", "http://localhost:8000", "http://[::1]:8000"]
)
def test_a_portal_on_this_machine_is_asked_in_clear(env, url):
    assert load({**env, "PORTAL_URL": url}).url == url


def test_without_a_token_nothing_is_asked(env):
    with pytest.raises(Misuse, match="There is no token"):
        load({**env, "PORTAL_TOKEN": ""})


def test_certificates_that_are_not_there_are_told(env):
    with pytest.raises(Misuse, match="PORTAL_CA"):
        load({**env, "PORTAL_CA": "/nowhere.pem"})
