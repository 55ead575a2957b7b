"""Has the state saved soon after it changed: within half a second, however often it changes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

_PAUSE_SECONDS = 0.5

_changed = threading.Event()


def configure(save: Callable[[], None]) -> None:
    """Call ``save``, from a thread of its own, after changes."""

    def keep() -> None:
        while True:
            _changed.wait()
            _changed.clear()
            save()
            time.sleep(_PAUSE_SECONDS)

    threading.Thread(target=keep, name="neuron-cdk-keeping", daemon=True).start()


def changed() -> None:
    _changed.set()
