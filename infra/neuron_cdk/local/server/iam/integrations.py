"""Step Functions acts as a state machine's role: each of its integrations is checked before it does anything.

What an integration needs is in "How Step Functions generates IAM policies for integrated services" (Step Functions
guide): a ``.sync`` one may also look at and stop what it started, and makes a rule of EventBridge by a name of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ministack.services import stepfunctions

from .. import executions, patching
from . import sessions, switch
from .authorization import RefusedError, authorize, refuse
from .calls import Call, UnknownOperationError
from .operations import checks
from .policies import Check

_Failed = patching.original(stepfunctions, "_ExecutionError")
_machines = patching.original(stepfunctions, "_state_machines")
_invoke = patching.original(stepfunctions, "_invoke_resource")
_call_back = patching.original(stepfunctions, "_invoke_with_callback")

_SERVICES = {
    "lambda": ("lambda", "Lambda.AWSLambdaException"),
    "states": ("states", "StepFunctions.AWSStepFunctionsException"),
    "sagemaker": ("sagemaker", "SageMaker.AmazonSageMakerException"),
    "dynamodb": ("dynamodb", "DynamoDB.AmazonDynamoDBException"),
    "events": ("events", "EventBridge.AmazonEventBridgeException"),
    "sns": ("sns", "SNS.AmazonSNSException"),
    "sqs": ("sqs", "SQS.AmazonSQSException"),
}
"""The prefix of actions, and the error that a failed call ends with (inferred for those but Lambda and SageMaker)."""
_OPERATIONS = {"invoke": "InvokeFunction"}
_RULES = {
    "createProcessingJob": "StepFunctionsGetEventsForSageMakerProcessingJobsRule",
    "startExecution": "StepFunctionsGetEventsForStepFunctionsExecutionRule",
}
_MEMBERS: dict[str, str] = {"StateMachineArn": "stateMachineArn"}
"""Where an integration's parameters are not called as the API's members are."""


def install() -> None:
    patching.replace(stepfunctions, "_invoke_resource", _guarded(_invoke))
    patching.replace(stepfunctions, "_invoke_with_callback", _guarded(_call_back))


def _guarded(work: Callable[..., Any]) -> Callable[..., Any]:
    def worked(resource: str, arguments: Any, *more: Any) -> Any:
        execution = executions.current()
        if switch.on() and execution is not None:
            _check(execution, resource, arguments)
        return work(resource, arguments, *more)

    return worked


def _check(execution: dict[str, Any], resource: str, arguments: Any) -> None:
    machine = _machines.get(execution["stateMachineArn"])
    service, name = _named(resource)
    if machine is None or not service:
        return
    prefix, error_name = _SERVICES.get(service, (service, f"{service.capitalize()}.{service.capitalize()}Exception"))
    try:
        caller = sessions.take_on(machine["roleArn"], "states.amazonaws.com", execution["name"])
        try:
            wanted = _needs(execution, prefix, name, resource, arguments)
        except UnknownOperationError as error:
            refuse(caller, str(error))
        else:
            authorize(caller, wanted)
    except (RefusedError, sessions.CannotAssumeError) as error:
        code = "(Status Code: 400; Error Code: AccessDeniedException)"
        raise _Failed(error_name, f"{error} {code}") from error


def _named(resource: str) -> tuple[str, str]:
    """The service and the action of a task's Resource; empty for an activity."""
    if ":lambda:" in resource and ":function:" in resource:
        return "lambda", "invoke"
    parts = resource.removeprefix("arn:aws:states:::aws-sdk:").removeprefix("arn:aws:states:::").split(":")
    return (parts[0], parts[1].partition(".")[0]) if resource.startswith("arn:aws:states:::") else ("", "")


def _needs(execution: dict[str, Any], prefix: str, name: str, resource: str, arguments: Any) -> list[Check]:
    region, account = execution["executionArn"].split(":")[3:5]
    given: dict[str, Any] = arguments if isinstance(arguments, dict) else {}
    request = {_MEMBERS.get(member, member): value for member, value in given.items()}
    if ":function:" in resource and resource.startswith("arn:aws:lambda:"):
        request = {"FunctionName": resource}
    operation = _OPERATIONS.get(name, name[:1].upper() + name[1:])
    wanted = checks(Call(prefix, operation, request, region, account))
    if ".sync" in resource:
        rule = f"arn:aws:events:{region}:{account}:rule/{_RULES.get(name, 'StepFunctionsGetEventsRule')}"
        wanted += [Check(f"events:{one}", rule) for one in ("PutTargets", "PutRule", "DescribeRule")]
        wanted += _following(name, request, region, account)
    return wanted


def _following(name: str, request: dict[str, Any], region: str, account: str) -> list[Check]:
    """What a ``.sync`` integration may do with what it has started: checked at the start, before there is any."""
    if name == "createProcessingJob":
        job = f"arn:aws:sagemaker:{region}:{account}:processing-job/{request.get('ProcessingJobName')}"
        # It tags what it waits for with the execution's ARN.
        operations = ("DescribeProcessingJob", "StopProcessingJob", "AddTags", "ListTags")
        return [Check(f"sagemaker:{one}", job) for one in operations]
    if name == "startExecution":
        machine = str(request.get("stateMachineArn"))
        execution = f"{machine.replace(':stateMachine:', ':execution:')}:{request.get('Name', 'one')}"
        return [Check(f"states:{one}", execution) for one in ("DescribeExecution", "StopExecution")]
    return []
