import pytest

from tools import factories
from training_runs.models import Run


@pytest.fixture
def world(officer, second_officer):
    factories.open_world(officer, second_officer)


@pytest.fixture
def run(world, engineer) -> Run:
    """A frozen run over five members, verified."""
    factories.add_members(5)
    return factories.freeze(engineer).run


@pytest.fixture
def api(client_of, engineer):
    return client_of(engineer)


@pytest.fixture
def post(api):
    """POSTs JSON below /api/v1 as the engineer."""

    def send(path, body=None, client=None):
        return (client or api).post(f"/api/v1/{path}", body or {}, content_type="application/json")

    return send
