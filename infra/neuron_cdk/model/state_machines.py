"""The three state machines of the compile path, as data (Amazon States Language, JSONata).

The *request* machine runs once for everybody who asks for an artifact, and ends when it is there or cannot be had. A
deleted or rolled-back stack takes nobody's compile with it, because the *compile* machine runs apart: once for every
attempt at an artifact, to the end, whoever asked. The *job* machine is one try of it.
"""

from __future__ import annotations

from typing import Any

State = dict[str, Any]

_INPUT = "$states.context.Execution.Input"
_AGE_SECONDS = "($millis() - $toMillis($states.context.Execution.StartTime)) / 1000"
# Longer than anything an execution waits for: what still runs then was lost, and a rule speaks for it.
_REQUEST_SECONDS = 14 * 86_400
_COMPILE_SECONDS = 12 * 86_400
_JOB_SECONDS = 10 * 86_400  # SageMaker lets a processing job run nine days

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
# A hook that raised for a moment's reason: each may be called twice with the same event.
_HOOK_RETRY = [
    *_LAMBDA_RETRY,
    {"ErrorEquals": ["States.ALL"], "IntervalSeconds": 2, "MaxAttempts": 3, "BackoffRate": 2},
]
# What a job left, or what was asked for, is refused once and for all.
_NOT_THE_ARTIFACT = {"ErrorEquals": ["ArtifactError"], "MaxAttempts": 0}
_NOT_WHAT_WAS_ASKED = {"ErrorEquals": ["NeedError", "RequestError", "SourceError"], "MaxAttempts": 0}
# What StartExecution is refused with for a moment. AWS documents one name: "Use the Retry on
# StepFunctions.ExecutionLimitExceeded to ensure your execution is started" (Step Functions guide, "Start workflow
# executions from a task state"). How the others are spelt is only seen in what users write. A task that waits for its
# execution cannot retry States.ALL: an execution that failed would run again.
_START_RETRY = [
    {
        "ErrorEquals": [
            "StepFunctions.ExecutionLimitExceeded",
            "StepFunctions.ExecutionLimitExceededException",
            "StepFunctions.ThrottlingException",
            "StepFunctions.AWSStepFunctionsException",
            "StepFunctions.SdkClientException",
        ],
        "IntervalSeconds": 2,
        "MaxAttempts": 5,
        "BackoffRate": 2,
        "JitterStrategy": "FULL",
    }
]
# With the suffix in what users report, without it in the API's reference.
_STARTED_ALREADY = ["StepFunctions.ExecutionAlreadyExistsException", "StepFunctions.ExecutionAlreadyExists"]
_PROBLEM = {"problem": "{% $states.errorOutput %}"}


def request_machine(*, begin: str, record_failure: str, answer: str, compile_machine: str, registry: str) -> State:
    """Obtain an artifact, and answer CloudFormation when it is CloudFormation that asks.

    A hit takes six states: Asked, Begin, Route, Reply, Answer, Done. A miss starts the compile machine (or finds that
    someone has) and looks at the registry until the artifact is there, has failed, its holder has gone (the lease ran
    out: Begin again), or patience is over (the answer then says how to join the compile that goes on). A person or a
    watch that waited for another's compile begins again when it is ready, so that it is told as theirs. What must be an
    artifact first is obtained by executions of this same machine, side by side.

    Input: ``model`` (properties of ``Custom::NeuronCompiledModel``), ``deadline`` (seconds since the epoch),
    ``poll_seconds`` (between two looks, at first), and perhaps ``request`` (CloudFormation's), ``trigger`` (``deploy``,
    ``person``, ``watch``, ``need``), ``force`` (try again what is remembered as failed), ``not_before`` (a time in ISO
    8601: what changes now is left to settle). Output: ``status`` (``ready``, ``failed``, ``running``, ``error``),
    ``model``, ``key``, ``sdk``, ``cache``, ``artifact_uri``, ``compile_seconds``, ``usd``, ``reason``, ``log_url``,
    ``execution``, as far as there are any.
    """
    return {
        "QueryLanguage": "JSONata",
        "StartAt": "Asked",
        "TimeoutSeconds": _REQUEST_SECONDS,
        "States": {
            "Asked": {
                "Type": "Choice",
                "Choices": [
                    {
                        "Condition": f"{{% $exists({_INPUT}.not_before) %}}",
                        "Assign": {"obtained": [], "cache": "hit"},
                        "Next": "Settle",
                    }
                ],
                "Assign": {"obtained": [], "cache": "hit"},
                "Default": "Begin",
            },
            "Settle": {"Type": "Wait", "Timestamp": f"{{% {_INPUT}.not_before %}}", "Next": "Begin"},
            "Begin": _invoke(
                begin,
                payload=f"{{% $merge([{_INPUT}, {{"
                "'execution': $states.context.Execution.Name, 'obtained': [$obtained], "
                "'asked_at': $floor($toMillis($states.context.Execution.StartTime) / 1000)}]) %}",
                Assign={"begun": "{% $states.result.Payload %}"},
                Next="Route",
                Catch=[_outcome_error("Begin")],
                Retry=[_NOT_WHAT_WAS_ASKED, *_HOOK_RETRY],
            ),
            "Route": {
                "Type": "Choice",
                "Choices": [
                    {
                        "Condition": "{% $begun.status in ['ready', 'failed', 'running', 'error'] %}",
                        "Assign": {
                            "outcome": "{% $begun.status = 'ready' ? $merge([$begun, {'cache': $cache}]) : $begun %}"
                        },
                        "Next": "Reply",
                    },
                    {"Condition": "{% $begun.status = 'needs' %}", "Next": "Obtain"},
                    {"Condition": "{% $begun.status = 'leased' %}", "Next": "StartCompile"},
                ],
                "Default": "Pause",
            },
            "Obtain": _obtain(),
            "StartCompile": {
                "Type": "Task",
                "Resource": "arn:aws:states:::states:startExecution",
                "Arguments": {
                    "StateMachineArn": compile_machine,
                    "Name": "{% $begun.compile.execution_name %}",
                    "Input": "{% $begun.compile %}",
                },
                # It has a name, and so is started once however often it is asked for.
                "Retry": [
                    {"ErrorEquals": _STARTED_ALREADY, "MaxAttempts": 0},
                    {"ErrorEquals": ["States.ALL"], "IntervalSeconds": 2, "MaxAttempts": 5, "BackoffRate": 2},
                ],
                "Catch": [
                    # Started already: by this request, before something made it try again.
                    {"ErrorEquals": _STARTED_ALREADY, "Next": "Pause"},
                    {**_outcome_error("StartCompile"), "Next": "GiveUpLease"},
                ],
                "Next": "Pause",
            },
            # Nobody will compile under this lease: whoever asks next must not wait for it to run out.
            "GiveUpLease": _invoke(
                record_failure,
                payload={"compile": "{% $begun.compile %}", "error": "{% $outcome.error %}"},
                Next="Reply",
                Catch=[_outcome_error("GiveUpLease")],
                Retry=_HOOK_RETRY,
            ),
            # A hundredth of what it has waited, once that is more: days of looks stay far below an execution's 25,000
            # events.
            "Pause": {
                "Type": "Wait",
                "Seconds": f"{{% $max([{_INPUT}.poll_seconds, $floor({_AGE_SECONDS} / 100)]) %}}",
                "Next": "Look",
            },
            "Look": {
                "Type": "Task",
                "Resource": "arn:aws:states:::dynamodb:getItem",
                "Arguments": {
                    "TableName": registry,
                    "Key": {"artifact_key": {"S": "{% $begun.key %}"}},
                    "ConsistentRead": True,
                },
                # What is retiring is gone before it is there again: no item is none.
                "Assign": {"item": "{% $exists($states.result.Item) ? $states.result.Item : {} %}", "cache": "miss"},
                "Retry": [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 2, "MaxAttempts": 5, "BackoffRate": 2}],
                "Catch": [_outcome_error("Look")],
                "Next": "Decide",
            },
            "Decide": _decide(),
            "Reply": {
                "Type": "Choice",
                "Choices": [{"Condition": f"{{% $exists({_INPUT}.request) %}}", "Next": "Answer"}],
                "Default": "Done",
            },
            "Answer": {
                **_invoke(
                    answer,
                    payload={
                        "request": f"{{% {_INPUT}.request %}}",
                        "model": f"{{% {_INPUT}.model %}}",
                        "outcome": "{% $outcome %}",
                    },
                    Next="Done",
                ),
                "Retry": _HOOK_RETRY,
            },
            "Done": {
                "Type": "Pass",
                "Output": f"{{% $merge([$outcome, {{'model': {_INPUT}.model.Name}}]) %}}",
                "End": True,
            },
        },
    }


# What is told of hundreds of needs must fit a state's 256 KiB together, and nothing catches what does not
# (States.DataLimitExceeded; Step Functions guide, "Handling errors"): nothing of what was met, of the others as many
# characters as are left for each.
_SHARE = "$floor(100000 / $count($begun.needs))"
_MET_OR_NOT = (
    "{% ($told := $states.result.Output; $most := " + _SHARE + "; $need := {'need': $states.input.Need}; "
    "$told.status = 'ready' ? $merge([{'status': 'ready'}, $need]) : $merge([$told, $need, "
    "$exists($told.reason) and $length($told.reason) > $most ? {'reason': $substring($told.reason, -$most)} : {}, "
    "$exists($told.error) ? {'error': {'Error': $told.error.Error, "
    "'Cause': $substring($string($told.error.Cause), 0, $most)}} : {}])) %}"
)


def _obtain() -> State:
    """Have everything that is needed made, each by an execution of this machine, and hear what became of it."""
    return {
        "Type": "Map",
        "Items": "{% [$begun.needs] %}",
        "MaxConcurrency": 8,
        "ItemProcessor": {
            "ProcessorConfig": {"Mode": "INLINE"},
            "StartAt": "ObtainOne",
            "States": {
                "ObtainOne": {
                    "Type": "Task",
                    "Resource": "arn:aws:states:::states:startExecution.sync:2",
                    "Arguments": {
                        "StateMachineArn": "{% $states.context.StateMachine.Id %}",
                        "Input": {
                            "model": "{% $states.input %}",
                            "trigger": "need",
                            "force": f"{{% $exists({_INPUT}.force) ? {_INPUT}.force : false %}}",
                            "deadline": f"{{% {_INPUT}.deadline %}}",
                            "poll_seconds": f"{{% {_INPUT}.poll_seconds %}}",
                            "AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID": "{% $states.context.Execution.Id %}",
                        },
                    },
                    "Output": _MET_OR_NOT,
                    "Retry": _START_RETRY,
                    # One that dies does not stop the others.
                    "Catch": [
                        {
                            "ErrorEquals": ["States.ALL"],
                            "Output": {
                                "status": "error",
                                "state": "Obtain",
                                "need": "{% $states.input.Need %}",
                                "error": {
                                    "Error": "{% $states.errorOutput.Error %}",
                                    "Cause": f"{{% $substring($string($states.errorOutput.Cause), 0, {_SHARE}) %}}",
                                },
                            },
                            "Next": "Lost",
                        }
                    ],
                    "End": True,
                },
                "Lost": {"Type": "Pass", "End": True},
            },
        },
        "Assign": {"obtained": "{% $states.result %}", "cache": "miss"},
        "Catch": [_outcome_error("Obtain")],
        "Next": "Begin",
    }


def _decide() -> State:
    """What the registry's item says to somebody who waits for it."""
    known = (
        "{% $merge([{'status': $item.state.S, 'key': $begun.key, 'sdk': $begun.sdk}, "
        "$exists($item.log_url.S) ? {'log_url': $item.log_url.S} : {}, "
        "$exists($item.usd.N) ? {'usd': $number($item.usd.N)} : {}, "
        "$item.state.S = 'failed' ? {'reason': $item.reason.S} : {'cache': $cache, "
        "'artifact_uri': $item.artifact_uri.S, 'compile_seconds': $number($item.compile_seconds.N)}]) %}"
    )
    running = {
        "status": "running",
        "key": "{% $begun.key %}",
        "sdk": "{% $begun.sdk %}",
        "execution": "{% $begun.compile.execution_name %}",
    }
    # What is told of an artifact when it is ready has the trigger and the model of who compiled it. Who waited asks
    # again, and it is told for their model that they have it too: a release may follow. Deploys release what they get.
    released = f"$begun.status = 'waiting' and $item.state.S = 'ready' and {_INPUT}.trigger in ['person', 'watch']"
    return {
        "Type": "Choice",
        "Choices": [
            {"Condition": f"{{% {released} %}}", "Next": "Begin"},
            {
                "Condition": "{% $item.state.S in ['ready', 'failed'] %}",
                "Assign": {"outcome": known},
                "Next": "Reply",
            },
            {
                "Condition": f"{{% $millis() > {_INPUT}.deadline * 1000 %}}",
                "Assign": {"outcome": running},
                "Next": "Reply",
            },
            {
                "Condition": "{% $not($exists($item.lease_expires.N)) or "
                "$millis() > $number($item.lease_expires.N) * 1000 %}",
                "Next": "Begin",
            },
        ],
        "Default": "Pause",
    }


def compile_machine(*, job_machine: str, join: str, register: str, record_failure: str) -> State:
    """Run the job on a host that can be had, check and publish what it made, or record why there is none.

    Input: ``key``, ``attempt``, ``model``, ``execution_name``, and either ``job`` (a ``CreateProcessingJob`` request
    that lacks its name and its instance types), ``hosts``, ``plan`` and ``start_by`` (see
    ``neuron_hooks.compile.tries``), or ``join``, the parts that the artifact is joined from.
    """
    return {
        "QueryLanguage": "JSONata",
        "StartAt": "First",
        "TimeoutSeconds": _COMPILE_SECONDS,
        "States": {
            "First": {
                "Type": "Choice",
                "Choices": [
                    {
                        "Condition": "{% $exists($states.input.join) %}",
                        "Assign": {"compile": "{% $states.input %}", "plan": {}, "job": {}},
                        "Next": "Join",
                    }
                ],
                "Assign": {"compile": "{% $states.input %}", "plan": "{% $states.input.plan %}", "job": {}},
                "Default": "RunJob",
            },
            "RunJob": {
                "Type": "Task",
                "Resource": "arn:aws:states:::states:startExecution.sync:2",
                "Arguments": {
                    "StateMachineArn": job_machine,
                    "Name": "{% $compile.execution_name & '-' & $string($plan.number) %}",
                    "Input": "{% $merge([$compile.job, {"
                    "'ProcessingJobName': $compile.execution_name & '-' & $string($plan.number), "
                    "'ProcessingResources': {'ClusterConfig': "
                    "$merge([$compile.job.ProcessingResources.ClusterConfig, $plan.cluster])}}]) %}",
                },
                "Assign": {"ended": "{% $states.result.Output %}"},
                "Retry": _START_RETRY,
                "Catch": [{"ErrorEquals": ["States.ALL"], "Assign": _PROBLEM, "Next": "Consider"}],
                "Next": "Ended",
            },
            "Ended": {
                "Type": "Choice",
                "Choices": [
                    {
                        "Condition": "{% $exists($ended.job) %}",
                        "Assign": {"job": "{% $ended.job %}"},
                        "Next": "Register",
                    }
                ],
                "Assign": {"problem": "{% $ended.error %}"},
                "Default": "Consider",
            },
            "Consider": {
                **_invoke(
                    record_failure,
                    payload={"compile": "{% $compile %}", "error": "{% $problem %}", "plan": "{% $plan %}"},
                    Assign={"considered": "{% $states.result.Payload %}"},
                    Next="Again",
                ),
                "Retry": _HOOK_RETRY,
            },
            "Again": {
                "Type": "Choice",
                "Choices": [
                    {
                        "Condition": "{% $considered.again %}",
                        "Assign": {"plan": "{% $considered.plan %}"},
                        "Next": "WaitForHost",
                    }
                ],
                "Default": "Failed",
            },
            "WaitForHost": {"Type": "Wait", "Seconds": "{% $considered.wait_seconds %}", "Next": "RunJob"},
            "Join": {
                **_invoke(
                    join,
                    payload={"compile": "{% $compile %}"},
                    Assign={"job": "{% $states.result.Payload %}"},
                    Next="Register",
                    Catch=[{"ErrorEquals": ["States.ALL"], "Assign": _PROBLEM, "Next": "RecordFailure"}],
                ),
                "Retry": [_NOT_THE_ARTIFACT, *_HOOK_RETRY],
            },
            "Register": {
                **_invoke(
                    register,
                    payload={"compile": "{% $compile %}", "job": "{% $job %}", "plan": "{% $plan %}"},
                    End=True,
                    Catch=[{"ErrorEquals": ["States.ALL"], "Assign": _PROBLEM, "Next": "RecordFailure"}],
                ),
                "Retry": [_NOT_THE_ARTIFACT, *_HOOK_RETRY],
            },
            "RecordFailure": {
                **_invoke(
                    record_failure,
                    payload={
                        "compile": "{% $compile %}",
                        "error": "{% $problem %}",
                        "tried": "{% $plan %}",
                        "job": "{% $job %}",
                    },
                    Next="Failed",
                ),
                "Retry": _HOOK_RETRY,
            },
            "Failed": {
                "Type": "Fail",
                "Error": "{% $problem.Error %}",
                "Cause": "{% $substring($string($problem.Cause), 0, 2000) %}",
            },
        },
    }


def job_machine() -> State:
    """One try: a processing job, waited for. Output: ``{"job": its description}`` or ``{"error": {"Error", "Cause"}}``.

    A machine of its own because of what cannot be caught. Step Functions ends an execution with ``States.Runtime`` when
    its integration does not know a parameter, and no Catch takes that (Step Functions guide, "Handling errors"); the
    compile machine sees it as a task that failed, and goes on with parameters that are older.

    Input: a ``CreateProcessingJob`` request.
    """
    return {
        "QueryLanguage": "JSONata",
        "StartAt": "RunJob",
        "TimeoutSeconds": _JOB_SECONDS,
        "States": {
            "RunJob": {
                "Type": "Task",
                "Resource": "arn:aws:states:::sagemaker:createProcessingJob.sync",
                "Arguments": "{% $states.input %}",
                "Output": {"job": "{% $states.result %}"},
                "Catch": [
                    {"ErrorEquals": ["States.ALL"], "Output": {"error": "{% $states.errorOutput %}"}, "Next": "Ended"}
                ],
                "End": True,
            },
            "Ended": {"Type": "Pass", "End": True},
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


def _outcome_error(state: str) -> State:
    return {
        "ErrorEquals": ["States.ALL"],
        "Assign": {"outcome": {"status": "error", "state": state, "error": "{% $states.errorOutput %}"}},
        "Next": "Reply",
    }
