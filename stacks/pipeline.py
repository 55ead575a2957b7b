"""The compile pipeline."""

from __future__ import annotations

from aws_cdk import CfnOutput, Duration, Environment, Stack
from constructs import Construct

from neuron_cdk import ArtifactStore, CompilePipeline, spec
from neuron_cdk.network.shape import Vpc


class PipelineStack(Stack):
    """Hooks, state machines and the role of compile jobs."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        env: Environment,
        store: ArtifactStore,
        vpc: Vpc,
        deployment: spec.Deployment,
    ) -> None:
        super().__init__(scope, construct_id, env=env, termination_protection=True)
        # A Neuron compile takes minutes, one of ONNX Runtime a second: look as often as it makes sense.
        quick = all(model.compile.target == "cpu" for model in deployment.models.values())
        self.pipeline = CompilePipeline(
            self, "Pipeline", store=store, vpc=vpc, poll=Duration.seconds(1 if quick else 15)
        )
        CfnOutput(self, "RequestMachine", value=self.pipeline.request_machine.attr_arn)
        CfnOutput(self, "CompileMachine", value=self.pipeline.compile_machine.attr_arn)
        CfnOutput(self, "Housekeeping", value=self.pipeline.housekeeping.function_name)
