import io
import os
import signal

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from tools import factories
from training_runs.eligibility.canaries import FACTS
from training_runs.manifests import archives
from training_runs.models import Canary, Manifest, Verification
from training_runs.runs import registering, verifying

pytestmark = pytest.mark.django_db(transaction=True)


def said(command, *arguments, **options):
    output = io.StringIO()
    call_command(command, *arguments, stdout=output, **options)
    return output.getvalue()


@pytest.fixture
def world(officer, second_officer):
    factories.open_world(officer, second_officer)
    factories.add_members(20)


@pytest.fixture
def requested(world, engineer):
    return registering.start(run=factories.register(engineer), actor=engineer)


def test_one_sweep_freezes_what_waits_and_verifies_it(requested):
    assert said("sweep") == "1 frozen, 1 verified, 0 files made, 0 failed.\n"

    assert verifying.usable_manifest(requested).included == 20
    assert said("sweep") == "0 frozen, 0 verified, 0 files made, 0 failed.\n"


def test_a_sweep_in_which_something_fails_has_an_exit_code(requested, monkeypatch, tmp_path):
    # No directory can be made in the place of a file.
    (tmp_path / "file").touch()
    monkeypatch.setattr(settings, "MANIFEST_DIR", tmp_path / "file")

    with pytest.raises(CommandError, match="what went wrong"):
        said("sweep")

    requested.refresh_from_db()
    assert requested.state == "requested"
    assert requested.attempt.count == 1


class Supervisor(io.StringIO):
    """Ends the command once it has said that it froze something."""

    def write(self, text):
        if "1 frozen" in text:
            os.kill(os.getpid(), signal.SIGTERM)
        return super().write(text)


@pytest.fixture
def own_signals():
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, action in before.items():
        signal.signal(number, action)


def test_sweeping_goes_on_until_it_is_told_to_stop(requested, own_signals):
    output = Supervisor()

    call_command("sweep", every=0.01, stdout=output)

    assert output.getvalue() == "1 frozen, 1 verified, 0 files made, 0 failed.\n"


def test_a_manifest_is_verified_again_by_name(world, engineer):
    manifest = factories.freeze(engineer)

    output = said("verify_manifest", manifest.run.reference)

    assert output == (
        f"frozen   {manifest.digest}\nderived  {manifest.digest}\n"
        f"cut      {manifest.cut}\nroot     {manifest.ledger_root}\n"
        f"The manifest of {manifest.run.reference} verifies.\n"
    )
    assert Verification.objects.filter(manifest=manifest).count() == 2


def test_a_manifest_that_is_not_what_was_frozen_fails_and_is_blocked(world, engineer):
    manifest = factories.freeze(engineer)
    archives.path_of(manifest.digest).write_bytes(b"something else")

    with pytest.raises(CommandError, match=f"{manifest.run.reference} does not verify") as failure:
        said("verify_manifest", manifest.run.reference)

    assert failure.value.returncode == 1
    assert Manifest.objects.with_agreement().get(pk=manifest.pk).differs


def test_a_run_without_a_manifest_is_said_to_have_none(world, engineer):
    run = factories.register(engineer)

    with pytest.raises(CommandError, match=f"There is no manifest of {run.reference}"):
        said("verify_manifest", run.reference)


def test_canaries_are_planted_once():
    assert said("plant_canaries") == f"{len(FACTS)} canaries, {len(FACTS)} of them new.\n"

    assert said("plant_canaries") == f"{len(FACTS)} canaries, 0 of them new.\n"
    assert Canary.objects.count() == len(FACTS)
