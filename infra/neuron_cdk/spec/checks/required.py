"""What a file is refused for, refused in code: by fleets and endpoints that are made without a file."""

from __future__ import annotations

from ..codes import CODES, Severity
from ..deployment import Fleet
from ..endpoint import Endpoint
from ..findings import dotted
from .common import NOTHING_KNOWN, Surroundings
from .endpoints import endpoint_problems
from .fleets import fleet_problems


def require_possible(part: Fleet | Endpoint, around: Surroundings = NOTHING_KNOWN) -> None:
    """Refuse a fleet or an endpoint that cannot work.

    :raises ValueError: with every error that ``neuron-cdk validate`` reports for such a part: code, field, what is
        wrong, what is allowed and what to do, an error a line.
    """
    found = fleet_problems(part, around) if isinstance(part, Fleet) else endpoint_problems(part, around)
    errors = [
        f"{problem.code} {dotted(problem.pointer)}: {problem.message}"
        + (f"; allowed: {problem.allowed}" if problem.allowed else "")
        + (f"; do: {problem.fix}" if problem.fix else "")
        for problem in found
        if CODES[problem.code].severity is Severity.ERROR
    ]
    if errors:
        raise ValueError("\n".join(errors))
