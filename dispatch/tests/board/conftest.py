from types import SimpleNamespace

import pytest
from django.utils import timezone

from dispatch.board import version


@pytest.fixture
def same_hour(monkeypatch):
    """The board's version changes with the hour: none begins during the test."""
    now = timezone.localtime()
    monkeypatch.setattr(version, "timezone", SimpleNamespace(localtime=lambda _: now))
