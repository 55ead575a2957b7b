"""What an endpoint serves, and on what: SageMaker models, instance pools, production variants."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from aws_cdk import aws_iam as iam
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

from .. import spec
from ..catalog import instances, software
from ..model import CompiledModel
from ..place import place
from ..resource import resource


@dataclass(frozen=True)
class Served:
    """A compiled model as SageMaker knows it. ``name`` is known at deploy only.

    :param artifact: the key of what is served; a placeholder where a release decides that.
    """

    compiled: CompiledModel
    name: str
    image: str
    artifact: str


def serving_image(scope: Construct, model: CompiledModel) -> software.Software:
    """The image that serves what a model's engine makes, of the SDK that compiled it."""
    return software.resolve(
        target=model.target, engine=model.engine, service="endpoint", region=place(scope)[0], sdk=model.sdk
    )


def pinned(serving: software.Software) -> str:
    """The image by its digest where the catalogue knows it; a tag can be moved."""
    return f"{serving.image.rpartition(':')[0]}@{serving.image_digest}" if serving.image_digest else serving.image


def served_model(
    scope: Construct,
    construct_id: str,
    compiled: CompiledModel,
    *,
    image: str,
    role: iam.IRole,
    network: Mapping[str, Any] | None,
    workers: int,
) -> Served:
    """One SageMaker model. The container gets the artifact uncompressed from S3.

    :param workers: how many copies of the model a container runs; 0 where it decides that itself.
    :param network: ``subnets`` and ``securityGroupIds``; None where the endpoint's configuration has them, which is
        where SageMaker wants role, network and isolation of inference components.
    """
    properties = model_properties(compiled.artifact_uri, image=image, role=role, network=network, workers=workers)
    model = resource(sagemaker.CfnModel, scope, construct_id, **properties)
    return Served(compiled, model.attr_model_name, image, compiled.artifact_key)


def workers(endpoint: spec.Endpoint, variants: Iterable[spec.Variant], model: str, compiled: CompiledModel) -> int:
    """How many copies of a model fit on the NeuronCores that one container of it has, wherever it is served.

    Left to itself the image's server starts one for each of the host's vCPUs (inferred: AWS's configuration of it sets
    no number), which are more than there are cores: the later ones fail to load. 0 for target ``cpu``.
    """
    if compiled.target == "cpu":
        return 0
    hosts = [
        instances.from_sagemaker(name)
        for variant in variants
        for name in variant.types
        if variant.model is None or variant.model_of(name) == model
    ]
    cores = [host.logical_cores for host in hosts]
    shares = [component.accelerators for component in endpoint.components if component.model == model]
    if shares:
        cores = [host.logical_cores // host.accelerators * shares[0] for host in hosts if host.accelerators]
    return max(1, min(cores, default=0) // compiled.compile.tensor_parallel)


def model_properties(
    artifact_uri: str, *, image: str, role: iam.IRole, network: Mapping[str, Any] | None, workers: int
) -> dict[str, Any]:
    """What a SageMaker model is made of, whoever makes it; parameters as of :func:`served_model`."""
    environment = {"environment": {"SAGEMAKER_MODEL_SERVER_WORKERS": str(workers)}} if workers else {}
    alone: dict[str, Any] = {"enable_network_isolation": True, "vpc_config": dict(network)} if network else {}
    return {
        "execution_role_arn": role.role_arn,
        "primary_container": {
            "image": image,
            "modelDataSource": {
                "s3DataSource": {"s3Uri": artifact_uri, "s3DataType": "S3Prefix", "compressionType": "None"}
            },
            **environment,
        },
        **alone,
    }


def production_variant(
    variant: spec.Variant, endpoint: spec.Endpoint, models: Mapping[str, Served], weight: float
) -> dict[str, Any]:
    """A variant as ``AWS::SageMaker::EndpointConfig`` has it.

    Several types are instance pools: SageMaker takes the first that has capacity, and each pool serves the artifact
    that was compiled for its chip (``InstancePools`` with ``ModelNameOverride``).
    """
    hosted = spec.hosting(_sizes(variant, endpoint, models), variant.types, endpoint.hosting)
    made: dict[str, Any] = {
        "variantName": variant.name,
        # The API starts no variant empty: what scales to zero starts with one.
        "initialInstanceCount": max(variant.size.min, 1),
        "initialVariantWeight": weight,
    }
    if variant.model:
        made["modelName"] = models[variant.model].name
        made["modelDataDownloadTimeoutInSeconds"] = hosted.download_timeout_s
        made["containerStartupHealthCheckTimeoutInSeconds"] = hosted.startup_timeout_s
    else:
        made["managedInstanceScaling"] = {
            "status": "ENABLED",
            "minInstanceCount": variant.size.min,
            "maxInstanceCount": variant.size.max,
        }
        made["routingConfig"] = {"routingStrategy": "LEAST_OUTSTANDING_REQUESTS"}
    if hosted.volume_gb:
        made["volumeSizeInGb"] = hosted.volume_gb
    if ami := _host_image(variant):
        made["inferenceAmiVersion"] = ami
    if endpoint.reservation:
        made["capacityReservationConfig"] = {
            "capacityReservationPreference": "capacity-reservations-only",
            "mlReservationArn": endpoint.reservation,
        }
    return made | _instances(variant, endpoint, models)


def has_local_disks(variants: Iterable[spec.Variant]) -> bool:
    """Whether any host has disks of its own, which encrypt in hardware: SageMaker refuses a key for them."""
    return any(instances.from_sagemaker(name).local_disk_gb for variant in variants for name in variant.types)


def _sizes(variant: spec.Variant, endpoint: spec.Endpoint, models: Mapping[str, Served]) -> list[float | None]:
    """Of what lies on one instance, GB: all components, or the largest of the models that pools serve."""
    if variant.model is None:
        return [models[component.model].compiled.size_gb for component in endpoint.components]
    sizes = [models[str(variant.model_of(name))].compiled.size_gb for name in variant.types]
    known = [size for size in sizes if size is not None]
    return [max(known)] if len(known) == len(sizes) else [None]


def _instances(variant: spec.Variant, endpoint: spec.Endpoint, models: Mapping[str, Served]) -> dict[str, Any]:
    if len(variant.types) == 1:
        return {"instanceType": variant.types[0]}
    pools: list[dict[str, Any]] = []
    for priority, name in enumerate(variant.types, start=1):
        pool: dict[str, Any] = {"instanceType": name, "priority": priority}
        if name in variant.pool_models:
            pool["modelNameOverride"] = models[variant.pool_models[name]].name
        pools.append(pool)
    minutes = endpoint.provision_timeout_minutes
    return {"instancePools": pools} | ({"variantInstanceProvisionTimeoutInSeconds": minutes * 60} if minutes else {})


def _host_image(variant: spec.Variant) -> str | None:
    """SageMaker's host image with the newer Neuron driver, wherever it has one: the default host carries a driver too
    old for any current container. None for Inf1 and for hosts without Neuron devices.
    """
    targets = {instances.from_sagemaker(name).target for name in variant.types}
    images = {software.inference_ami_version(target) if target else None for target in targets}
    return images.pop() if len(images) == 1 else None
