"""One fleet, and the model it serves."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import CfnOutput, Environment, Stack
from constructs import Construct

from neuron_cdk import ArtifactStore, CompiledModel, CompilePipeline, NeuronFleet, spec
from neuron_cdk.catalog import instances, regions
from neuron_cdk.network.shape import Vpc

from .models import artifact_keys


class FleetStack(Stack):
    """A fleet in the zones that offer it. Its model is compiled here, so that a stack that rolls back takes both."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        env: Environment,
        name: str,
        fleet: spec.Fleet,
        vpc: Vpc,
        zones: Sequence[str],
        store: ArtifactStore,
        model: spec.Model | None = None,
        pipeline: CompilePipeline | None = None,
    ) -> None:
        super().__init__(scope, construct_id, env=env)
        compiled = None
        if model and pipeline:
            compiled = CompiledModel(self, "Model", pipeline=pipeline, name=str(fleet.model), model=model)
            artifact_keys(self, [compiled])
        layout = fleet.efa.layout if fleet.efa else instances.default_efa_layout(instances.get(fleet.instance_types[0]))
        offering = [fleet.zone] if fleet.zone else zones_offering(fleet.instance_types, zones, str(env.region))
        made = NeuronFleet.from_file(
            self,
            "Fleet",
            fleet,
            vpc=vpc,
            store=store,
            zones=offering if layout == "none" else offering[:1],
            model=compiled,
            release_name=name,
        )
        groups = ",".join(f"{group.pool.name}={group.name}" for group in made.pools)
        CfnOutput(self, "AutoScalingGroups", value=groups, description="Capacity pools in order, each with its group")
        CfnOutput(self, "Controller", value=made.controller.function_name)
        if made.releases:
            CfnOutput(self, "ReleaseMachine", value=made.releases.machine.arn, description=made.releases.target)
        if made.load_balancer:
            CfnOutput(self, "Url", value=made.load_balancer.url, description="POST /invocations")
            CfnOutput(
                self,
                "ClientSecurityGroup",
                value=made.load_balancer.client_security_group_id,
                description="Whoever has it may call the models",
            )


def zones_offering(instance_types: Sequence[str], zones: Sequence[str], region: str) -> list[str]:
    """Those of the network's zones that offer one of the types; all where the catalogue cannot tell (zones by name)."""
    offered = {zone for name in instance_types for zone in regions.zones_offering(region, name)}
    return [zone for zone in zones if zone in offered] or list(zones)
