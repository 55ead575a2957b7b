"""Networks: the VPC with its endpoints, and what EFA needs."""

from .efa import EfaSecurityGroup, network_interfaces
from .vpc import NeuronNetwork

__all__ = ["EfaSecurityGroup", "NeuronNetwork", "network_interfaces"]
