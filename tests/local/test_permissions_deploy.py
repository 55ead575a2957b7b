"""A deploy needs the grants its templates make: without one of them it fails here as it would on AWS, and says which.

The templates are those of ``deployments/local.yaml``, deployed whole once; then the stacks are made again from the same
templates with one action taken out.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from neuron_cdk.local import EmbeddedAws

_ROOT = Path(__file__).resolve().parents[2]
_COMMAND = Path(sys.executable).with_name("neuron-cdk")
_ENDPOINT, _PIPELINE = "local-Endpoint-filetype", "local-Pipeline"

Template = dict[str, Any]


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The state folder of a platform that was deployed by the command."""
    folder = tmp_path_factory.mktemp("platform")
    words = [_COMMAND, "local", "deploy", "deployments/local.yaml", "--state", folder, "--port", "0", "--requests", "4"]
    done = subprocess.run(words, cwd=_ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    yield folder
    EmbeddedAws(folder).down(delete_state=True)


@pytest.fixture(scope="module")
def cloudformation(state: Path, clients_of: Any) -> Any:
    return clients_of(EmbeddedAws(state))("cloudformation")


@pytest.fixture(scope="module")
def make(state: Path, clients_of: Any, cloudformation: Any, eventually: Any) -> Callable[..., str]:
    """Create or update a stack from its template, changed; how it ended, and the reason of what failed first."""
    aws = EmbeddedAws(state)
    s3 = clients_of(aws)("s3")
    s3.create_bucket(Bucket="changed-templates")

    def change(operation: str, stack: str, alter: Callable[[Template], None]) -> str:
        template = json.loads((state / "cdk.out" / f"{stack}.template.json").read_text())
        alter(template)
        s3.put_object(Bucket="changed-templates", Key=stack, Body=json.dumps(template))  # too large for TemplateBody
        getattr(cloudformation, f"{operation}_stack")(
            StackName=stack, TemplateURL=f"{aws.url}/changed-templates/{stack}", Capabilities=["CAPABILITY_IAM"]
        )
        return ended(stack)

    def ended(stack: str) -> str:
        def look() -> str | None:
            status = str(cloudformation.describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"])
            return None if status.endswith("_IN_PROGRESS") else status

        status = eventually(look, within=120)
        if "ROLLBACK" not in status:
            return str(status)
        events = cloudformation.describe_stack_events(StackName=stack)["StackEvents"]
        failed = [event for event in events if event["ResourceStatus"].endswith("_FAILED")]
        return f"{failed[-1]['LogicalResourceId']}: {failed[-1].get('ResourceStatusReason', '')}"

    return change


@pytest.fixture
def gone(cloudformation: Any, eventually: Any) -> None:
    """The endpoint's stack is not there."""
    if any(stack["StackName"] == _ENDPOINT for stack in cloudformation.describe_stacks()["Stacks"]):
        cloudformation.delete_stack(StackName=_ENDPOINT)
        eventually(
            lambda: not any(stack["StackName"] == _ENDPOINT for stack in cloudformation.describe_stacks()["Stacks"]),
            within=120,
        )


def without(role: str, action: str) -> Callable[[Template], None]:
    """Take an action out of a role's policies, those beside it too."""

    def alter(template: Template) -> None:
        taken = 0
        for logical_id, resource in template["Resources"].items():
            properties = resource.get("Properties", {})
            documents = [policy["PolicyDocument"] for policy in properties.get("Policies", [])]
            if resource["Type"] == "AWS::IAM::Policy":
                documents = [properties["PolicyDocument"]]
            if not logical_id.startswith(role):
                continue
            for document in documents:
                kept = []
                for statement in document["Statement"]:
                    actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
                    left = [one for one in actions if one != action]
                    taken += len(actions) - len(left)
                    kept += [{**statement, "Action": left}] if left else []
                document["Statement"] = kept
        assert taken, f"{role} never had {action}"

    return alter


def unchanged(_: Template) -> None:
    """As the template is."""


def test_a_deploy_is_refused_nothing(state):
    roles = EmbeddedAws(state).permissions()["roles"]
    assert {role["logical_id"]: role["refused"] for role in roles if role["refused"]} == {}
    assert sum(len(role["used"]) for role in roles) > 80


@pytest.mark.parametrize(
    ("role", "action"),
    [
        ("PipelineCompiledModelRole", "states:StartExecution"),
        ("PipelineBeginRole", "dynamodb:GetItem"),
        ("PipelineBeginRole", "kms:Decrypt"),
    ],
)
def test_a_pipeline_that_lacks_a_grant_fails_the_next_model_and_says_which(make, gone, role, action):
    assert make("update", _PIPELINE, without(role, action)) == "UPDATE_COMPLETE"
    try:
        reason = make("create", _ENDPOINT, unchanged)
    finally:
        make("update", _PIPELINE, unchanged)
    assert action in reason


@pytest.mark.parametrize(
    ("role", "action", "said"),
    [
        ("EndpointRole", "s3:GetObject", "Failed to download model data"),
        ("EndpointRole", "ecr:BatchGetImage", "does not have BatchGetImage permission for the image"),
        ("EndpointHookFunctionRole", "sagemaker:DescribeEndpoint", "sagemaker:DescribeEndpoint"),
    ],
)
def test_an_endpoint_that_lacks_a_grant_does_not_come_up(make, gone, role, action, said):
    assert said in make("create", _ENDPOINT, without(role, action))


def test_with_every_grant_it_comes_up_again(make, gone):
    assert make("create", _ENDPOINT, unchanged) == "CREATE_COMPLETE"
