"""The two state machines of the compile path, as data (Amazon States Language, JSONata).

The *request* machine runs once for every request CloudFormation makes, and ends when it has answered. A deleted or
rolled-back stack takes nobody's compile with it, because the *compile* machine runs apart: once for every attempt at an
artifact, to the end, whoever asked.
"""

from __future__ import annotations

from typing import Any

State = dict[str, Any]

_INPUT = "$states.context.Execution.Input"
# Lambda's own hiccups, as AWS recommends retrying them.
_LAMBDA_RETRY = [
    {
        "ErrorEquals": [
            "Lambda.ServiceException",
            "Lambda.AWSLambdaException",
            "Lambda.SdkClientException",
            "Lambda.TooManyRequestsException",
        ],
        "IntervalSeconds": 1,
        "MaxAttempts": 6,
        "BackoffRate": 2,
        "JitterStrategy": "FULL",
    }
]
_THROTTLED = [
    {
        "ErrorEquals": ["SageMaker.AmazonSageMakerException"],
        "IntervalSeconds": 5,
        "MaxAttempts": 5,
        "BackoffRate": 2,
        "JitterStrategy": "FULL",
    }
]
# What a host that cannot be had looks like: a quota, or capacity that ran out while the job was starting.
_NO_HOST = (
    "{% $contains($states.errorOutput.Error, 'ResourceLimitExceeded') or "
    "$contains($states.errorOutput.Cause, 'CapacityError') or "
    "$contains($states.errorOutput.Cause, 'InsufficientCapacity') %}"
)


def request_machine(*, begin: str, record_failure: str, answer: str, compile_machine: str, registry: str) -> State:
    """Answer one CloudFormation request.

    A hit takes three states: Begin, Route, Answer. A miss starts the compile machine (or finds that someone has) and
    looks at the registry until the artifact is there, has failed, its holder has gone (the lease ran out: Begin again),
    or CloudFormation's patience is nearly over (the answer then says how to join the compile that goes on).

    Input: what ``neuron_hooks.compiled_model`` starts it with: ``request``, ``model``, ``deadline``, ``poll_seconds``.
    """
    return {
        "QueryLanguage": "JSONata",
        "StartAt": "Begin",
        "States": {
            "Begin": _invoke(
                begin,
                payload=f"{{% $merge([{_INPUT}, {{'execution': $states.context.Execution.Name}}]) %}}",
                Assign={"begun": "{% $states.result.Payload %}"},
                Next="Route",
                Catch=[_answer_error("Begin")],
            ),
            "Route": {
                "Type": "Choice",
                "Choices": [
                    {
                        "Condition": "{% $begun.status = 'ready' %}",
                        "Assign": {"outcome": "{% $merge([$begun, {'cache': 'hit'}]) %}"},
                        "Next": "Answer",
                    },
                    {"Condition": "{% $begun.status = 'leased' %}", "Next": "StartCompile"},
                ],
                "Default": "Pause",
            },
            "StartCompile": {
                "Type": "Task",
                "Resource": "arn:aws:states:::states:startExecution",
                "Arguments": {
                    "StateMachineArn": compile_machine,
                    "Name": "{% $begun.compile.execution_name %}",
                    "Input": "{% $begun.compile %}",
                },
                "Retry": [
                    {"ErrorEquals": ["StepFunctions.ThrottlingException"], "IntervalSeconds": 2, "MaxAttempts": 5}
                ],
                "Catch": [
                    # Started already: by this request, before something made it try again.
                    {"ErrorEquals": ["StepFunctions.ExecutionAlreadyExistsException"], "Next": "Pause"},
                    {**_answer_error("StartCompile"), "Next": "GiveUpLease"},
                ],
                "Next": "Pause",
            },
            # Nobody will compile under this lease: whoever asks next must not wait for it to run out.
            "GiveUpLease": _invoke(
                record_failure,
                payload={"compile": "{% $begun.compile %}", "error": "{% $outcome.error %}"},
                Next="Answer",
                Catch=[_answer_error("GiveUpLease")],
            ),
            "Pause": {"Type": "Wait", "Seconds": "{% $states.context.Execution.Input.poll_seconds %}", "Next": "Look"},
            "Look": {
                "Type": "Task",
                "Resource": "arn:aws:states:::dynamodb:getItem",
                "Arguments": {
                    "TableName": registry,
                    "Key": {"artifact_key": {"S": "{% $begun.key %}"}},
                    "ConsistentRead": True,
                },
                "Assign": {"item": "{% $states.result.Item %}"},
                "Retry": [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 2, "MaxAttempts": 5, "BackoffRate": 2}],
                "Catch": [_answer_error("Look")],
                "Next": "Decide",
            },
            "Decide": {
                "Type": "Choice",
                "Choices": [
                    {
                        "Condition": "{% $item.state.S = 'ready' %}",
                        "Assign": {
                            "outcome": {
                                "status": "ready",
                                "cache": "miss",
                                "key": "{% $begun.key %}",
                                "sdk": "{% $begun.sdk %}",
                                "artifact_uri": "{% $item.artifact_uri.S %}",
                                "compile_seconds": "{% $number($item.compile_seconds.N) %}",
                            }
                        },
                        "Next": "Answer",
                    },
                    {
                        "Condition": "{% $item.state.S = 'failed' %}",
                        "Assign": {
                            "outcome": {
                                "status": "failed",
                                "key": "{% $begun.key %}",
                                "reason": "{% $item.reason.S %}",
                                "log_url": "{% $exists($item.log_url.S) ? $item.log_url.S : '' %}",
                            }
                        },
                        "Next": "Answer",
                    },
                    {
                        "Condition": "{% $millis() > $states.context.Execution.Input.deadline * 1000 %}",
                        "Assign": {
                            "outcome": {
                                "status": "running",
                                "key": "{% $begun.key %}",
                                "execution": "{% $begun.compile.execution_name %}",
                            }
                        },
                        "Next": "Answer",
                    },
                    {
                        "Condition": "{% $not($exists($item.lease_expires.N)) or "
                        "$millis() > $number($item.lease_expires.N) * 1000 %}",
                        "Next": "Begin",
                    },
                ],
                "Default": "Pause",
            },
            "Answer": _invoke(
                answer,
                payload={"request": "{% $states.context.Execution.Input.request %}", "outcome": "{% $outcome %}"},
                End=True,
            ),
        },
    }


def compile_machine(*, register: str, record_failure: str) -> State:
    """Run the job on the first host type that can be had, check and publish what it made, or record why there is none.

    Input: ``key``, ``attempt``, ``model``, ``execution_name``, ``hosts`` (SageMaker instance types in order) and
    ``job``, a ``CreateProcessingJob`` request that lacks its name and its instance type.
    """
    return {
        "QueryLanguage": "JSONata",
        "StartAt": "First",
        "States": {
            "First": {"Type": "Pass", "Assign": {"host": 0, "compile": "{% $states.input %}"}, "Next": "RunJob"},
            "RunJob": {
                "Type": "Task",
                "Resource": "arn:aws:states:::sagemaker:createProcessingJob.sync",
                "Arguments": "{% $merge([$compile.job, {"
                "'ProcessingJobName': $compile.execution_name & '-' & $string($host), "
                "'ProcessingResources': {'ClusterConfig': $merge([$compile.job.ProcessingResources.ClusterConfig, "
                "{'InstanceType': $compile.hosts[$host]}])}}]) %}",
                "Assign": {"job": "{% $states.result %}"},
                "Retry": _THROTTLED,
                "Catch": [
                    {
                        "ErrorEquals": ["States.ALL"],
                        "Assign": {
                            "problem": "{% $states.errorOutput %}",
                            "no_host": _NO_HOST,
                        },
                        "Next": "AnotherHost",
                    }
                ],
                "Next": "Register",
            },
            "AnotherHost": {
                "Type": "Choice",
                "Choices": [
                    {
                        "Condition": "{% $no_host and $host + 1 < $count($compile.hosts) %}",
                        "Assign": {"host": "{% $host + 1 %}"},
                        "Next": "RunJob",
                    }
                ],
                "Default": "RecordFailure",
            },
            "Register": _invoke(
                register,
                payload={"compile": "{% $compile %}", "job": "{% $job %}"},
                End=True,
                Catch=[
                    {
                        "ErrorEquals": ["States.ALL"],
                        "Assign": {"problem": "{% $states.errorOutput %}"},
                        "Next": "RecordFailure",
                    }
                ],
            ),
            "RecordFailure": _invoke(
                record_failure, payload={"compile": "{% $compile %}", "error": "{% $problem %}"}, Next="Failed"
            ),
            "Failed": {
                "Type": "Fail",
                "Error": "{% $problem.Error %}",
                "Cause": "{% $substring($string($problem.Cause), 0, 2000) %}",
            },
        },
    }


def _invoke(function: str, *, payload: object, **rest: Any) -> State:
    return {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Arguments": {"FunctionName": function, "Payload": payload},
        "Retry": _LAMBDA_RETRY,
        **rest,
    }


def _answer_error(state: str) -> State:
    return {
        "ErrorEquals": ["States.ALL"],
        "Assign": {"outcome": {"status": "error", "state": state, "error": "{% $states.errorOutput %}"}},
        "Next": "Answer",
    }
