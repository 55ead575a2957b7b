"""One look of the engine at everything, at one moment."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass
class Turn:
    """What a look found: whether it changed something, and when it is worth looking again."""

    now: float
    changed: bool = False
    next: float = math.inf

    def due(self, moment: float | None) -> bool:
        """Whether ``moment`` has come; if it is still to come the engine looks again then."""
        if moment is None:
            return False
        if moment <= self.now:
            return True
        self.next = min(self.next, moment)
        return False
