"""An endpoint as DescribeEndpoint shows it."""

from __future__ import annotations

import hashlib
from typing import Any

from . import copies, pools, store
from .copies import Component
from .fleet import AnyVariant, Fleet
from .replicas import DeploymentError
from .store import Record
from .traffic import Serving

_HIDDEN = ("Deployment", "Desired", "StartTime")


def of_endpoint(record: Record, serving: Serving | None) -> dict[str, Any]:
    shown = {key: value for key, value in record.items() if key not in _HIDDEN}
    if serving is None or not serving.fleets:
        return shown
    fleet = serving.fleet
    shown["ProductionVariants"] = [_variant(variant) for variant in fleet.variants]
    if fleet.shadows:
        shown["ShadowProductionVariants"] = [_variant(variant) for variant in fleet.shadows]
    capture = fleet.configuration.get("DataCaptureConfig")
    if capture:
        enabled = capture.get("EnableCapture", True)
        shown["DataCaptureConfig"] = {
            "EnableCapture": enabled,
            "CaptureStatus": "Started" if enabled else "Stopped",
            "CurrentSamplingPercentage": capture["InitialSamplingPercentage"],
            "DestinationS3Uri": capture["DestinationS3Uri"],
            "KmsKeyId": capture.get("KmsKeyId", ""),
        }
    if "AsyncInferenceConfig" in fleet.configuration:
        shown["AsyncInferenceConfig"] = fleet.configuration["AsyncInferenceConfig"]
    if len(serving.fleets) > 1:
        shown["PendingDeploymentSummary"] = _pending(record, serving.fleets[1])
    return shown


def of_component(record: Record, component: Component) -> dict[str, Any]:
    """A component as DescribeInferenceComponent shows it."""
    shown = {key: value for key, value in record.items() if key not in ("Desired", "Specification", "Specifications")}
    described = [_specification(each, component.name) for each in copies.specifications_of(record)]
    shown["Specification"] = described[0]
    if record.get("Specifications"):
        shown["Specifications"] = described
    shown["RuntimeConfig"] = {"DesiredCopyCount": record["Desired"], "CurrentCopyCount": component.count}
    placed = [{"InstanceType": kind, "CurrentCopyCount": count} for kind, count in component.placed.items()]
    if placed:
        shown["RuntimeConfig"]["PlacementStatus"] = placed
    return shown


def _specification(declared: Record, name: str) -> dict[str, Any]:
    """A specification with the image that runs."""
    try:
        _, container = copies.model_of(declared, name)
    except DeploymentError:
        return dict(declared)
    given = declared.get("Container", {})
    shown = {key: value for key, value in given.items() if key != "Image"} | {
        "DeployedImage": image(container["Image"])
    }
    return declared | {"Container": shown}


def _pending(record: Record, coming: Fleet) -> dict[str, Any]:
    summary: dict[str, Any] = {
        "EndpointConfigName": coming.config,
        "ProductionVariants": [_variant(variant) for variant in coming.variants],
        "StartTime": record.get("StartTime", record["LastModifiedTime"]),
    }
    if coming.shadows:
        summary["ShadowProductionVariants"] = [_variant(variant) for variant in coming.shadows]
    return summary


def _variant(variant: AnyVariant) -> dict[str, Any]:
    declared = variant.declared
    shown: dict[str, Any] = {
        "VariantName": variant.name,
        "CurrentWeight": variant.weight,
        "DesiredWeight": variant.desired_weight,
        "CurrentInstanceCount": variant.count,
        "DesiredInstanceCount": variant.desired,
    }
    if not variant.hosts_components:
        shown["DeployedImages"] = [image(name) for name in variant.images() or _declared_images(declared)]
    if "InstancePools" in declared:
        there = variant.types
        shown["InstancePools"] = [
            {"InstanceType": pool.instance_type, "CurrentInstanceCount": there[pool.instance_type]}
            for pool in pools.of(declared)
        ]
    for member in ("ManagedInstanceScaling", "RoutingConfig"):
        if member in declared:
            shown[member] = declared[member]
    return shown


def _declared_images(declared: Record) -> list[str]:
    """What a variant without instances would run."""
    found = [store.models.get(pool.model) for pool in pools.of(declared) if pool.model]
    images = [(model.get("PrimaryContainer") or model["Containers"][0])["Image"] for model in found if model]
    return list(dict.fromkeys(images))


def image(specified: str) -> dict[str, Any]:
    """An entry of DeployedImages: the image by its digest, which here is made of its name."""
    repository, at, _ = specified.partition("@")
    if at:
        return {"SpecifiedImage": specified, "ResolvedImage": specified}
    name, colon, _ = repository.rpartition(":")
    digest = hashlib.sha256(specified.encode()).hexdigest()
    return {
        "SpecifiedImage": specified,
        "ResolvedImage": f"{name if colon else repository}@sha256:{digest}",
        "ResolutionTime": store.moment(),
    }
