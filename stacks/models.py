"""Models that no endpoint serves: compiled ahead, for fleets and for those who come later."""

from __future__ import annotations

from collections.abc import Mapping

from aws_cdk import CfnOutput, Environment, Stack
from constructs import Construct

from neuron_cdk import CompiledModel, CompilePipeline, spec


class ModelsStack(Stack):
    """One compiled model each."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        env: Environment,
        models: Mapping[str, spec.Model],
        pipeline: CompilePipeline,
    ) -> None:
        super().__init__(scope, construct_id, env=env)
        for name, model in models.items():
            compiled = CompiledModel(self, f"Model-{name}", pipeline=pipeline, name=name, model=model)
            CfnOutput(compiled, "ArtifactUri", value=compiled.artifact_uri)
