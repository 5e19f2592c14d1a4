"""Figures about the whole service, read from its tables for Prometheus."""

from .exporter import Exporter

__all__ = ["Exporter"]
