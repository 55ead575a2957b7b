"""What a test makes go wrong with endpoints: ``PUT /_neuron_cdk/endpoints``; ``GET`` shows it.

- ``short``: ``{"ml.trn1.2xlarge": 0}``: how many instances there can be of a type;
- ``fail``: ``{"<configuration, model or component>": {"error_rate": 1.0, "latency_ms": 500}}``: its containers answer
  that share of the requests with status 500, and all of them so much later;
- ``fail_next``: ``{"<endpoint or component>": {…}}``: the same for the configuration, or the model, that it is updated
  to next;
- ``silent_rollback``: ``["<endpoint>"]``: its updates end in service with the configuration before, and no reason.

What is given replaces what was; what is not given stays.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from . import capacity

_KEYS = ("short", "fail", "fail_next", "silent_rollback")


@dataclass(frozen=True, slots=True)
class Fault:
    """How containers misbehave."""

    error_rate: float = 0.0
    """Share of the requests that are answered with status 500."""
    latency_ms: float = 0.0
    """Added to every answer, in real milliseconds."""


_fail: dict[str, Fault] = {}
_fail_next: dict[str, Fault] = {}
_silent: set[str] = set()


def change(wanted: dict[str, Any]) -> dict[str, Any]:
    """Set what goes wrong; how it stands then. Raises ``ValueError``, with everything as it was."""
    unknown = sorted(wanted.keys() - set(_KEYS))
    if unknown:
        raise ValueError(f"endpoints have no {', '.join(unknown)}: give {', '.join(_KEYS)}")
    short = _counts(wanted["short"]) if "short" in wanted else None
    fail = _faults("fail", wanted["fail"]) if "fail" in wanted else None
    following = _faults("fail_next", wanted["fail_next"]) if "fail_next" in wanted else None
    silent = _names(wanted["silent_rollback"]) if "silent_rollback" in wanted else None
    if short is not None:
        capacity.limit_endpoints(short)
    for store, given in ((_fail, fail), (_fail_next, following)):
        if given is not None:
            store.clear()
            store.update(given)
    if silent is not None:
        _silent.clear()
        _silent.update(silent)
    return shown()


def shown() -> dict[str, Any]:
    return {
        "short": capacity.limits_of_endpoints(),
        "fail": {name: asdict(fault) for name, fault in _fail.items()},
        "fail_next": {name: asdict(fault) for name, fault in _fail_next.items()},
        "silent_rollback": sorted(_silent),
    }


def of(*names: str | None) -> Fault | None:
    """What goes wrong with containers of any of these names."""
    return next((_fail[name] for name in names if name in _fail), None) if _fail else None


def begin_update(name: str, coming: str | None) -> None:
    """The endpoint or component is being updated to ``coming``: what its next does wrong, this one does."""
    if coming and name in _fail_next:
        _fail[coming] = _fail_next.pop(name)


def rolls_back_silently(endpoint: str) -> bool:
    return endpoint in _silent


def _counts(given: object) -> dict[str, int]:
    if not isinstance(given, dict):
        raise ValueError('short: give {"<instance type>": how many there can be}')
    for name, most in given.items():
        if not name.startswith("ml."):
            raise ValueError(f"short: {name} is no instance type of SageMaker: give one such as ml.inf2.xlarge")
        if isinstance(most, bool) or not isinstance(most, int) or most < 0:
            raise ValueError(f"short: {name} is {most!r}: give how many instances there can be")
    return dict(given)


def _faults(key: str, given: object) -> dict[str, Fault]:
    if not isinstance(given, dict) or not all(isinstance(fault, dict) for fault in given.values()):
        raise ValueError(f'{key}: give {{"<name>": {{"error_rate": 1.0, "latency_ms": 500}}}}')
    return {name: _fault(f"{key}: {name}", fault) for name, fault in given.items()}


def _fault(where: str, given: dict[str, Any]) -> Fault:
    unknown = sorted(given.keys() - {"error_rate", "latency_ms"})
    if unknown:
        raise ValueError(f"{where} has no {', '.join(unknown)}: give error_rate, latency_ms")
    for name, value in given.items():
        most = 1 if name == "error_rate" else 60_000
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
            raise ValueError(f"{where}: {name} is {value!r}: give a number from 0 to {most:,}")
    return Fault(**given)


def _names(given: object) -> list[str]:
    if not isinstance(given, list) or not all(isinstance(name, str) for name in given):
        raise ValueError('silent_rollback: give ["<endpoint>"]')
    return given
