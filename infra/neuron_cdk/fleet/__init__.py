"""EC2 fleets."""

from .fleet import NeuronFleet

__all__ = ["NeuronFleet"]
