"""One deployment: which stacks there are and what each gets from the others."""

from __future__ import annotations

from aws_cdk import Environment, Stage, Tags
from constructs import Construct

from neuron_cdk import spec

from .artifacts import ArtifactsStack
from .endpoint import EndpointStack
from .fleet import FleetStack
from .models import ModelsStack
from .network import NetworkStack
from .pipeline import PipelineStack


class DeploymentStage(Stage):
    """Stateful stacks first (artifacts, network), then the pipeline, then what uses them. Nothing points the other way."""

    def __init__(self, scope: Construct, construct_id: str, *, deployment: spec.Deployment) -> None:
        super().__init__(
            scope,
            construct_id,
            env=Environment(account=deployment.environment.account, region=deployment.environment.region),
        )
        for tag, value in deployment.tags.items():
            Tags.of(self).add(tag, value)

        artifacts = ArtifactsStack(self, "Artifacts")
        network = NetworkStack(self, "Network", deployment=deployment, key=artifacts.store.key)
        if deployment.models:
            pipeline = PipelineStack(self, "Pipeline", store=artifacts.store, vpc=network.vpc, deployment=deployment)
            for name, endpoint in deployment.endpoints.items():
                EndpointStack(
                    self,
                    f"Endpoint-{name}",
                    name=name,
                    endpoint=endpoint,
                    model=deployment.models[endpoint.model],
                    pipeline=pipeline.pipeline,
                    network=network,
                )
            # An endpoint's model is compiled in the endpoint's stack, so that both roll back together.
            served = {endpoint.model for endpoint in deployment.endpoints.values()}
            others = {name: model for name, model in deployment.models.items() if name not in served}
            if others:
                ModelsStack(self, "Models", models=others, pipeline=pipeline.pipeline)
        for name, fleet in deployment.fleets.items():
            FleetStack(self, f"Fleet-{name}", fleet=fleet, network=network, key=artifacts.store.key)
