"""What the file says is what is deployed: changing any field changes a template. Nothing is read and forgotten."""

from __future__ import annotations

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
    ("endpoints.embed.instance_types", ["ml.inf2.8xlarge"]),
    ("endpoints.embed.size", {"min": 2, "max": 2}),
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


def test_the_queue_is_the_one_that_the_file_names(templates):
    other = {**QUEUE, "queue": "arn:aws:sqs:us-east-1:111122223333:others"}
    assert templates({"fleets.plain": {**PLAIN, "scaling": QUEUE}}) != templates(
        {"fleets.plain": {**PLAIN, "scaling": other}}
    )


def test_serving_through_the_other_load_balancer_changes_a_template(templates, unchanged):
    changes = {
        "fleets.serve.serving": {"load_balancer": "network"},
        "fleets.serve.scaling": {"metric": "neuroncore-utilization", "target": 70},
    }
    assert templates(changes) != templates({"fleets.serve.scaling": changes["fleets.serve.scaling"]})
