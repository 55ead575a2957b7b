"""What SageMaker refuses before it begins, of endpoint configurations and of updates.

Where AWS's own words are known from reports they are used; what is refused, and why, is in "Exclusions" of the
deployment guardrails, in the API reference of UpdateEndpoint, and beside each rule.
"""

from __future__ import annotations

from typing import Any, NoReturn

from ..api import ServiceError
from . import pools, scaling, store
from .fleet import AnyVariant, Fleet
from .hosts import HostVariant
from .store import Record

_NO_ZERO_REGIONS = ("eu-west-3",)  # https://github.com/stdapi-ai/stdapi.ai/issues/43, measured 2026-08-27


def check_config(request: Record) -> None:
    """Raise ``ValidationException`` for an endpoint configuration that SageMaker would not take."""
    production, shadows = request["ProductionVariants"], request.get("ShadowProductionVariants", [])
    names = [variant["VariantName"] for variant in [*production, *shadows]]
    if len(set(names)) < len(names):
        _refuse(f"variant names must be unique: {', '.join(names)}")
    components = [variant for variant in production if "ModelName" not in variant]
    if shadows and (len(production) > 1 or len(shadows) > 1 or components):
        # "ShadowProductionVariants": one for one production variant (API reference of CreateEndpointConfig).
        _refuse("A shadow variant needs exactly one production variant with a model, and there can be one of it.")
    if components and len(production) > 1:
        _refuse("An endpoint for inference components has one production variant.")
    if components and "ExecutionRoleArn" not in request:  # https://github.com/stdapi-ai/stdapi.ai/issues/43
        _refuse("ExecutionRoleArn is required for an endpoint configuration whose variants have no ModelName.")
    for variant in [*production, *shadows]:
        _check_variant(variant)
    if "AsyncInferenceConfig" in request and "S3OutputPath" not in request["AsyncInferenceConfig"]["OutputConfig"]:
        _refuse("the embedded AWS has no default bucket for asynchronous inference: give OutputConfig.S3OutputPath")


def check_policy(policy: dict[str, Any], configuration: Record) -> None:
    """Raise ``ValidationException`` for a DeploymentConfig that does not go with the configuration that comes."""
    variants = [*configuration["ProductionVariants"], *configuration.get("ShadowProductionVariants", [])]
    components = any("ModelName" not in variant for variant in variants)
    blue_green, rolling = policy.get("BlueGreenUpdatePolicy"), policy.get("RollingUpdatePolicy")
    if blue_green and rolling:
        _refuse("Only one of BlueGreenUpdatePolicy and RollingUpdatePolicy can be given.")
    if rolling and len(variants) > 1:  # "Exclusions": multi-variant inference endpoints
        _refuse("Rolling deployment is not supported for endpoints with multiple variants.")
    if blue_green and components:
        _refuse("BlueGreenUpdatePolicy is not supported for endpoints with inference components.")
    if rolling:
        _check_part("MaximumBatchSize", rolling["MaximumBatchSize"], 5, 50)
    routing = (blue_green or {}).get("TrafficRoutingConfiguration", {})
    for kind, member, least, most in (("CANARY", "CanarySize", 1, 50), ("LINEAR", "LinearStepSize", 10, 50)):
        if routing.get("Type") == kind:
            if member not in routing:
                _refuse(f"{member} is required when the traffic routing type is {kind}.")
            _check_part(member, routing[member], least, most)


def check_change(endpoint: str, serving: Fleet, configuration: Record) -> None:
    """Raise ``ValidationException`` for a configuration that cannot follow on the one in service.

    A variant that scales by itself can neither go nor change its instance type
    (https://github.com/hashicorp/terraform-provider-aws/issues/14337).
    """
    if serving.hosts_components != any("ModelName" not in each for each in configuration["ProductionVariants"]):
        _refuse("An endpoint cannot change between models of its variants and inference components.")
    if ("AsyncInferenceConfig" in serving.configuration) != ("AsyncInferenceConfig" in configuration):
        _refuse("An endpoint cannot change between real-time and asynchronous inference in the embedded AWS.")
    registered = scaling.registered_variants(endpoint)
    coming = {variant["VariantName"]: variant for variant in configuration["ProductionVariants"]}
    changed = [
        variant.name
        for variant in serving.variants
        if variant.name in registered
        and (variant.name not in coming or pools.types(coming[variant.name]) != pools.types(variant.declared))
    ]
    if changed:
        _refuse(
            f'The variant(s) "[{", ".join(changed)}]" must be deregistered as scalable targets with AWS Auto Scaling '
            "before they can be removed or have their instance type updated."
        )


def check_sizes(serving: Fleet, changes: list[Record]) -> list[tuple[AnyVariant, Record]]:
    """The variants that are to change. Raises ``ValidationException`` for one there is not or a wrong size."""
    found = []
    for wanted in changes:
        variant = serving.find(wanted["VariantName"])
        if variant is None:
            _refuse(f'Could not find variant "{wanted["VariantName"]}".')
        count = wanted.get("DesiredInstanceCount")
        if count == 0 and "AsyncInferenceConfig" not in serving.configuration:
            _refuse("DesiredInstanceCount must be at least 1 for this endpoint.")
        if count is not None and isinstance(variant, HostVariant) and variant.managed:
            _refuse(f'The instance count of variant "{variant.name}" is managed by SageMaker: ManagedInstanceScaling.')
        found.append((variant, wanted))
    return found


def _check_variant(variant: Record) -> None:
    name = variant["VariantName"]
    if ("InstanceType" in variant) == ("InstancePools" in variant):
        _refuse(f"variant {name}: give one of InstanceType and InstancePools (the embedded AWS has no serverless ones)")
    managed = variant.get("ManagedInstanceScaling", {})
    if "ModelName" in variant:
        if managed:
            _refuse("ManagedInstanceScaling is only supported for inference component endpoints.")
        store.find(store.models, "model", variant["ModelName"])
    if "InitialInstanceCount" not in variant:
        _refuse(f"variant {name}: InitialInstanceCount is required")
    if managed.get("MinInstanceCount") == 0 and store.region() in _NO_ZERO_REGIONS:
        _refuse("Min instance count needs to be greater than 0 for enabled managed instance scaling")
    if "InstancePools" in variant:
        types, priorities = pools.types(variant), [pool["Priority"] for pool in variant["InstancePools"]]
        if len(set(types)) < len(types) or len(set(priorities)) < len(priorities):
            _refuse(f"variant {name}: each instance pool has an instance type and a priority of its own")
        for pool in pools.of(variant):
            if pool.model:
                store.find(store.models, "model", pool.model)
    elif "VariantInstanceProvisionTimeoutInSeconds" in variant:
        _refuse(f"variant {name}: VariantInstanceProvisionTimeoutInSeconds needs InstancePools")
    if "InferenceAmiVersion" in variant and any(kind.startswith("ml.inf1.") for kind in pools.types(variant)):
        _refuse(f"variant {name}: InferenceAmiVersion is not supported for ml.inf1 instances")


def _check_part(member: str, capacity: dict[str, Any], least: int, most: int) -> None:
    if capacity["Type"] == "CAPACITY_PERCENT" and not least <= capacity["Value"] <= most:
        _refuse(f"{member} must be between {least} and {most} percent of the instances: {capacity['Value']} was given.")


def _refuse(message: str) -> NoReturn:
    raise ServiceError("ValidationException", message)
