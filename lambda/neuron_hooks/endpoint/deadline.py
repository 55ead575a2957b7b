"""How long a request may wait for AWS, and the error that ends it."""

from __future__ import annotations

import time
from dataclasses import dataclass

_LOOK_SECONDS = 5.0


class EndpointError(Exception):
    """The endpoint is not as it should be. The message says what is there, and what to do."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """``at``: by ``time.monotonic``."""

    at: float

    def left(self) -> float:
        return self.at - time.monotonic()

    def wait(self, otherwise: str, seconds: float = _LOOK_SECONDS) -> None:
        """Wait a little.

        :raises EndpointError: ``otherwise``, when there is no time for that.
        """
        if self.left() < seconds:
            raise EndpointError(otherwise)
        time.sleep(seconds)
