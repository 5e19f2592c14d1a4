import time
from collections.abc import Callable

PIECE = 1.0


def pause(seconds: float, is_over: Callable[[], bool] = lambda: False) -> None:
    """Sleep in short pieces: one that began just after a signal came is not ended by it."""
    end = time.monotonic() + seconds
    while not is_over() and (left := end - time.monotonic()) > 0:
        time.sleep(min(left, PIECE))
