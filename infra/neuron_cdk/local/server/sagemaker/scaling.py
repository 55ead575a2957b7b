"""What Application Auto Scaling has registered of SageMaker's, as far as SageMaker itself minds."""

from __future__ import annotations

_COUNT = "sagemaker:variant:DesiredInstanceCount"
_COPIES = "sagemaker:inference-component:DesiredCopyCount"


def registered_variants(endpoint: str) -> set[str]:
    """The names of the endpoint's variants that are scalable targets."""
    start = f"endpoint/{endpoint}/variant/"
    return {name.removeprefix(start) for name in _registered(_COUNT) if name.startswith(start)}


def forget_variants(endpoint: str) -> None:
    """DeleteEndpoint deregisters what is registered of the endpoint."""
    for name in registered_variants(endpoint):
        _deregister(f"endpoint/{endpoint}/variant/{name}", _COUNT)


def forget_component(name: str) -> None:
    """As ``forget_variants``. That DeleteInferenceComponent does so is not documented; here nothing is left behind."""
    resource = f"inference-component/{name}"
    if resource in _registered(_COPIES):
        _deregister(resource, _COPIES)


def _registered(dimension: str) -> set[str]:
    from .. import application_autoscaling  # it imports this package

    request = {"ServiceNamespace": "sagemaker", "ScalableDimension": dimension}
    found = application_autoscaling.call("DescribeScalableTargets", request)["ScalableTargets"]
    return {target["ResourceId"] for target in found}


def _deregister(resource: str, dimension: str) -> None:
    from .. import application_autoscaling

    application_autoscaling.call(
        "DeregisterScalableTarget",
        {"ServiceNamespace": "sagemaker", "ResourceId": resource, "ScalableDimension": dimension},
    )
