"""An invented city, the same for the same seed: stations, bikes, and riders who come and go."""

from .places import Place, found_city
from .riders import City, Fill

__all__ = ["City", "Fill", "Place", "found_city"]
