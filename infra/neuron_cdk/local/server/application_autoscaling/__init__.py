"""Application Auto Scaling: targets whose capacity policies and schedules move, on the server's clock."""

from .service import call, handle_request, install, resume
from .store import get_state, load_persisted_state, reset

__all__ = ["call", "get_state", "handle_request", "install", "load_persisted_state", "reset", "resume"]
