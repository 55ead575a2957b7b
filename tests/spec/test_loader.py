"""Loading: what comes back, and how several findings come together."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from neuron_cdk.spec import (
    Compile,
    Deployment,
    Finding,
    HuggingFaceSource,
    OnDemand,
    PathSource,
    S3Source,
    Severity,
    SpecError,
    Spot,
    later,
    load,
    rollout_kind,
    sdk,
    zones,
)

ROOT = Path(__file__).parents[2]
EVERYTHING = Path(__file__).parent / "everything.yaml"

Find = Callable[[str | bytes], tuple[Finding, ...]]


@pytest.mark.parametrize("name", ["local", "sandbox", "production"])
def test_the_deployments_we_ship_are_valid_and_built(name: str) -> None:
    loaded = load(ROOT / "deployments" / f"{name}.yaml")

    assert loaded.deployment.name == name
    assert later(loaded.deployment) == ()


def test_a_file_that_uses_every_field_is_valid() -> None:
    loaded = load(EVERYTHING)

    assert {finding.code for finding in loaded.findings if "LATER" not in finding.code} == {
        "NCDK-COMPILE-006",
        "NCDK-MODEL-003",
        "NCDK-CAPACITY-010",
        "NCDK-ROLLOUT-007",
        "NCDK-ROLLOUT-009",
    }


def test_fields_arrive_as_the_design_names_them() -> None:
    deployment = load(EVERYTHING).deployment

    assert deployment.environment.account == "111122223333"
    assert deployment.models["minilm"].source == S3Source(s3="s3://bucket/prefix/")
    assert deployment.models["bert"].source == HuggingFaceSource(
        huggingface="org/bert",
        revision="0123456789" * 4,
        token="arn:aws:secretsmanager:us-east-1:111122223333:secret:huggingface-AbCdEf",
        include=("onnx/*.onnx_data",),
    )
    assert deployment.models["minilm-trn1"].source == S3Source(
        s3="s3://bucket/prefix/", watch=True, include=("pytorch_model*.bin",)
    )
    assert deployment.models["minilm"].compile.batch_sizes == (1, 4)
    assert deployment.fleets["serve"].capacity == (Spot(kind="spot"), OnDemand(kind="on-demand", base=1))
    assert deployment.endpoints["embed"].rollout.percent == 50
    assert deployment.training_clusters["llm"].storage.fsx_lustre_gib == 1200


def test_defaults_are_the_designs(findings: Find, whole: Callable[[str], str], tmp_path: Path) -> None:
    path = tmp_path / "small.yaml"
    path.write_text(
        whole(
            "models: {m: {source: {path: tests}, task: t, compile: {engine: torch-neuronx, target: inf2}}}\n"
            "fleets: {f: {purpose: inference, instance_types: [inf2.xlarge], size: {min: 1, max: 2}}}\n"
            "endpoints: {e: {model: m, instance_types: [ml.inf2.xlarge], size: {min: 1, max: 1}}}\n"
        )
    )

    deployment = load(path).deployment

    assert deployment.models["m"].source == PathSource(path="tests")
    made = deployment.models["m"].compile
    assert (made.dtype, made.batch_sizes, made.sequence_lengths) == ("fp32", (1,), ())
    assert (made.tensor_parallel, made.compiler_args, made.timeout_minutes) == (1, (), 120)
    assert deployment.fleets["f"].capacity == (OnDemand(kind="on-demand"),)
    endpoint = deployment.endpoints["e"]
    assert (endpoint.mode, endpoint.managed_by, rollout_kind(endpoint)) == ("realtime", "cloudformation", "all-at-once")


def test_a_section_without_content_counts_as_absent(findings: Find, whole: Callable[[str], str]) -> None:
    assert findings(whole("models:\nfleets: ~\nbudget: null\n")) == ()


def test_words_that_yaml_1_1_turned_into_booleans_stay_words(whole: Callable[[str], str], tmp_path: Path) -> None:
    path = tmp_path / "norway.yaml"
    path.write_text(whole("tags: {country: no, switch: on, clock: 12:30:45, day: 2026-01-02}"))

    assert load(path).deployment.tags == {"country": "no", "switch": "on", "clock": "12:30:45", "day": "2026-01-02"}


def test_anchors_may_be_used_again(whole: Callable[[str], str], tmp_path: Path) -> None:
    path = tmp_path / "anchors.yaml"
    path.write_text(
        whole(
            "fleets:\n"
            "  a: {purpose: inference, instance_types: &types [inf2.xlarge], size: {min: 1, max: 2}}\n"
            "  b: {purpose: inference, instance_types: *types, size: {min: 1, max: 2}}\n"
        )
    )

    assert load(path).deployment.fleets["b"].instance_types == ("inf2.xlarge",)


def test_everything_wrong_is_reported_at_once_in_the_order_of_the_file(findings: Find) -> None:
    found = findings(
        'name: Sandbox\nenvironment: {account: "111122223333", region: us-east-1}\n'
        "network: {cidr: 10.40.0.0/33, availability_zones: 2, egress: nat}\n"
        "fleets:\n"
        "  a: {purpose: trainign, instance_types: [trn1.32xlarge], size: {min: 0, max: 1}}\n"
        "  b: {purpose: training, instance_types: [trn9.32xlarge], size: {min: 3, max: 1}}\n"
        "  c: {purpose: training, instance_types: [g5.xlarge], size: {min: 0, max: 1}, colour: red}\n"
    )

    assert [(finding.line, finding.code) for finding in found] == [
        (1, "NCDK-NAME-001"),
        (3, "NCDK-NET-004"),
        (5, "NCDK-FIELD-004"),
        (6, "NCDK-SIZE-001"),
        (7, "NCDK-FIELD-001"),
    ]


def test_checks_run_over_the_parts_that_could_be_read(findings: Find, whole: Callable[[str], str]) -> None:
    found = findings(
        whole(
            "models:\n"
            "  m: {source: {s3: s3://bucket/m/}, task: t, compile: {engine: torch-neuronx, target: inf9}}\n"
            "fleets:\n"
            "  f: {purpose: training, instance_types: [trn1.32xl], size: {min: 0, max: 1}}\n"
            "endpoints:\n"
            "  e: {model: m, instance_types: [ml.inf2.xlarge], size: {min: 0, max: 1}}\n"
        )
    )

    # The model is there, only wrong: nobody is told that it is missing.
    assert [(finding.line, finding.code) for finding in found] == [
        (2, "NCDK-FIELD-004"),
        (4, "NCDK-TYPE-001"),
        (6, "NCDK-SIZE-003"),
    ]


def test_values_are_shown_as_written(findings: Find, whole: Callable[[str], str]) -> None:
    (finding,) = findings(whole("environment: {account: 012345678901, region: us-east-1}"))

    assert finding.given == "012345678901"


def test_values_are_shown_short_and_harmless(findings: Find, whole: Callable[[str], str]) -> None:
    (finding,) = findings(whole('tags: {b: "\\e[31mred\\a;\\u202e' + "x" * 500 + '"}'))

    assert finding.given.startswith("[31mred;xxx")
    assert len(finding.given) == 60


def test_names_are_shown_short_and_harmless(findings: Find, whole: Callable[[str], str]) -> None:
    finding, *_ = findings(whole('fleets: {"\\e[31m' + "x" * 500 + '": {}}'))

    assert "\x1b" not in str(finding)
    assert len(finding.pointer) < 100


def test_a_finding_reads_as_one_block(findings: Find, whole: Callable[[str], str], tmp_path: Path) -> None:
    (finding,) = findings(
        whole(
            "fleets:\n"
            "  pretrain:\n"
            "    purpose: training\n"
            "    instance_types: [trn1.2xlarge]\n"
            "    size: {min: 0, max: 4}\n"
            "    efa: {layout: efa}\n"
        )
    )

    assert str(finding) == (
        f"{tmp_path}/deployment.yaml:6:19: error NCDK-EFA-001 fleets.pretrain.efa.layout: trn1.2xlarge has no EFA\n"
        "    given:   efa\n"
        "    allowed: none, trn1.32xlarge\n"
        "    do:      remove efa, or take a type that has it"
    )


@pytest.mark.parametrize("name", ["missing.yaml", ".", "\0"])
def test_a_file_that_is_not_there_is_one_finding(name: str, tmp_path: Path) -> None:
    with pytest.raises(SpecError) as error:
        load(tmp_path / name)

    (finding,) = error.value.findings
    assert finding.code == "NCDK-FILE-001"
    assert "cannot be read" in finding.message


def test_later_points_into_the_file() -> None:
    found = later(load(EVERYTHING).deployment)

    assert found
    assert all(finding.line and finding.severity is Severity.INFO for finding in found)


def test_later_knows_no_line_of_a_deployment_made_in_code() -> None:
    deployment = Deployment.model_validate(
        {
            "name": "code",
            "environment": {"account": "111122223333", "region": "us-east-1"},
            "network": {"cidr": "10.0.0.0/16", "availability_zones": 2, "egress": "nat"},
            "budget": {"monthly_usd": 5, "notify": ["a@example.com"]},
        }
    )

    (finding,) = later(deployment)

    assert (finding.pointer, finding.line) == ("budget", 0)


def test_counted_zones_are_those_that_offer_what_the_file_asks_for(whole: Callable[[str], str], tmp_path: Path) -> None:
    path = tmp_path / "zones.yaml"
    path.write_text(
        whole(
            "fleets:\n"
            "  a: {purpose: training, instance_types: [trn1.32xlarge], size: {min: 0, max: 1}, zone: use1-az6}\n"
            "  b: {purpose: inference, instance_types: [inf2.xlarge], size: {min: 0, max: 1}}\n"
        )
    )

    # use1-az6 is named. It offers both types, as do az4 and az5: the first of those is the second zone.
    assert zones(load(path).deployment) == ("use1-az4", "use1-az6")


def test_listed_zones_keep_the_order_of_the_file() -> None:
    assert zones(load(EVERYTHING).deployment) == ("use1-az5", "use1-az4")


@pytest.mark.parametrize(
    ("engine", "newest"),
    [
        ("torch-neuronx", "2.29.1"),  # 2.31.1 compiles, but its runtime is documented not to run on SageMaker's hosts
        ("neuronx-cc", "2.31.1"),  # no endpoint serves it
    ],
)
def test_a_model_gets_the_newest_sdk_that_fits_every_use(engine: str, newest: str) -> None:
    assert sdk(Compile.model_validate({"engine": engine, "target": "inf2"})) == newest


def test_a_model_for_the_first_inferentia_gets_the_last_sdk_that_knew_it() -> None:
    assert sdk(Compile.model_validate({"engine": "torch-neuron", "target": "inf1"})) == "2.20.2"


def test_a_model_keeps_the_sdk_of_the_file() -> None:
    assert sdk(Compile.model_validate({"engine": "torch-neuronx", "target": "inf2", "sdk": "2.31.1"})) == "2.31.1"
