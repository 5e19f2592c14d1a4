"""Sends webhooks, as the Standard Webhooks specification (version 1) says."""

from .sender import Sender

__all__ = ["Sender"]
