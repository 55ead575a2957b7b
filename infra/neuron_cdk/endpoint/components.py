"""Inference components: models that share the instances of an endpoint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

from .. import spec
from ..resource import resource
from .metrics import InvocationMetrics
from .names import component_name
from .rollout import component_deployment_config
from .variants import Served


class EndpointComponent(Construct):
    """A model's share of an endpoint's instances, so many copies of it, updated in batches of copies."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        component: spec.Component,
        *,
        endpoint: spec.Endpoint,
        on: sagemaker.CfnEndpoint,
        endpoint_name: str,
        served: Served,
    ) -> None:
        super().__init__(scope, construct_id)
        self.component, self.served = component, served
        self.name = component_name(endpoint_name, component.model)
        hosted = spec.hosting([served.compiled.size_gb], endpoint.instance_types, endpoint.hosting)
        self.resource = resource(
            sagemaker.CfnInferenceComponent,
            self,
            "Resource",
            inference_component_name=self.name,
            endpoint_name=on.attr_endpoint_name,
            variant_name=spec.MAIN,
            specification={
                "modelName": served.name,
                "startupParameters": {
                    "modelDataDownloadTimeoutInSeconds": hosted.download_timeout_s,
                    "containerStartupHealthCheckTimeoutInSeconds": hosted.startup_timeout_s,
                },
                "computeResourceRequirements": _needs(component),
            },
            # A component is not made without a copy; scaling takes it to zero afterwards.
            runtime_config={"copyCount": max(component.copies.min, 1)},
            deployment_config=component_deployment_config(endpoint, endpoint.rollout.alarms),
        )

    @property
    def metrics(self) -> InvocationMetrics:
        """What SageMaker tells of this component alone."""
        return InvocationMetrics({"InferenceComponentName": self.name}, concurrency="ConcurrentRequestsPerCopy")

    def declaration(self) -> Mapping[str, Any]:
        """As the hook reads it."""
        return {
            "name": self.name,
            "variant": spec.MAIN,
            "model": self.served.name,
            "artifact": self.served.compiled.artifact_key,
            "image": self.served.image,
        }


def _needs(component: spec.Component) -> dict[str, Any]:
    """What a copy is given: SageMaker counts accelerator devices, cores and MiB."""
    needs: dict[str, Any] = {"minMemoryRequiredInMb": component.memory_mib}
    if component.accelerators:
        needs["numberOfAcceleratorDevicesRequired"] = component.accelerators
    if component.cpus:
        needs["numberOfCpuCoresRequired"] = component.cpus
    return needs
