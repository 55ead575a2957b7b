"""The CreateProcessingJob request, against the service model of SageMaker."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import botocore.session
import pytest
from botocore.validate import ParamValidator

from neuron_cdk.model import state_machines

Load = Callable[[str], ModuleType]


@pytest.fixture
def job(load: Load, model: dict[str, Any]) -> Callable[..., dict[str, Any]]:
    def build(**changed: Any) -> dict[str, Any]:
        wanted = load("model_request").parse({**model, **changed})
        settings = load("settings").load(load("settings").BeginCompile)
        request: dict[str, Any] = load("compile.job").compile_input(
            wanted, "ab" * 32, "0123abcd", settings, source=wanted.source, trigger="deploy", expires=1_000_000
        )
        return request

    return build


MIRROR = {
    "Engine": "mirror",
    "Source": {"Kind": "huggingface", "Repository": "org/name", "Revision": "1" * 40},
    "RoleArn": "arn:aws:iam::123456789012:role/mirror",
}


@pytest.mark.parametrize("changed", [{}, {"Hosts": ["ml.m5.large"]}, MIRROR], ids=["hosts", "one host", "mirror"])
def test_the_whole_request_is_valid_for_sagemaker(job: Any, changed: dict[str, Any]) -> None:
    wanted = job(**changed)
    request = {**wanted["job"], "ProcessingJobName": f"{wanted['execution_name']}-0"}
    request["ProcessingResources"]["ClusterConfig"] |= wanted["plan"]["cluster"]
    shape = (
        botocore.session.get_session().get_service_model("sagemaker").operation_model("CreateProcessingJob").input_shape
    )
    report = ParamValidator().validate(request, shape)
    assert not report.has_errors(), report.generate_report()


def test_job_names_stay_within_sagemakers_63_characters(job: Any) -> None:
    wanted = job()
    assert max(len(f"{wanted['execution_name']}-{host}") for host in range(5)) <= 63


def test_the_container_has_no_network_and_encrypts_what_it_writes(job: Any) -> None:
    request = job()["job"]
    key = "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555"
    assert request["NetworkConfig"] == {
        "EnableNetworkIsolation": True,
        "VpcConfig": {"Subnets": ["subnet-0a", "subnet-0b"], "SecurityGroupIds": ["sg-0a"]},
    }
    assert request["ProcessingResources"]["ClusterConfig"]["VolumeKmsKeyId"] == key
    assert request["ProcessingOutputConfig"]["KmsKeyId"] == key


def test_a_compile_may_run_as_long_as_the_model_says(job: Any) -> None:
    assert job(TimeoutMinutes="90")["job"]["StoppingCondition"] == {"MaxRuntimeInSeconds": 5400}


def test_the_jobs_code_is_imported_from_the_zip_that_is_downloaded(job: Any) -> None:
    request = job()["job"]
    assert request["Environment"]["PYTHONPATH"] == "/opt/ml/processing/input/code/0123.zip"
    assert request["ProcessingInputs"][0]["S3Input"]["LocalPath"] == "/opt/ml/processing/input/code"
    assert request["ProcessingInputs"][0]["S3Input"]["S3Uri"] == "s3://assets/0123.zip"


def test_the_artifact_goes_to_a_prefix_of_this_attempt_alone(job: Any) -> None:
    (output,) = job()["job"]["ProcessingOutputConfig"]["Outputs"]
    assert output["S3Output"]["S3Uri"] == f"s3://artifacts/artifacts/{'ab' * 32}/0123abcd/"


@pytest.mark.parametrize(
    ("source", "uri"),
    [
        ({"Kind": "s3", "Bucket": "models", "Prefix": "minilm/"}, "s3://models/minilm/"),
        ({"Kind": "asset", "Bucket": "assets", "Key": "cc.zip"}, "s3://assets/cc.zip"),
    ],
    ids=["s3", "asset"],
)
def test_the_source_is_downloaded_from_where_it_is(job: Any, source: dict[str, str], uri: str) -> None:
    assert job(Source=source)["job"]["ProcessingInputs"][1]["S3Input"]["S3Uri"] == uri


def test_an_image_with_a_known_digest_is_pulled_by_it(job: Any) -> None:
    digest = "sha256:" + "1" * 64
    image = job(ImageDigest=digest, Image="1.dkr.ecr.r.amazonaws.com/a/b:tag")["job"]["AppSpecification"]["ImageUri"]
    assert image == f"1.dkr.ecr.r.amazonaws.com/a/b@{digest}"


def test_a_mirror_has_a_network_a_role_of_its_own_and_no_source(job: Any) -> None:
    request = job(**MIRROR)["job"]
    assert request["NetworkConfig"]["EnableNetworkIsolation"] is False
    assert request["RoleArn"] == MIRROR["RoleArn"]
    assert [one["InputName"] for one in request["ProcessingInputs"]] == ["code", "request"]


def test_a_compile_never_runs_under_a_role_that_its_request_names(job: Any) -> None:
    assert job(RoleArn="arn:aws:iam::123456789012:role/mirror")["job"]["RoleArn"].endswith("role/job")


def test_a_job_starts_early_enough_for_its_lease(job: Any) -> None:
    # Two hours of compiling, and half an hour for what comes before and after.
    assert job()["start_by"] == 1_000_000 - 7200 - 1800


def test_a_lease_is_renewed_for_as_long_as_it_was_and_while_the_execution_lasts(job: Any) -> None:
    machine = state_machines.compile_machine(job_machine="", join="", register="", record_failure="")
    begun = 1_000_000 - 7200 - 600
    assert job()["lease"] == {
        "seconds": 7200 + 600,
        "start_within": 600 - 1800,
        "last_start": begun + machine["TimeoutSeconds"] - 7200 - 1800,
    }


def test_hosts_carry_the_prices_that_are_known(job: Any) -> None:
    assert job()["hosts"] == [{"type": "ml.m5.2xlarge", "usd_per_hour": 0.46}, {"type": "ml.m6i.2xlarge"}]


def test_hosts_as_version_0_1_0_wrote_them_are_read(job: Any) -> None:
    assert job(Hosts=["ml.m5.large"])["hosts"] == [{"type": "ml.m5.large"}]
