"""An endpoint of the release pipeline: the same endpoint as CloudFormation's, as the API takes it, and few rights."""

from __future__ import annotations

import json
import tempfile
import time
from typing import Any

import pytest
from aws_cdk import App, Stack, Tags
from aws_cdk.assertions import Template
from botocore.validate import validate_parameters

from neuron_cdk import CompiledModel, NeuronEndpoint, spec
from neuron_cdk.endpoint.released import as_api
from neuron_cdk.model.release_machine import release_machine
from tests.constructs.conftest import AWS, FLAGS, Platform, model
from tests.hooks.fleet_aws import operations

SMOKE = {"smoke_test": {"request": {"inputs": 'say "{model}"'}, "max_latency_ms": 2000}}
CONCURRENT = spec.EndpointScaling(metric="concurrent-requests", target=4)
SHAPES: dict[str, dict[str, Any]] = {
    "one": {},
    "pools": {"instance_types": ["ml.inf2.xlarge", "ml.inf2.8xlarge"], "provision_timeout_minutes": 10},
    "watched": {"rollout": spec.Rollout(max_error_rate=0.01, max_p99_ms=500, alarms=("neuron-errors",))},
    "canary": {"rollout": spec.Rollout(kind="canary", percent=20, wait_minutes=5, bake_minutes=5, max_minutes=60)},
    "scaled": {
        "scaling": CONCURRENT,
        "schedule": [spec.ScheduledSize(cron="0 8 ? * MON-FRI *", min=2, max=4)],
        "hosting": spec.Hosting(volume_gb=100, download_timeout_s=300, startup_timeout_s=600),
        "capture": spec.Capture(percent=10, retention_days=7),
    },
    "queue": {"mode": "async", "scaling": spec.EndpointScaling(metric="backlog", target=5)},
    "reserved": {"reservation": "arn:aws:sagemaker:us-east-1:111122223333:training-plan/serving"},
}


@pytest.fixture(scope="module")
def templates() -> dict[str, Template]:
    """Each shape in both forms: ``<shape>`` and ``<shape>-released``."""
    app = App(analytics_reporting=False, context=FLAGS, outdir=tempfile.mkdtemp())
    aws = Platform(app, "Platform")
    stacks = {}
    for shape, options in SHAPES.items():
        for form, released in (("", {}), ("-released", {"managed_by": "pipeline", "release_name": shape})):
            stack = stacks[f"{shape}{form}"] = Stack(app, f"{shape}{form}", env=AWS)
            compiled = CompiledModel(
                stack, "Model", pipeline=aws.pipeline, name="minilm", model=model("inf2", more=SMOKE)
            )
            defaults = {"instance_types": ["ml.inf2.xlarge"], "size": spec.Range(min=2, max=4)}
            NeuronEndpoint(
                stack,
                "Endpoint",
                vpc=aws.vpc,
                store=aws.store,
                model=compiled,
                **{**defaults, **options, **released},  # type: ignore[arg-type]
            )
    Tags.of(app).add("team", "search")  # after everything is made, as a deployment's are
    return {name: Template.from_stack(stack) for name, stack in stacks.items()}


def _spelled(value: Any) -> Any:
    """References as text, so that both forms can be compared."""
    if isinstance(value, dict) and len(value) == 1 and next(iter(value)) in ("Ref", "Fn::GetAtt", "Fn::GetStackOutput"):
        return f"<{json.dumps(value, sort_keys=True)}>"
    if isinstance(value, dict) and "Fn::Join" in value:
        separator, parts = value["Fn::Join"]
        return str(separator).join(str(_spelled(part)) for part in parts)
    if isinstance(value, dict):
        return {name: _spelled(one) for name, one in value.items()}
    return [_spelled(one) for one in value] if isinstance(value, list) else value


def _untagged(properties: dict[str, Any]) -> Any:
    return _spelled({name: value for name, value in properties.items() if name != "Tags"})


def _only(template: Template, kind: str) -> Any:
    (one,) = template.find_resources(kind).values()
    return _spelled(one["Properties"])


def blueprint(template: Template) -> Any:
    """The declaration, references in it as text."""
    (one,) = template.find_resources("Custom::NeuronRelease").values()
    joined = one["Properties"]["Declaration"]
    _, parts = joined["Fn::Join"]
    text = "".join(part if isinstance(part, str) else json.dumps(_spelled(part))[1:-1] for part in parts)
    return json.loads(text)


def statements(template: Template) -> list[dict[str, Any]]:
    return [
        statement
        for role in template.find_resources("AWS::IAM::Role").values()
        for policy in role["Properties"].get("Policies", ())
        for statement in policy["PolicyDocument"]["Statement"]
    ]


shapes = pytest.mark.parametrize("shape", SHAPES)


@shapes
def test_cloudformation_makes_nothing_of_sagemaker(shape: str, templates: dict[str, Template]) -> None:
    kinds = {one["Type"] for one in templates[f"{shape}-released"].to_json()["Resources"].values()}

    assert not {kind for kind in kinds if kind.startswith("AWS::SageMaker::")}


@shapes
def test_the_model_is_the_one_cloudformation_would_make(shape: str, templates: dict[str, Template]) -> None:
    made, other = blueprint(templates[f"{shape}-released"])["model"], _only(templates[shape], "AWS::SageMaker::Model")

    assert made.pop("ModelName") == "{model}"
    other.pop("Tags")
    made["PrimaryContainer"]["ModelDataSource"]["S3DataSource"]["S3Uri"] = ""
    other["PrimaryContainer"]["ModelDataSource"]["S3DataSource"]["S3Uri"] = ""
    assert made == other


@shapes
def test_so_is_the_configuration(shape: str, templates: dict[str, Template]) -> None:
    made = blueprint(templates[f"{shape}-released"])["configuration"]
    other = _only(templates[shape], "AWS::SageMaker::EndpointConfig")

    assert made.pop("EndpointConfigName") == "{configuration}"
    other.pop("Tags")
    for each in (*made["ProductionVariants"], *other["ProductionVariants"]):
        each["ModelName"] = ""
    assert made == other


@shapes
def test_so_is_the_way_an_update_goes(shape: str, templates: dict[str, Template]) -> None:
    made, other = blueprint(templates[f"{shape}-released"]), _only(templates[shape], "AWS::SageMaker::Endpoint")
    ours, theirs = (one["deployment"] if "deployment" in one else one["DeploymentConfig"] for one in (made, other))
    counts = [len(one.pop("AutoRollbackConfiguration", {}).get("Alarms", [])) for one in (ours, theirs)]

    assert ours == theirs
    assert counts[0] == counts[1]
    assert made["exclude"] == other["ExcludeRetainedVariantProperties"]


@shapes
def test_so_are_the_alarms(shape: str, templates: dict[str, Template]) -> None:
    made = blueprint(templates[f"{shape}-released"])
    text = json.dumps(made["alarms"]).replace(made["endpoint"], "NAME").replace("{configuration}", "CONFIGURATION")
    ours = [{name: value for name, value in one.items() if name != "AlarmName"} for one in json.loads(text)]
    endpoint = _only(templates[shape], "AWS::SageMaker::Endpoint")
    text = json.dumps(
        [_untagged(one["Properties"]) for one in templates[shape].find_resources("AWS::CloudWatch::Alarm").values()]
    )
    text = text.replace(endpoint["EndpointName"], "NAME")
    text = text.replace(json.dumps(endpoint["EndpointConfigName"])[1:-1], "CONFIGURATION")

    assert sorted(ours, key=str) == sorted(json.loads(text), key=str)


@shapes
def test_the_api_takes_what_the_release_will_ask_for(shape: str, templates: dict[str, Template]) -> None:
    made = blueprint(templates[f"{shape}-released"])
    sagemaker = operations("sagemaker")

    validate_parameters(made["model"], sagemaker["create_model"])
    validate_parameters(made["configuration"], sagemaker["create_endpoint_config"])
    update = {"EndpointName": made["endpoint"], "EndpointConfigName": "c", "DeploymentConfig": made["deployment"]}
    update["ExcludeRetainedVariantProperties"] = made["exclude"]
    validate_parameters(update, sagemaker["update_endpoint"])
    for alarm in made["alarms"]:
        validate_parameters(alarm, operations("cloudwatch")["put_metric_alarm"])


@shapes
def test_names_leave_room_for_a_release(shape: str, templates: dict[str, Template]) -> None:
    name = blueprint(templates[f"{shape}-released"])["endpoint"]

    assert len(f"{name}-01234567") <= 63
    assert name != _only(templates[shape], "AWS::SageMaker::Endpoint")["EndpointName"]


def test_what_is_asked_in_a_smoke_test_is_no_placeholder(templates: dict[str, Template]) -> None:
    (test,) = blueprint(templates["one-released"])["service"]["smoke_tests"]

    assert test["request"] == {"inputs": 'say "{model}"'}


def test_a_release_may_change_this_endpoint_and_what_is_called_as_it_is(templates: dict[str, Template]) -> None:
    name = blueprint(templates["one-released"])["endpoint"]
    changing = ("Create", "Update", "Delete")
    for statement in statements(templates["one-released"]):
        actions = [
            one for one in statement["Action"] if one.startswith(tuple(f"sagemaker:{each}" for each in changing))
        ]
        if actions:
            resources = json.dumps(statement["Resource"])
            assert resources.count(name) == resources.count("arn:"), (actions, resources)


@shapes
def test_what_a_release_makes_has_the_tags_of_what_cloudformation_makes(
    shape: str, templates: dict[str, Template]
) -> None:
    theirs = [_only(templates[shape], f"AWS::SageMaker::{kind}")["Tags"] for kind in ("Model", "EndpointConfig")]

    assert blueprint(templates[f"{shape}-released"])["tags"] == theirs[0] == theirs[1]
    assert theirs[0] == [{"Key": "team", "Value": "search"}]


@shapes
def test_whoever_creates_the_endpoint_may_let_sagemaker_use_the_key_of_its_volumes(
    shape: str, templates: dict[str, Template]
) -> None:
    made = blueprint(templates[f"{shape}-released"])["configuration"]
    grants = _of_step(templates[f"{shape}-released"], "kms:CreateGrant")

    assert [one["Condition"] for one in grants] == [{"Bool": {"kms:GrantIsForAWSResource": "true"}}] * len(grants)
    assert bool(grants) == ("KmsKeyId" in made)


def test_a_release_reads_two_files_of_an_artifact_and_lists_none(templates: dict[str, Template]) -> None:
    (reads,) = _of_step(templates["one-released"], "s3:GetObject")

    assert [json.dumps(one).rpartition("/")[2].rstrip('"]}') for one in reads["Resource"]] == [
        "golden.json",
        "manifest.json",
    ]
    assert _of_step(templates["one-released"], "s3:ListBucket") == []


def _of_step(template: Template, action: str) -> list[dict[str, Any]]:
    """The statements of the steps' role that name an action."""
    ((_, role),) = (
        one for one in template.find_resources("AWS::IAM::Role").items() if one[0].startswith("EndpointReleasesStep")
    )
    found = (one for policy in role["Properties"]["Policies"] for one in policy["PolicyDocument"]["Statement"])
    return [one for one in found if action in one["Action"]]


def test_it_passes_the_endpoints_role_to_sagemaker_and_nothing_else(templates: dict[str, Template]) -> None:
    (passed,) = [one for one in statements(templates["one-released"]) if "iam:PassRole" in one["Action"]]

    assert passed["Condition"] == {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}
    (resource,) = passed["Resource"] if isinstance(passed["Resource"], list) else [passed["Resource"]]
    assert "EndpointRole" in json.dumps(resource)


def test_the_registrys_items_it_writes_are_the_targets_own(templates: dict[str, Template]) -> None:
    writing = [one for one in statements(templates["one-released"]) if "dynamodb:UpdateItem" in one["Action"]]

    for one in writing:
        assert one["Condition"]["ForAllValues:StringEquals"]["dynamodb:LeadingKeys"] == ["release#endpoint/one"]


def test_artifacts_of_its_model_that_a_person_or_a_source_asked_for_start_it(templates: dict[str, Template]) -> None:
    rules = [one["Properties"] for one in templates["one-released"].find_resources("AWS::Events::Rule").values()]
    (pattern,) = [one["EventPattern"] for one in rules if one["EventPattern"]["source"] == ["neuron-cdk.models"]]

    assert pattern["detail"] == {"model": ["minilm"], "trigger": ["person", "watch"]}


def test_everything_a_removal_needs_is_there_until_it_is_over(templates: dict[str, Template]) -> None:
    template = templates["watched-released"]
    ((_, release),) = template.find_resources("Custom::NeuronRelease").items()
    needed = {
        name
        for name, one in template.to_json()["Resources"].items()
        if name.startswith("EndpointReleases") and one["Type"] != "Custom::NeuronRelease"
    }

    assert needed <= set(release["DependsOn"])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"shadow": spec.Shadow(model="minilm", percent=50)}, "NCDK-RELEASE-001"),
        ({"managed_by": "cloudformation", "release": spec.Release(approval=True)}, "NCDK-RELEASE-002"),
    ],
)
def test_what_it_cannot_release_is_refused(platform: Platform, stack: Stack, options: Any, words: str) -> None:
    compiled = CompiledModel(stack, "Model", pipeline=platform.pipeline, name="minilm", model=model("inf2"))
    fields = {"managed_by": "pipeline", "instance_types": ["ml.inf2.xlarge"], "size": spec.Range(min=1, max=1)}

    with pytest.raises(ValueError, match=words):
        NeuronEndpoint(stack, "E", vpc=platform.vpc, store=platform.store, model=compiled, **{**fields, **options})


def test_spelling_is_the_apis() -> None:
    assert as_api({"kms_key_id": "k", "production_variants": [{"volumeSizeInGb": 1, "s3Uri": "u"}]}) == {
        "KmsKeyId": "k",
        "ProductionVariants": [{"VolumeSizeInGB": 1, "S3Uri": "u"}],
    }


# -- The machine -----------------------------------------------------------------------------------------------------


def test_every_step_that_the_hook_names_has_a_state() -> None:
    states = release_machine(step="arn")["States"]
    conditions = json.dumps(states["Next"]["Choices"])

    for step in ("acquire", "approve", "apply", "progress", "verify", "promote", "take_back", "remove", "finish"):
        assert f"$step.next = '{step}'" in conditions


def test_every_state_is_reached_and_leads_somewhere() -> None:
    machine = release_machine(step="arn")
    states = machine["States"]
    reached = {machine["StartAt"], *(one["Next"] for one in states.values() if "Next" in one)}
    for one in states.values():
        reached |= {each["Next"] for each in (*one.get("Choices", ()), *one.get("Catch", ()))}
        reached |= {one["Default"]} if "Default" in one else set()

    assert reached == set(states)


def test_a_person_has_a_day() -> None:
    assert release_machine(step="arn")["States"]["Approve"]["TimeoutSeconds"] == 24 * 3600


def wait(machine: dict[str, Any], waited: float, evaluate: Any, poll: int = 15) -> int:
    """How long the machine waits until the next look, once it has waited so many seconds since it began."""
    (pause,) = [one for one in machine["States"]["Next"]["Choices"] if one["Next"] == "Pause"]
    expression = pause["Assign"]["seconds"].removeprefix("{%").removesuffix("%}")
    since = (time.time() - waited) * 1000
    (seconds,) = evaluate([(expression, {"since": since, "step": {"next": "progress", "wait": poll}})])
    return int(seconds)


def test_a_release_is_looked_at_more_seldom_the_longer_it_takes(evaluate: Any) -> None:
    machine = release_machine(step="arn")

    assert [wait(machine, waited, evaluate) for waited in (0, 1400, 3600)] == [15, 15, 36]


def test_the_lease_outlasts_every_wait(evaluate: Any) -> None:
    assert wait(release_machine(step="arn"), 30 * 86_400, evaluate) == 1800  # of 3,600 from the last look


def test_a_release_of_weeks_stays_within_the_events_of_an_execution(evaluate: Any) -> None:
    """25,000 (Step Functions quotas); a fleet may stop for two days at each of its checkpoints."""
    waited, looks = 0.0, 0
    while waited < 14 * 86_400:
        waited, looks = waited + max(1, min(1800, waited // 100)), looks + 1  # a second, where a test's polls are
    per_look = 11  # entered and left: the step, Next, Pause, Next; and a task scheduled, started, succeeded
    assert looks * per_look < 25_000 / 1.5
    assert wait(release_machine(step="arn"), 86_400, evaluate) == pytest.approx(864, abs=2)


def test_what_a_person_let_go_on_is_looked_at_as_often_as_what_has_just_begun() -> None:
    states = release_machine(step="arn")["States"]

    assert states["Approve"]["Assign"]["since"] == states["Begin"]["Assign"]["since"] == "{% $millis() %}"


def _tried_again(retries: list[dict[str, Any]], error: str) -> bool:
    """Whether Step Functions tries again after an error: the first that names it decides."""
    found = next((one for one in retries if {error, "States.ALL"} & set(one["ErrorEquals"])), None)
    return found is not None and found.get("MaxAttempts", 3) > 0


@pytest.mark.parametrize(
    ("error", "again"),
    [
        *((each, True) for each in ("Lambda.TooManyRequestsException", "LostError", "ClientError", "Sandbox.Timedout")),
        *((each, False) for each in ("Rejected", "Superseded", "States.Timeout")),
    ],
)
def test_a_person_is_asked_again_after_a_hiccup_and_not_after_an_answer(error: str, again: bool) -> None:
    assert _tried_again(release_machine(step="arn")["States"]["Approve"]["Retry"], error) is again
