"""What ``docs/endpoints.md`` says in figures and names is what the code has."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml
from aws_cdk import App, Stack
from constructs import Construct

from neuron_cdk import scaling_rules, spec
from neuron_cdk.endpoint import scaling
from neuron_cdk.endpoint.metrics import EndpointMetrics
from neuron_cdk.endpoint.names import endpoint_name
from neuron_cdk.local.server.sagemaker import faults
from neuron_cdk.spec import endpoints
from neuron_cdk.spec.checks import endpoint_models, rollouts
from neuron_cdk.spec.hosting import MOST_GB, MOST_S
from neuron_hooks.endpoint import smoke, verification
from neuron_hooks.endpoint.seen import Endpoint

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "endpoints.md").read_text()
LOCAL = (ROOT / "docs" / "local.md").read_text()
PROSE = " ".join(PAGE.split())
SCALING = spec.EndpointScaling.model_fields
BLOCKS = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
AROUND = {
    "name": "excerpt",
    "environment": {"account": "111122223333", "region": "us-east-1"},
    "network": {"cidr": "10.40.0.0/16", "availability_zones": 2, "egress": "nat"},
}


def row(first: str, page: str = PAGE) -> list[str]:
    """The cells of the table row whose first cell this is."""
    line = next(line for line in page.splitlines() if line.startswith(f"| {first} |"))
    return [cell.strip() for cell in line.strip("|").split("|")]


@pytest.mark.parametrize(
    "said",
    [
        f"`scale_out_cooldown_s` ({SCALING['scale_out_cooldown_s'].default})",
        f"`scale_in_cooldown_s` ({SCALING['scale_in_cooldown_s'].default})",
        f"`retention_days` ({spec.AsyncInference().retention_days})",
        f"{endpoints._WATCHED_MINUTES} where alarms watch, else none",
        f"`max_minutes`, 10 to {rollouts._MOST_MINUTES}",
    ],
)
def test_a_figure_is_the_codes(said):
    assert said in PROSE


@pytest.mark.parametrize("kind", ["canary", "linear", "rolling"])
def test_shares_are_those_of_the_rules(kind):
    lowest, highest = rollouts._SHARES[kind]
    assert row(f"`{kind}`")[2] == f"{lowest} to {highest} ({endpoints._PERCENT[kind]})"


def test_counts_are_those_of_the_rules():
    assert (endpoint_models._MOST_POOLS, rollouts._MOST_ALARMS, smoke._MEASURED) == (5, 10, 3)
    assert "in your order: up to five" in PROSE
    assert "ten in all" in PROSE
    assert "the best of up to three counts" in PROSE


def test_scaling_is_told_as_it_is():
    told = (scaling_rules.HIGH_DATAPOINTS, scaling_rules.LOW_DATAPOINTS, scaling_rules.APPLICATION_LOW_FRACTION)
    assert told == (3, 15, 0.9)
    assert "after three datapoints above it" in PROSE
    assert "in after fifteen minutes below nine tenths of it" in PROSE
    steps = spec.EndpointScaling(metric="concurrent-requests", target=10, steps=(spec.Step(above=0, add=1),))
    grow, shrink = (each["alarm"] for each in scaling._policies(steps, scaling._VARIANT[steps.metric], {}, ""))
    assert (grow["evaluation_periods"], shrink["evaluation_periods"], shrink["threshold"]) == (2, 15, 5)
    assert "two minutes there are enough" in PROSE
    assert "by one after fifteen minutes below half the target" in PROSE


def test_room_and_time_are_derived_as_the_table_says():
    assert row("`volume_gb`")[1:] == ["a fifth more and 10, 30 at least", "64", "512"]
    assert row("`download_timeout_s`, `startup_timeout_s`")[1:] == ["600 and 20 a GB", "1800", "3600"]
    types = ["ml.inf2.8xlarge"]
    known, unknown = spec.hosting([100.0], types), spec.hosting([None], types)
    assert (known.volume_gb, known.download_timeout_s, known.startup_timeout_s) == (130, 2600, 2600)
    assert (unknown.volume_gb, unknown.download_timeout_s, unknown.startup_timeout_s) == (64, 1800, 1800)
    assert spec.hosting([1.0], types).volume_gb == 30
    assert (MOST_GB, MOST_S) == (512, 3600)


def test_every_metric_method_is_in_the_table():
    methods = {name for name in vars(EndpointMetrics) if name.startswith("metric_")}
    assert set(re.findall(r"^\| `(metric_\w+)\(", PAGE, re.MULTILINE)) == methods
    described = EndpointMetrics()
    described.endpoint_name = "any"
    for name in methods:
        line = next(line for line in PAGE.splitlines() if line.startswith(f"| `{name}("))
        assert f"| `{getattr(described, name)().metric_name}` |" in line


@pytest.mark.parametrize("code", sorted(set(re.findall(r"NCDK-[A-Z]+-\d+", PAGE))))
def test_a_code_exists(code):
    assert code in spec.CODES


@pytest.mark.parametrize("index", range(len(BLOCKS)))
def test_an_excerpt_can_be_pasted_into_a_file(index, tmp_path):
    """As it is written: merge keys, for one, are YAML and refused."""
    text = BLOCKS[index]
    around = {key: value for key, value in AROUND.items() if key not in yaml.safe_load(text)}
    file = tmp_path / "deployment.yaml"
    file.write_text((yaml.safe_dump(around) if around else "") + text)
    assert spec.load(file).deployment.endpoints


def test_the_endpoint_that_is_tried_out_has_the_name_that_is_shown():
    stack = Stack(App(), "tryout-Endpoint-filetype")
    name = endpoint_name(Construct(stack, "Endpoint"))
    assert f'"silent_rollback": ["{name}"]' in PAGE
    assert f"The endpoint {name} is not as asked:" in PAGE


def test_a_silent_roll_back_is_told_in_the_words_that_are_shown():
    seen = Endpoint("InService", "OLD", "", 0.0, {}, {})
    told = verification.endpoint_problem(seen, "NEW", None)
    before, between, after = re.split("OLD|NEW", told)
    shown = " ".join(PAGE.partition("```text\n")[2].partition("```")[0].split())
    assert re.search(f"{re.escape(before)}\\S+{re.escape(between)}\\S+{re.escape(after)}", shown)


def test_controls_of_endpoints_are_in_the_table():
    assert {key for key in faults._KEYS if f"\n| `{key}` |" in LOCAL} == set(faults._KEYS)
    assert json.loads(row("`fail`", LOCAL)[1].strip("`"))["NAME"].keys() == faults.Fault.__dataclass_fields__.keys()
