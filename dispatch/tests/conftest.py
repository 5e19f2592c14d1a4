import pytest
from django.apps import apps
from django.contrib.auth.models import Group

from dispatch.roles import make_roles

from .support.browser import browse, chromium

__all__ = ["browse", "chromium"]


@pytest.fixture
def roles(db):
    """As the migration makes them: tests with transactions of their own empty all tables."""
    if not Group.objects.exists():
        make_roles(apps)
