"""One app with every construct in the shapes the tests ask about, synthesized once a session."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import App, Environment, Stack
from aws_cdk import aws_iam as iam
from aws_cdk.assertions import Template

from neuron_cdk import (
    ArtifactStore,
    CompiledModel,
    CompilePipeline,
    NeuronEndpoint,
    NeuronFleet,
    NeuronNetwork,
    spec,
)
from neuron_cdk.local import environment
from neuron_cdk.network.efa import EfaSecurityGroup
from tests.constructs.endpoint_shapes import endpoint_shapes

FLAGS = json.loads((Path(__file__).resolve().parents[2] / "cdk.json").read_text())["context"]
AWS = Environment(account="111122223333", region="us-east-1")
EMBEDDED_AWS = Environment(account="000000000000", region="us-east-1")
ZONES = ("use1-az4", "use1-az6")


def model(
    target: str, engine: str = "torch-neuronx", *, more: Mapping[str, Any] | None = None, **compile_options: Any
) -> spec.Model:
    wanted = {"engine": engine, "target": target, "batch_sizes": (1, 4), **compile_options}
    return spec.Model.model_validate(
        {"source": {"s3": "s3://models/minilm/"}, "task": "feature-extraction", "compile": wanted, **(more or {})}
    )


class Platform:
    """What fleets, models and endpoints are given: a store, a network, a pipeline, in a stack of their own."""

    def __init__(self, app: App, name: str, env: Environment = AWS) -> None:
        self.env = env
        self.stack = Stack(app, name, env=env)
        self.store = ArtifactStore(self.stack, "Store")
        self.network = NeuronNetwork(
            self.stack, "Network", cidr="10.0.0.0/16", zones=ZONES, egress="nat", key=self.store.key
        )
        self.vpc, self.key = self.network.vpc, self.store.key
        self.pipeline = CompilePipeline(self.stack, "Pipeline", store=self.store, vpc=self.vpc)


def build(app: App) -> None:
    """Every stack the tests read, by the name they read it under."""
    aws = Platform(app, "platform")
    embedded = Platform(app, "embedded", EMBEDDED_AWS)

    def stack(name: str, env: Environment = AWS) -> Stack:
        return Stack(app, name, env=env)

    def fleet(name: str, types: list[str], *, served: spec.Model | None = None, **options: Any) -> None:
        scope = stack(name)
        options = {"size": spec.Size(min=0, max=4), "purpose": "inference", **options}
        if served:
            options["model"] = CompiledModel(scope, "Model", pipeline=aws.pipeline, name="minilm", model=served)
        NeuronFleet(scope, "Fleet", vpc=aws.vpc, store=aws.store, instance_types=types, **options)

    def endpoint(
        name: str,
        served: spec.Model | None,
        types: list[str],
        *,
        others: Mapping[str, spec.Model] | None = None,
        platform: Platform = aws,
        **options: Any,
    ) -> None:
        scope = stack(name, platform.env)

        def compiled(construct_id: str, name: str, model: spec.Model) -> CompiledModel:
            return CompiledModel(scope, construct_id, pipeline=platform.pipeline, name=name, model=model)

        made = NeuronEndpoint(
            scope,
            "Endpoint",
            vpc=platform.vpc,
            store=platform.store,
            model=compiled("Model", "minilm", served) if served else None,
            models=[compiled(f"Model-{each}", each, model) for each, model in (others or {}).items()],
            instance_types=types,
            **{"size": spec.Range(min=2, max=2), **options},
        )
        made.grant_invoke(iam.Role(scope, "Caller", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com")))

    isolated = stack("isolated")
    NeuronNetwork(isolated, "Network", cidr="10.1.0.0/20", zones=ZONES[:1], egress="endpoints-only", key=aws.key)
    EfaSecurityGroup(stack("efa-group"), "Group", vpc=aws.vpc)
    block = spec.CapacityBlock(kind="capacity-block", reservation="cr-0123456789abcdef0")
    reserved = spec.ReservedCapacity(kind="reservation", reservation="cr-0fedcba9876543210")
    on_demand, spot = spec.OnDemand(kind="on-demand"), spec.Spot(kind="spot")
    utilization = spec.FleetScaling(metric="neuroncore-utilization", target=70)
    fleet("trn1-efa", ["trn1.32xlarge"], zones=["use1-az6"], purpose="training")
    fleet(
        "trn1n-efa-only",
        ["trn1n.32xlarge"],
        zones=["use1-az6"],
        efa=spec.Efa(layout="efa-only"),
        purpose="training",
    )
    fleet("trn1-no-efa", ["trn1.32xlarge"], efa=spec.Efa(layout="none"), purpose="training")
    fleet("one-type", ["inf2.xlarge"])
    fleet("two-types", ["inf2.xlarge", "inf2.8xlarge"])
    fleet("spot", ["inf2.xlarge"], capacity=[spot])
    fleet("pinned", ["inf2.xlarge"], ami="ami-0123456789abcdef0")
    fleet("scaled", ["inf2.xlarge"], scaling=utilization)
    fleet(
        "fallback",
        ["inf2.xlarge", "inf2.8xlarge"],
        size=spec.Size(min=1, max=4),
        capacity=[spot, spec.OnDemand(kind="on-demand", base=2)],
    )
    fleet(
        "gang",
        ["trn1.32xlarge"],
        zones=["use1-az6"],
        purpose="training",
        capacity=[block, spot, on_demand],
    )
    fleet("reserved", ["inf2.xlarge"], capacity=[reserved, on_demand])
    fleet("reserved-only", ["inf2.xlarge"], capacity=[reserved])
    fleet("old-chip", ["inf1.xlarge"])
    fleet("warm", ["inf2.xlarge"], warm_pool=spec.WarmPool(size=2))
    fleet(
        "scheduled",
        ["inf2.xlarge"],
        scaling=utilization,
        schedule=[spec.ScheduledSize(cron="0 8 ? * MON-FRI *", min=2, max=4)],
    )
    fleet(
        "queue",
        ["inf2.xlarge"],
        scaling=spec.FleetScaling(
            metric="queue-depth", target=100, queue="arn:aws:sqs:us-east-1:111122223333:requests"
        ),
    )
    served = model("inf2", sdk="2.31.1")
    fleet(
        "serving",
        ["inf2.xlarge", "inf2.8xlarge"],
        served=served,
        scaling=spec.FleetScaling(metric="requests-per-target", target=600),
    )
    certificate = "arn:aws:acm:us-east-1:111122223333:certificate/01234567-89ab-cdef-0123-456789abcdef"
    fleet(
        "serving-tls",
        ["inf2.xlarge"],
        served=served,
        capacity=[spot, on_demand],
        serving=spec.Serving(load_balancer="network", certificate=certificate),
        max_lifetime_days=30,
        drain_minutes=10,
        refresh=spec.Refresh(min_healthy_percent=50, checkpoints=(50, 100), bake_minutes=5),
    )
    block = spec.CapacityBlock(kind="capacity-block", reservation="cr-0123456789abcdef0")
    fleet(
        "released",
        ["trn1.32xlarge"],
        served=model("trn1"),
        efa=spec.Efa(layout="none"),
        capacity=[block, spot, on_demand],
        size=spec.Size(min=1, max=4),
        managed_by="pipeline",
        release=spec.Release(approval=True),
        release_name="serve",
        refresh=spec.Refresh(checkpoints=(50, 100), bake_minutes=5),
    )
    endpoint("cpu-endpoint", model("cpu", "onnxruntime"), ["ml.m5.large"], platform=embedded)
    endpoint_shapes(endpoint, model)


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Template]:
    """``template("spot")``: a stack of ``build``, for the CDK's assertions."""
    app = App(analytics_reporting=False, context=FLAGS, outdir=str(tmp_path_factory.mktemp("constructs")))
    build(app)
    folder = Path(app.synth().directory)

    made: dict[str, Template] = {}

    def read(name: str) -> Template:
        if name not in made:
            made[name] = Template.from_string((folder / f"{name}.template.json").read_text())
        return made[name]

    return read


@pytest.fixture(scope="session")
def resources(template: Callable[[str], Template]) -> Callable[[str, str], dict[str, dict[str, Any]]]:
    """``resources("spot", "AWS::EC2::LaunchTemplate")``: properties by logical id."""

    def find(name: str, kind: str) -> dict[str, dict[str, Any]]:
        return {
            logical_id: resource.get("Properties", {})
            for logical_id, resource in template(name).find_resources(kind).items()
        }

    return find


@pytest.fixture(scope="session")
def only(resources: Callable[[str, str], dict[str, dict[str, Any]]]) -> Callable[[str, str], dict[str, Any]]:
    """The properties of the one resource of its kind in a stack."""

    def find(name: str, kind: str) -> dict[str, Any]:
        (properties,) = resources(name, kind).values()
        return properties

    return find


@pytest.fixture(scope="session")
def statements() -> Callable[[dict[str, Any]], list[dict[str, Any]]]:
    """The inline statements of a role, actions and resources always as lists."""

    def read(role: dict[str, Any]) -> list[dict[str, Any]]:
        def many(value: Any) -> list[Any]:
            return value if isinstance(value, list) else [value]

        return [
            {**statement, "Action": many(statement["Action"]), "Resource": many(statement["Resource"])}
            for policy in role.get("Policies", ())
            for statement in policy["PolicyDocument"]["Statement"]
        ]

    return read


@pytest.fixture(scope="session")
def launches(resources):
    """The data of every launch template of a fleet, the main one first."""

    def find(name):
        templates = resources(name, "AWS::EC2::LaunchTemplate")
        return [templates[key]["LaunchTemplateData"] for key in sorted(templates, key=lambda key: "Main" not in key)]

    return find


@pytest.fixture(scope="session")
def launch(launches):
    """The data of a fleet's main launch template."""
    return lambda name: launches(name)[0]


@pytest.fixture(scope="session")
def groups(resources):
    """A fleet's Auto Scaling groups by the name of their pool."""

    def find(name):
        found = resources(name, "AWS::AutoScaling::AutoScalingGroup").values()
        return {tags(group)["neuron-cdk:pool"]: group for group in found}

    return find


@pytest.fixture(scope="session")
def group(groups):
    """The one group of a fleet with one pool."""

    def find(name):
        (only,) = groups(name).values()
        return only

    return find


@pytest.fixture(scope="session")
def configuration(resources):
    """What a fleet's controller is told; references as ``<logical id>``."""

    def find(name):
        (function,) = resources(name, "AWS::Lambda::Function").values()
        told = function["Environment"]["Variables"]["FLEET"]["Fn::Join"][1]
        return json.loads("".join(part if isinstance(part, str) else f"<{reference(part)}>" for part in told))

    return find


def reference(part: dict[str, Any]) -> str:
    return part["Ref"] if "Ref" in part else ".".join(part["Fn::GetAtt"])


def tags(group: dict[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in group["Tags"]}


@pytest.fixture(scope="session")
def instance_role(resources: Callable[[str, str], dict[str, dict[str, Any]]]) -> Callable[[str], dict[str, Any]]:
    """The role of a fleet's instances."""

    def find(name: str) -> dict[str, Any]:
        (role,) = (
            role
            for role in resources(name, "AWS::IAM::Role").values()
            if "ec2.amazonaws.com" in json.dumps(role["AssumeRolePolicyDocument"])
        )
        return role

    return find


@pytest.fixture
def app(tmp_path: Path) -> App:
    """An app of its own, for what is refused or changed by one test."""
    return App(analytics_reporting=False, context=FLAGS, outdir=str(tmp_path / "cdk.out"))


@pytest.fixture
def stack(app: App) -> Stack:
    return Stack(app, "Stack", env=AWS)


@pytest.fixture
def platform(app: App) -> Platform:
    return Platform(app, "Platform")


@pytest.fixture(scope="session")
def a_model() -> Callable[..., spec.Model]:
    """``a_model("inf2")``: as a deployment file would say it."""
    return model


@pytest.fixture(scope="session")
def evaluate() -> Callable[[list[tuple[str, dict[str, Any]]]], list[Any]]:
    """``evaluate([(expression, {"states": …, "begun": …}), …])`` with the JSONata of the embedded AWS."""
    program = """
import json, sys, jsonata
for expression, variables in json.load(sys.stdin):
    program = jsonata.Jsonata(expression)
    for name, value in variables.items():
        program.assign(name, value)
    print(json.dumps(program.evaluate(None)))
"""

    def run(cases: list[tuple[str, dict[str, Any]]]) -> list[Any]:
        done = subprocess.run(
            [environment.ensure(), "-c", program], input=json.dumps(cases), capture_output=True, text=True, check=True
        )
        return [json.loads(line) for line in done.stdout.splitlines()]

    return run
