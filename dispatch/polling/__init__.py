"""Reads the feeds of many systems, each at its own pace."""

from .poller import Poller
from .recording import Recorded

__all__ = ["Poller", "Recorded"]
