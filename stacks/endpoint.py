"""One endpoint, and the model it serves."""

from __future__ import annotations

from aws_cdk import CfnOutput, Environment, Stack
from constructs import Construct

from neuron_cdk import CompiledModel, CompilePipeline, NeuronEndpoint, spec
from neuron_cdk.network.shape import Vpc

from .models import artifact_keys


class EndpointStack(Stack):
    """The model is compiled here, so that a stack that rolls back takes model and endpoint back together."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        env: Environment,
        name: str,
        endpoint: spec.Endpoint,
        model: spec.Model,
        pipeline: CompilePipeline,
        vpc: Vpc,
    ) -> None:
        super().__init__(scope, construct_id, env=env)
        compiled = CompiledModel(self, "Model", pipeline=pipeline, name=str(endpoint.model), model=model)
        served = NeuronEndpoint(
            self,
            "Endpoint",
            model=compiled,
            instance_type=endpoint.instance_types[0],
            vpc=vpc,
            key=pipeline.store.key,
            instance_count=endpoint.size.min,
        )
        CfnOutput(self, "EndpointName", value=served.endpoint_name, description=f"Endpoint {name}")
        artifact_keys(self, [compiled])
