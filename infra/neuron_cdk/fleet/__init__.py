"""EC2 fleets."""

from .escape import Additions, Existing
from .fleet import NeuronFleet

__all__ = ["Additions", "Existing", "NeuronFleet"]
