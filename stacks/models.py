"""Models that no endpoint serves: compiled ahead, for fleets and for those who come later."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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
        artifact_keys(
            self,
            [
                CompiledModel(self, f"Model-{name}", pipeline=pipeline, name=name, model=model)
                for name, model in models.items()
            ],
        )


def artifact_keys(stack: Stack, models: Sequence[CompiledModel]) -> None:
    """The output ``ArtifactKeys``: model names to artifact keys, as JSON."""
    keys = {model.name: model.artifact_key for model in models}
    CfnOutput(stack, "ArtifactKeys", value=stack.to_json_string(keys))
