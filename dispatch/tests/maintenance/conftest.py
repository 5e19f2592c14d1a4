import pytest

from dispatch.services import prune


@pytest.fixture
def small_batches(monkeypatch):
    monkeypatch.setattr(prune, "BATCH", 2)
