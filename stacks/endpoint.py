"""One endpoint, and the models it serves."""

from __future__ import annotations

from collections.abc import Mapping

from aws_cdk import CfnOutput, Environment, Stack
from constructs import Construct

from neuron_cdk import CompiledModel, CompilePipeline, NeuronEndpoint, spec
from neuron_cdk.network.shape import Vpc
from neuron_cdk.spec.uses import endpoint_uses

from .models import artifact_keys


class EndpointStack(Stack):
    """The models are compiled here, so that a stack that rolls back takes models and endpoint back together."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        env: Environment,
        name: str,
        endpoint: spec.Endpoint,
        models: Mapping[str, spec.Model],
        pipeline: CompilePipeline,
        vpc: Vpc,
    ) -> None:
        super().__init__(scope, construct_id, env=env)
        used = dict.fromkeys(model for _, model in endpoint_uses(endpoint))
        compiled = [
            CompiledModel(
                self,
                "Model" if each == endpoint.model else f"Model-{each}",
                pipeline=pipeline,
                name=each,
                model=models[each],
            )
            for each in used
        ]
        made = NeuronEndpoint.from_file(
            self, "Endpoint", endpoint, vpc=vpc, store=pipeline.store, models=compiled, release_name=name
        )
        CfnOutput(self, "EndpointName", value=made.endpoint_name, description=f"Endpoint {name}")
        if made.releases:
            CfnOutput(self, "ReleaseMachine", value=made.releases.machine.arn, description=made.releases.target)
        if made.components:
            names = {each.component.model: each.name for each in made.components}
            CfnOutput(self, "Components", value=self.to_json_string(names), description="Models to component names")
        if made.async_output:
            CfnOutput(self, "InputPrefix", value=made.async_output.input_uri, description="Where requests are put")
        artifact_keys(self, compiled)
