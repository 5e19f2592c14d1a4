import io

import pytest
from django.core.management import call_command

from dispatch.services import old_rows, prune


@pytest.fixture
def small_batches(monkeypatch):
    for module in (prune, old_rows):
        monkeypatch.setattr(module, "BATCH", 2)


@pytest.fixture
def run_prune():
    """Run the command and return what it prints."""

    def run(*options):
        output = io.StringIO()
        call_command("prune", *options, stdout=output)
        return output.getvalue()

    return run
