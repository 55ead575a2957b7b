"""Which fleet, variant and instance of an endpoint answers a request."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from . import replicas
from .fleet import Fleet
from .replicas import Replica
from .variants import Variant


@dataclass(eq=False)
class Serving:
    """An endpoint in service: one fleet, and a second beside it while a deployment shifts requests."""

    name: str
    fleets: list[Fleet] = field(default_factory=list)

    @property
    def fleet(self) -> Fleet:
        """The one whose configuration is in service."""
        return self.fleets[0]

    @property
    def pids(self) -> list[int]:
        return [pid for fleet in self.fleets for pid in fleet.pids]

    def enter(self, wanted: str | None) -> tuple[Fleet, Variant, Replica | None]:
        """The instance for a request, which has it from now on: ``Replica.leave`` when it is answered.

        By share of the fleet and weight of the variant, or of the variant ``wanted``. None where it has no instance.
        Raises ``KeyError`` when no variant has that name.
        """
        with replicas.lock:
            there = [
                (fleet, variant)
                for fleet in self.fleets
                for variant in fleet.variants
                if isinstance(variant, Variant) and wanted in (None, variant.name)
            ]
            if not there:
                raise KeyError(wanted)
            weighed = [
                (each, each[0].share * (1.0 if wanted else each[1].weight))
                for each in there
                if each[1].instances and each[0].share > 0
            ]
            weights = [weight for _, weight in weighed]
            if any(weights):
                fleet, variant = random.choices([each for each, _ in weighed], weights)[0]  # noqa: S311
            else:  # nothing has an instance, or every weight is 0
                fleet, variant = weighed[0][0] if weighed else there[0]
            return fleet, variant, variant.enter()
