"""The stateful heart: key, bucket, registry."""

from __future__ import annotations

from aws_cdk import CfnOutput, Environment, Stack
from constructs import Construct

from neuron_cdk import ArtifactStore


class ArtifactsStack(Stack):
    """Retained and protected: deleting a deployment leaves its artifacts."""

    def __init__(self, scope: Construct, construct_id: str, *, env: Environment) -> None:
        super().__init__(scope, construct_id, env=env, termination_protection=True)
        self.store = ArtifactStore(self, "Store")
        CfnOutput(self, "ArtifactBucket", value=self.store.bucket.bucket_name)
        CfnOutput(self, "RegistryTable", value=self.store.registry.table_name)
