"""What the file says is what is deployed: changing any field changes a template. Nothing is read and forgotten."""

from __future__ import annotations

import json
import re
from functools import reduce
from pathlib import Path

import pytest
import yaml

from neuron_cdk import spec
from stacks import build_app

SANDBOX = Path(__file__).resolve().parents[2] / "deployments" / "sandbox.yaml"

CERTIFICATE = "arn:aws:acm:us-east-1:111122223333:certificate/01234567-89ab-cdef-0123-456789abcdef"
# A fleet of one type on demand, for what goes with nothing else.
PLAIN = {"purpose": "inference", "instance_types": ["inf2.xlarge"], "size": {"min": 1, "max": 4}}
QUEUE = {"metric": "queue-depth", "target": 10, "queue": "arn:aws:sqs:us-east-1:111122223333:requests"}

CHANGES: list[tuple[str, object]] = [
    ("name", "sandbox2"),
    ("environment.account", "222233334444"),
    ("environment.region", "us-west-2"),
    ("tags.team", "another"),
    ("network.cidr", "10.41.0.0/16"),
    ("network.availability_zones", 3),
    ("network.egress", "endpoints-only"),
    ("models.ranker.source", {"s3": "s3://sandbox-models/other/"}),
    ("models.ranker.task", "text-classification"),
    ("models.ranker.compile.engine", "torch-neuronx"),
    ("models.ranker.compile.target", "trn1"),
    ("models.ranker.compile.sdk", "2.30.0"),
    ("models.ranker.compile.dtype", "bf16"),
    ("models.ranker.compile.batch_sizes", [2]),
    ("models.ranker.compile.sequence_lengths", [64]),
    ("models.ranker.compile.compiler_args", ["-O1"]),
    ("models.ranker.compile.timeout_minutes", 60),
    ("fleets.pretrain.instance_types", ["trn1n.32xlarge"]),
    ("fleets.pretrain.efa", {"layout": "none"}),
    ("fleets.pretrain.zone", "use1-az5"),
    ("fleets.pretrain.ami", "ami-0123456789abcdef0"),
    ("fleets.pretrain.size", {"min": 1, "max": 4}),
    ("fleets.pretrain.size", {"min": 0, "max": 5}),
    ("fleets.pretrain.size", {"min": 0, "max": 4, "desired": 2}),
    ("fleets.pretrain.capacity", [{"kind": "capacity-block", "reservation": "cr-0123456789abcdef0"}]),
    ("fleets.pretrain.purpose", "inference"),
    ("fleets.serve.capacity", [{"kind": "spot"}]),
    ("fleets.serve.capacity", [{"kind": "spot"}, {"kind": "on-demand", "base": 2}]),
    ("fleets.serve.capacity", [{"kind": "reservation", "reservation": "cr-0123456789abcdef0"}]),
    ("fleets.serve.scaling.target", 50),
    ("fleets.serve.scaling", {"metric": "neuroncore-utilization", "target": 70}),
    ("fleets.serve.scaling.scale_out_cooldown_s", 90),
    ("fleets.serve.scaling.scale_in_cooldown_s", 90),
    ("fleets.serve.schedule", [{"cron": "0 8 ? * MON-FRI *", "min": 2, "max": 8}]),
    ("fleets.serve.serving", {"load_balancer": "application", "certificate": CERTIFICATE}),
    ("fleets.serve.refresh", {"min_healthy_percent": 80}),
    ("fleets.serve.refresh", {"checkpoints": [50, 100]}),
    ("fleets.serve.refresh", {"bake_minutes": 5}),
    ("fleets.serve.max_lifetime_days", 30),
    ("fleets.serve.return_after_minutes", 30),
    ("fleets.serve.drain_minutes", 2),
    ("fleets.serve.managed_by", "pipeline"),
]


@pytest.fixture(scope="session")
def templates(tmp_path_factory, flags):
    """``templates({"fleets.serve.size.max": 9})``: the sandbox's templates with these fields as given."""

    def build(changes: dict[str, object]) -> dict[str, object]:
        folder = tmp_path_factory.mktemp("changed")
        document = yaml.safe_load(SANDBOX.read_text())
        for pointer, value in changes.items():
            *parents, last = pointer.split(".")
            reduce(lambda part, name: part.setdefault(name, {}), parents, document)[last] = value
        file = folder / "changed.yaml"
        file.write_text(yaml.safe_dump(document))
        app = build_app(spec.load(file).deployment, outdir=str(folder / "out"), context=flags)
        return {stack.stack_name: stack.template for stack in app.synth().stacks}

    return build


@pytest.fixture(scope="session")
def unchanged(templates):
    return templates({})


@pytest.mark.parametrize(("pointer", "value"), CHANGES, ids=[pointer for pointer, _ in CHANGES])
def test_changing_a_field_changes_a_template(pointer, value, templates, unchanged):
    assert templates({pointer: value}) != unchanged


@pytest.mark.parametrize("field", [{"warm_pool": {"size": 1}}, {"scaling": QUEUE}], ids=["warm_pool", "scaling.queue"])
def test_changing_a_field_of_a_plain_fleet_changes_a_template(field, templates):
    assert templates({"fleets.plain": {**PLAIN, **field}}) != templates({"fleets.plain": PLAIN})


HUB = {"huggingface": "org/ranker", "revision": "0123456789" * 4}
UPLOADS = {"s3": "s3://sandbox-models/ranker/"}
SECRET = "arn:aws:secretsmanager:us-east-1:111122223333:secret:huggingface-AbCdEf"


@pytest.mark.parametrize(
    ("source", "field"),
    [
        (UPLOADS, {"watch": True}),
        (UPLOADS, {"include": ["*.bin"]}),
        (HUB, {"huggingface": "org/another"}),
        (HUB, {"revision": "1123456789" * 4}),
        (HUB, {"token": SECRET}),
        (HUB, {"include": ["*.bin"]}),
        (HUB, {"mirror": "s3://sandbox-models/ranker/"}),
    ],
    ids=lambda field: next(reversed(field)),
)
def test_changing_a_field_of_a_source_changes_a_template(source, field, templates):
    assert templates({"models.ranker.source": {**source, **field}}) != templates({"models.ranker.source": source})


def test_the_queue_is_the_one_that_the_file_names(templates):
    other = {**QUEUE, "queue": "arn:aws:sqs:us-east-1:111122223333:others"}
    assert templates({"fleets.plain": {**PLAIN, "scaling": QUEUE}}) != templates(
        {"fleets.plain": {**PLAIN, "scaling": other}}
    )


def test_asking_for_approval_changes_a_template(templates):
    released = {"fleets.serve.managed_by": "pipeline"}
    assert templates({**released, "fleets.serve.release": {"approval": True}}) != templates(released)


def test_serving_through_the_other_load_balancer_changes_a_template(templates, unchanged):
    changes = {
        "fleets.serve.serving": {"load_balancer": "network"},
        "fleets.serve.scaling": {"metric": "neuroncore-utilization", "target": 70},
    }
    assert templates(changes) != templates({"fleets.serve.scaling": changes["fleets.serve.scaling"]})


# -- endpoints: a stack each, all of one app -----------------------------------------------------------------------

EMBED = {"model": "minilm", "instance_types": ["ml.inf2.xlarge"], "size": {"min": 1, "max": 4}}
BACKLOG = {"metric": "backlog", "target": 5}
QUEUED = {**EMBED, "mode": "async", "scaling": BACKLOG}
SCALED = {**EMBED, "scaling": {"metric": "concurrent-requests", "target": 4}}
COMPONENT = {"model": "minilm", "copies": {"min": 1, "max": 2}, "accelerators": 1, "memory_mib": 4096}
SHARED = {
    "instance_types": ["ml.inf2.24xlarge"],
    "size": {"min": 1, "max": 2},
    "scaling": {"metric": "concurrent-requests", "target": 4},
}
POOLS = {**EMBED, "instance_types": ["ml.inf2.xlarge", "ml.inf2.8xlarge"]}
CANDIDATE = {"model": "encoder", "weight": 1}
CANARY = {**EMBED, "size": {"min": 4, "max": 4}, "rollout": {"kind": "canary", "percent": 25}}

ENDPOINT_CHANGES: list[tuple[str, dict, dict]] = [
    ("model", EMBED, {"model": "encoder"}),
    ("instance_types", EMBED, {"instance_types": ["ml.inf2.8xlarge"]}),
    ("order of pools", POOLS, {"instance_types": ["ml.inf2.8xlarge", "ml.inf2.xlarge"]}),
    ("pool_models", POOLS, {"pool_models": {"ml.inf2.8xlarge": "encoder"}}),
    ("provision_timeout_minutes", POOLS, {"provision_timeout_minutes": 10}),
    ("reservation", EMBED, {"reservation": "arn:aws:sagemaker:us-east-1:111122223333:training-plan/serving"}),
    ("size.min", SCALED, {"size": {"min": 2, "max": 4}}),
    ("size.max", SCALED, {"size": {"min": 1, "max": 3}}),
    ("hosting", EMBED, {"hosting": {"volume_gb": 100}}),
    ("hosting.download_timeout_s", EMBED, {"hosting": {"download_timeout_s": 100}}),
    ("hosting.startup_timeout_s", EMBED, {"hosting": {"startup_timeout_s": 100}}),
    ("capture", EMBED, {"capture": {"percent": 10}}),
    ("capture.percent", {**EMBED, "capture": {"percent": 10}}, {"capture": {"percent": 11}}),
    (
        "capture.retention_days",
        {**EMBED, "capture": {"percent": 10}},
        {"capture": {"percent": 10, "retention_days": 3}},
    ),
    ("mode", {**EMBED, "size": {"min": 1, "max": 1}}, {"mode": "async"}),
    ("async_inference.retention_days", QUEUED, {"async_inference": {"retention_days": 3}}),
    ("async_inference.max_concurrent", QUEUED, {"async_inference": {"max_concurrent_per_instance": 3}}),
    ("async_inference.responses_in_topic", QUEUED, {"async_inference": {"responses_in_topic": True}}),
    ("variants", EMBED, {"variants": {"candidate": CANDIDATE}}),
    ("weight", {**EMBED, "variants": {"candidate": CANDIDATE}}, {"weight": 9}),
    (
        "variants.weight",
        {**EMBED, "variants": {"candidate": CANDIDATE}},
        {"variants": {"candidate": {**CANDIDATE, "weight": 2}}},
    ),
    (
        "variants.instance_types",
        {**EMBED, "variants": {"candidate": CANDIDATE}},
        {"variants": {"candidate": {**CANDIDATE, "instance_types": ["ml.inf2.8xlarge"]}}},
    ),
    (
        "variants.size",
        {**EMBED, "variants": {"candidate": CANDIDATE}},
        {"variants": {"candidate": {**CANDIDATE, "size": {"min": 2, "max": 2}}}},
    ),
    ("shadow", EMBED, {"shadow": {"model": "encoder", "percent": 50}}),
    (
        "shadow.percent",
        {**EMBED, "shadow": {"model": "encoder", "percent": 50}},
        {"shadow": {"model": "encoder", "percent": 51}},
    ),
    ("scaling", EMBED, {"scaling": {"metric": "concurrent-requests", "target": 4}}),
    ("scaling.metric", SCALED, {"scaling": {"metric": "invocations-per-instance", "target": 4}}),
    ("scaling.target", SCALED, {"scaling": {"metric": "concurrent-requests", "target": 5}}),
    ("scaling.steps", SCALED, {"scaling": {**SCALED["scaling"], "steps": [{"above": 0, "add": 1}]}}),
    ("scaling.scale_in_cooldown_s", SCALED, {"scaling": {**SCALED["scaling"], "scale_in_cooldown_s": 100}}),
    ("scaling.scale_out_cooldown_s", SCALED, {"scaling": {**SCALED["scaling"], "scale_out_cooldown_s": 100}}),
    ("schedule", SCALED, {"schedule": [{"cron": "0 8 ? * MON-FRI *", "min": 2, "max": 4}]}),
    ("components.copies", {**SHARED, "components": [COMPONENT]}, {"copies": {"min": 1, "max": 3}}),
    ("components.accelerators", {**SHARED, "components": [COMPONENT]}, {"accelerators": 2}),
    ("components.memory_mib", {**SHARED, "components": [COMPONENT]}, {"memory_mib": 8192}),
    ("components.cpus", {**SHARED, "components": [COMPONENT]}, {"cpus": 2}),
    ("rollout.kind", CANARY, {"rollout": {"kind": "linear", "percent": 25}}),
    ("rollout.percent", CANARY, {"rollout": {"kind": "canary", "percent": 50}}),
    ("rollout.wait_minutes", CANARY, {"rollout": {**CANARY["rollout"], "wait_minutes": 1}}),
    ("rollout.bake_minutes", CANARY, {"rollout": {**CANARY["rollout"], "bake_minutes": 1}}),
    ("rollout.max_minutes", CANARY, {"rollout": {**CANARY["rollout"], "max_minutes": 60}}),
    ("rollout.max_error_rate", CANARY, {"rollout": {**CANARY["rollout"], "max_error_rate": 0.1}}),
    ("rollout.max_p99_ms", CANARY, {"rollout": {**CANARY["rollout"], "max_p99_ms": 100}}),
    ("rollout.alarms", CANARY, {"rollout": {**CANARY["rollout"], "alarms": ["neuron-errors"]}}),
    ("managed_by", EMBED, {"managed_by": "pipeline"}),
    ("release.approval", {**EMBED, "managed_by": "pipeline"}, {"release": {"approval": True}}),
]


@pytest.fixture(scope="session")
def endpoint_templates(tmp_path_factory, flags):
    """The template of each endpoint, before and after its change, without what comes of its name."""
    endpoints = {}
    for index, (field, before, change) in enumerate(ENDPOINT_CHANGES):
        endpoints[f"before-{index}"] = before
        if field.startswith("components."):
            change = {"components": [{**before["components"][0], **change}]}
        endpoints[f"after-{index}"] = {**before, **change}
    document = yaml.safe_load(SANDBOX.read_text())
    document = {**document, "fleets": {}, "endpoints": endpoints}
    folder = tmp_path_factory.mktemp("endpoints")
    deployment = spec.Deployment.model_validate(document)
    app = build_app(deployment, outdir=str(folder), context=flags)
    return {
        stack.stack_name.partition("-Endpoint-")[2]: re.sub(
            r"(before|after)-\d+|-[0-9a-f]{8}\b", "", json.dumps(stack.template)
        )
        for stack in app.synth().stacks
    }


@pytest.mark.parametrize("index", range(len(ENDPOINT_CHANGES)), ids=[field for field, *_ in ENDPOINT_CHANGES])
def test_changing_a_field_of_an_endpoint_changes_its_template(index, endpoint_templates):
    assert endpoint_templates[f"before-{index}"] != endpoint_templates[f"after-{index}"]


def test_what_comes_of_an_endpoints_name_is_no_change(endpoint_templates):
    same = [index for index, (_, before, _) in enumerate(ENDPOINT_CHANGES) if before is EMBED]
    assert len({endpoint_templates[f"before-{index}"] for index in same}) == 1


def test_every_field_of_an_endpoint_is_changed_above():
    changed = {name for _, before, change in ENDPOINT_CHANGES for name in {**before, **change}}
    assert set(spec.Endpoint.model_fields) <= changed
