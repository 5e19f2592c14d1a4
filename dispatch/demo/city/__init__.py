"""An invented city, the same for the same seed: stations, bikes and riders."""

from .places import Place, create_places
from .riders import City, Inventory

__all__ = ["City", "Inventory", "Place", "create_places"]
