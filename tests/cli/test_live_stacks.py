"""What is said of a stack that has not what a command needs, with CloudFormation's answers as plain values."""

from __future__ import annotations

from typing import Any

import pytest

from neuron_cdk.cli.deployed import output
from neuron_cdk.cli.failure import NotDoneError
from neuron_cdk.cli.live_releases import Target, Targets


class FakeAws:
    """One stack, and a registry without the target."""

    def __init__(self, **facts: Any) -> None:
        self.stack = facts

    def client(self, _service: str) -> Any:
        return self

    def describe_stacks(self, *, StackName: str) -> Any:  # noqa: N803 - boto3's names
        if StackName == "prod-Artifacts":
            return {"Stacks": [{"Outputs": [{"OutputKey": "RegistryTable", "OutputValue": "registry"}]}]}
        return {"Stacks": [self.stack]}

    def get_item(self, **_: Any) -> Any:
        return {}


@pytest.mark.parametrize("status", ["ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED"])
def test_a_stack_that_was_never_there_is_to_be_deleted_and_deployed_again(status: str) -> None:
    with pytest.raises(NotDoneError) as refused:
        output(FakeAws(StackStatus=status), "prod", "Endpoint-embed", "ReleaseMachine")  # type: ignore[arg-type]

    assert str(refused.value) == (
        f"the stack prod-Endpoint-embed is {status}: its first deploy failed, and nothing in it works. Mend what "
        "failed (its events say what), delete it (aws cloudformation delete-stack --stack-name prod-Endpoint-embed) "
        "and deploy again"
    )


def test_a_protected_one_is_unlocked_first() -> None:
    aws = FakeAws(StackStatus="ROLLBACK_COMPLETE", EnableTerminationProtection=True)
    with pytest.raises(NotDoneError, match="no-enable-termination-protection --stack-name prod-Pipeline, then aws "):
        output(aws, "prod", "Pipeline", "RequestMachine")  # type: ignore[arg-type]


def test_one_that_is_being_made_is_to_be_waited_for() -> None:
    with pytest.raises(NotDoneError, match="is CREATE_IN_PROGRESS: wait until that has ended"):
        output(FakeAws(StackStatus="CREATE_IN_PROGRESS"), "prod", "Pipeline", "RequestMachine")  # type: ignore[arg-type]


def test_one_that_went_back_to_what_it_was_has_what_it_had() -> None:
    outputs = [{"OutputKey": "RequestMachine", "OutputValue": "machine"}]
    aws = FakeAws(StackStatus="UPDATE_ROLLBACK_COMPLETE", Outputs=outputs)

    assert output(aws, "prod", "Pipeline", "RequestMachine") == "machine"  # type: ignore[arg-type]


def test_a_target_that_was_never_released_says_it_of_its_stack() -> None:
    target = Target("endpoint/embed", "minilm", "Endpoint-embed")
    found = Targets(FakeAws(StackStatus="ROLLBACK_COMPLETE"), "prod", (target,))  # type: ignore[arg-type]

    with pytest.raises(NotDoneError, match="the stack prod-Endpoint-embed is ROLLBACK_COMPLETE"):
        found.read(target)
