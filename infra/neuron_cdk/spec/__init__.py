"""The deployment file: types, cross-checks, and a loader that knows the line of everything it refuses.

Imports neither the CDK nor boto3, so that tools start fast.
"""

from .codes import CODES, Code, Severity
from .deployment import (
    Budget,
    Capacity,
    CapacityBlock,
    Compile,
    Component,
    Delivery,
    Deployment,
    Efa,
    Endpoint,
    EndpointScaling,
    Environment,
    Fleet,
    FleetScaling,
    HuggingFaceSource,
    Model,
    ModelSource,
    Network,
    OnDemand,
    PathSource,
    Range,
    ReservedCapacity,
    Rollout,
    S3Source,
    ScheduledSize,
    Size,
    SmokeTest,
    Spot,
    Storage,
    TrainingCluster,
)
from .findings import Finding, SpecError
from .later import later
from .loader import Loaded, load
from .schema import json_schema
from .uses import sdk
from .zones import zones

__all__ = [
    "CODES",
    "Budget",
    "Capacity",
    "CapacityBlock",
    "Code",
    "Compile",
    "Component",
    "Delivery",
    "Deployment",
    "Efa",
    "Endpoint",
    "EndpointScaling",
    "Environment",
    "Finding",
    "Fleet",
    "FleetScaling",
    "HuggingFaceSource",
    "Loaded",
    "Model",
    "ModelSource",
    "Network",
    "OnDemand",
    "PathSource",
    "Range",
    "ReservedCapacity",
    "Rollout",
    "S3Source",
    "ScheduledSize",
    "Severity",
    "Size",
    "SmokeTest",
    "SpecError",
    "Spot",
    "Storage",
    "TrainingCluster",
    "json_schema",
    "later",
    "load",
    "sdk",
    "zones",
]
