"""One small export for all tests here, made once: no test changes it."""

import copy

import pytest
from django.conf import settings
from django.test import TransactionTestCase

from tools import sample_export


def pytest_collection_modifyitems(items):
    for item in items:
        if "made" in item.fixturenames:
            if not item.get_closest_marker("django_db"):
                # The export is made by the database; what is done to its files is the same on every engine.
                item.add_marker(pytest.mark.one_engine)
            # pytest-django makes a database only if a test says that it needs one.
            item.add_marker(pytest.mark.django_db)


@pytest.fixture(scope="session")
def made(django_db_setup, django_db_blocker, tmp_path_factory):
    """The sample export, and the size of the kept checkpoint."""
    before = settings.MANIFEST_DIR, settings.ATTACHMENT_DIR
    settings.MANIFEST_DIR = tmp_path_factory.mktemp("manifests")
    settings.ATTACHMENT_DIR = tmp_path_factory.mktemp("attachments")
    try:
        with django_db_blocker.unblock():
            made = sample_export.make()
            TransactionTestCase._fixture_teardown(None)
    finally:
        settings.MANIFEST_DIR, settings.ATTACHMENT_DIR = before
    return made


@pytest.fixture
def sample(made):
    return copy.deepcopy(made.sample)


@pytest.fixture
def export(made, tmp_path):
    """The export as a directory."""
    directory = tmp_path / "export"
    sample_export.write(made.sample.files(), directory)
    return directory


@pytest.fixture
def kept(made, tmp_path):
    """The kept checkpoint, as a file."""
    path = tmp_path / "kept.checkpoint"
    path.write_bytes(made.sample.checkpoint(made.kept))
    return path
