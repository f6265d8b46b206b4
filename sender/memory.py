"""Memory that was needed for a while goes back to the system."""

import ctypes
from contextlib import suppress


def give_back() -> None:
    """Returns what is free to the system, where the C library can: planning ten million leaves 80 MB of it.

    glibc keeps freed memory for later; elsewhere nothing happens.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
