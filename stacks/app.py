"""The one composition root: which stacks a deployment has, and what each gets from the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from aws_cdk import App, Environment, Tags

from neuron_cdk import spec
from neuron_cdk.network.shape import Vpc
from neuron_cdk.spec.uses import uses

from .artifacts import ArtifactsStack
from .endpoint import EndpointStack
from .fleet import FleetStack
from .models import ModelsStack
from .network import NetworkStack, existing_vpc
from .pipeline import PipelineStack


def build_app(
    deployment: spec.Deployment, *, outdir: str | None = None, context: Mapping[str, Any] | None = None
) -> App:
    """Everything the file asks for, not yet synthesized: the CDK's command line, the tests, all start here.

    Stateful stacks first (artifacts, network), then the pipeline, then what uses them; nothing points back. The stacks
    stand in the app itself, not in a Stage: ``cdk deploy --all`` does not look into stages.

    :param context: the CDK feature flags (of ``cdk.json``); under the CDK command line its own context is added.
    :raises spec.SpecError: when the file asks for what is not built yet. It is never left out in silence.
    """
    later = spec.later(deployment)
    if later:
        raise spec.SpecError(replace(finding, severity=spec.Severity.ERROR) for finding in later)
    app = App(analytics_reporting=False, tree_metadata=False, outdir=outdir, context=dict(context or {}))
    for tag, value in deployment.tags.items():
        Tags.of(app).add(tag, value)
    env = Environment(account=deployment.environment.account, region=deployment.environment.region)

    def named(concern: str) -> str:
        return f"{deployment.name}-{concern}"

    artifacts = ArtifactsStack(app, named("Artifacts"), env=env)
    key = artifacts.store.key
    if deployment.network.cidr:
        vpc: Vpc = NetworkStack(app, named("Network"), env=env, deployment=deployment, key=key).network
    else:
        vpc = existing_vpc(artifacts, deployment)
    pipeline = None
    if deployment.models:
        pipeline = PipelineStack(
            app, named("Pipeline"), env=env, store=artifacts.store, vpc=vpc, deployment=deployment
        ).pipeline
        for name, endpoint in deployment.endpoints.items():
            EndpointStack(
                app,
                named(f"Endpoint-{name}"),
                env=env,
                name=name,
                endpoint=endpoint,
                models=deployment.models,
                pipeline=pipeline,
                vpc=vpc,
            )
        # What serves a model compiles it in its own stack, so that both roll back together.
        served = {model for _, model in uses(deployment)}
        others = {name: model for name, model in deployment.models.items() if name not in served}
        if others:
            ModelsStack(app, named("Models"), env=env, models=others, pipeline=pipeline)
    for name, fleet in deployment.fleets.items():
        FleetStack(
            app,
            named(f"Fleet-{name}"),
            env=env,
            name=name,
            fleet=fleet,
            vpc=vpc,
            zones=spec.zones(deployment),
            store=artifacts.store,
            model=deployment.models.get(str(fleet.model)),
            pipeline=pipeline,
        )
    return app
