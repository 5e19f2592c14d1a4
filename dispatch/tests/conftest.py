from .browser import browse, chromium

__all__ = ["browse", "chromium"]
