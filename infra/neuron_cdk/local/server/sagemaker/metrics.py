"""The metrics of endpoints and components ("SageMaker AI metrics in Amazon CloudWatch", developer guide).

Every request is recorded for its variant twice: with and without ``EndpointConfigName``, which tells a new fleet from
the old one in a deployment's alarms ("Auto-Rollback Configuration and Monitoring").
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..cloudwatch import metrics as cloudwatch

_NAMESPACE = "AWS/SageMaker"

Dimensions = Mapping[str, str]


def record(name: str, dimensions: Dimensions, value: float, unit: str = "None") -> None:
    cloudwatch.record(_NAMESPACE, name, dimensions, value, unit)


def of_variant(endpoint: str, variant: str, config: str) -> tuple[Dimensions, Dimensions]:
    """The dimension sets of a variant's requests."""
    own = {"EndpointName": endpoint, "VariantName": variant}
    return own, own | {"EndpointConfigName": config}


def request(sets: Iterable[Dimensions], *, status: int, model_s: float, overhead_s: float) -> None:
    """One request that a container answered with ``status``, 0 for none."""
    client_error, server_error = 400 <= status < 500, status == 0 or status >= 500
    for dimensions in sets:
        record("Invocations", dimensions, 1)
        record("Invocation4XXErrors", dimensions, float(client_error))
        record("Invocation5XXErrors", dimensions, float(server_error))
        record("ModelLatency", dimensions, model_s * 1e6, "Microseconds")
        record("OverheadLatency", dimensions, overhead_s * 1e6, "Microseconds")
