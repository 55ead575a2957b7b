"""Why Auto Scaling could not launch an instance: no capacity, which another pool may have, or a mistake, which it has
not. Pure.

A scaling activity and an event ``EC2 Instance Launch Unsuccessful`` say it in ``StatusMessage``, in one of two forms:
``Could not launch Spot Instances. UnfulfillableCapacity - …`` with EC2's error code, or EC2's sentence alone, ``We
currently do not have sufficient … capacity in the Availability Zone you requested``.

Sources: EC2 API Reference, "Error codes for the Amazon EC2 API"; EC2 Auto Scaling User Guide, "Troubleshoot issues in
Amazon EC2 Auto Scaling". Which codes another pool can help with is what Karpenter and AWS ParallelCluster fail over
on, less ``InsufficientFreeAddressesInSubnet``: the pools of a fleet share their subnets.
"""

from __future__ import annotations

import re
from enum import Enum

_SHORT_CODES = (
    "InsufficientInstanceCapacity",
    "InsufficientCapacity",
    "InsufficientCapacityOnHost",
    "InsufficientHostCapacity",
    "InsufficientReservedInstanceCapacity",
    "ReservationCapacityExceeded",
    "UnfulfillableCapacity",
    "SpotMaxPriceTooLow",
    "Unsupported",
    # Quotas: those of spot, on-demand and reserved capacity are separate.
    "MaxSpotInstanceCountExceeded",
    "VcpuLimitExceeded",
    "InstanceLimitExceeded",
    "MaxFleetCountExceeded",
)
_SHORT_SENTENCES = (
    "not have sufficient",
    "no spot capacity available",
    "no capacity available that matches",
    "not supported in your requested availability zone",
    "than your current vcpu limit",
    "than your current instance limit",
    "quota for maximum fleet requests",
)
_CODE = re.compile(r"\b(?:" + "|".join(_SHORT_CODES) + r")\b")
# A launch hook's end: the instance ran and was not found ready.
_ABANDONED = "was abandoned"


class Why(Enum):
    """``SHORT``: the pool has no capacity. ``MISTAKE``: image, permission, network, key. ``ABANDONED``: not ready."""

    SHORT = "short"
    MISTAKE = "mistake"
    ABANDONED = "abandoned"


def why(message: str) -> Why:
    """What a failed activity's message tells. What is not known to be a lack of capacity is a mistake."""
    if _CODE.search(message) or any(sentence in message.lower() for sentence in _SHORT_SENTENCES):
        return Why.SHORT
    return Why.ABANDONED if _ABANDONED in message else Why.MISTAKE
