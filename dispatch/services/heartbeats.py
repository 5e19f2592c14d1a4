from django.db.models.functions import Now

from ..models import Heartbeat


def note_success(name: str) -> None:
    """Record that a repeated command has just succeeded."""
    Heartbeat.objects.update_or_create(name=name, defaults={"at": Now()})
