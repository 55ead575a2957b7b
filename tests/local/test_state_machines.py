"""What the compile path asks of Step Functions, Lambda and EventBridge behaves here as it does on AWS."""

from __future__ import annotations

import json
import urllib.request
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from neuron_cdk.local import EmbeddedAws
from tests.local.account import ROLE

Clients = Callable[[str], Any]


@pytest.fixture
def run(client: Clients, eventually: Any) -> Callable[..., dict[str, Any]]:
    """Run a JSONata machine to its end; the execution's description."""

    def go(states: dict[str, Any], given: dict[str, Any] | None = None, **machine: Any) -> dict[str, Any]:
        definition = {"QueryLanguage": "JSONata", "StartAt": next(iter(states)), "States": states} | machine
        made = client("stepfunctions").create_state_machine(
            name=f"machine-{uuid.uuid4().hex[:8]}", definition=json.dumps(definition), roleArn=ROLE
        )
        started = client("stepfunctions").start_execution(
            stateMachineArn=made["stateMachineArn"], input=json.dumps(given or {})
        )

        def ended() -> dict[str, Any] | None:
            described: dict[str, Any] = client("stepfunctions").describe_execution(executionArn=started["executionArn"])
            return None if described["status"] == "RUNNING" else described

        execution: dict[str, Any] = eventually(ended)
        return execution

    return go


@pytest.fixture
def script(client: Clients, job_request: Any) -> Callable[[str], dict[str, Any]]:
    """A job request for a script that is in a bucket of its own."""

    def put(source: str) -> dict[str, Any]:
        bucket = f"bucket-{uuid.uuid4().hex[:12]}"
        client("s3").create_bucket(Bucket=bucket)
        client("s3").put_object(Bucket=bucket, Key="code/main.py", Body=source)
        request: dict[str, Any] = job_request(bucket)
        return request

    return put


_SYNC = "arn:aws:states:::sagemaker:createProcessingJob.sync"


def _job(request: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"Type": "Task", "Resource": _SYNC, "Arguments": request, **more}


_CAUGHT = {
    "ErrorEquals": ["States.ALL"],
    "Assign": {"error": "{% $states.errorOutput %}"},
    "Next": "Caught",
}
_TELL = {"Caught": {"Type": "Pass", "Output": "{% $error %}", "End": True}}


def test_a_job_is_waited_for_and_described(run: Any, script: Any) -> None:
    request = script("print('done')")

    ended = run({"Job": _job(request, Output="{% $states.result.ProcessingJobStatus %}", End=True)})

    assert (ended["status"], json.loads(ended["output"])) == ("SUCCEEDED", "Completed")


def test_a_failed_job_is_task_failed_with_its_description_as_the_cause(run: Any, script: Any) -> None:
    request = script("import sys\nsys.exit('no such operator')")

    ended = run({"Job": _job(request, Catch=[_CAUGHT], End=True), **_TELL})

    error = json.loads(ended["output"])
    described = json.loads(error["Cause"])
    assert error["Error"] == "States.TaskFailed"
    assert described["ProcessingJobStatus"] == "Failed"
    assert described["FailureReason"] == "AlgorithmError: no such operator, exit code: 1"
    assert described["ProcessingJobName"] == request["ProcessingJobName"]


def test_a_quota_of_zero_is_the_integrations_own_error(run: Any, script: Any, embedded_aws: EmbeddedAws) -> None:
    def limit(wanted: dict[str, Any]) -> None:
        body = json.dumps(wanted).encode()
        urllib.request.urlopen(
            urllib.request.Request(f"{embedded_aws.url}/_neuron_cdk/limits", body, method="PUT")
        ).close()

    request = script("")
    limit({"quotas": {"ml.m5.large": 0}})
    try:
        ended = run({"Job": _job(request, Catch=[_CAUGHT], End=True), **_TELL})
    finally:
        limit({})

    assert json.loads(ended["output"])["Error"] == "SageMaker.ResourceLimitExceededException"


def test_a_request_that_the_model_forbids_is_told_by_the_service(run: Any, script: Any) -> None:
    request = script("")
    del request["RoleArn"]

    ended = run({"Job": _job(request, Catch=[_CAUGHT], End=True), **_TELL})

    error = json.loads(ended["output"])
    assert error["Error"] == "SageMaker.AmazonSageMakerException"
    assert "Value null at 'roleArn'" in error["Cause"]


def test_stopping_the_execution_stops_its_job(client: Clients, script: Any, eventually: Any, finished: Any) -> None:
    request = script("import time\ntime.sleep(600)")
    machine = client("stepfunctions").create_state_machine(
        name=f"machine-{uuid.uuid4().hex[:8]}",
        definition=json.dumps(
            {"QueryLanguage": "JSONata", "StartAt": "Job", "States": {"Job": _job(request, End=True)}}
        ),
        roleArn=ROLE,
    )
    execution = client("stepfunctions").start_execution(stateMachineArn=machine["stateMachineArn"])["executionArn"]
    name = request["ProcessingJobName"]
    eventually(lambda: name in str(client("sagemaker").list_processing_jobs(NameContains=name)))
    eventually(lambda: "ProcessingStartTime" in client("sagemaker").describe_processing_job(ProcessingJobName=name))

    client("stepfunctions").stop_execution(executionArn=execution)

    assert finished(client, name)["ProcessingJobStatus"] == "Stopped"
    assert client("stepfunctions").describe_execution(executionArn=execution)["status"] == "ABORTED"


def test_an_exception_of_a_function_is_caught_by_its_own_name(run: Any, function: Any) -> None:
    name = function(
        "class LeaseTaken(Exception):\n    pass\n"
        "def handler(event, context):\n    raise LeaseTaken('ValueError: not this one\\nKeyError')\n"
    )
    task = {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Arguments": {"FunctionName": name, "Payload": {}},
        "Catch": [{**_CAUGHT, "ErrorEquals": ["LeaseTaken"]}],
        "End": True,
    }

    ended = run({"Call": task, **_TELL})

    assert ended["status"] == "SUCCEEDED"
    error = json.loads(ended["output"])
    assert error["Error"] == "LeaseTaken"
    assert json.loads(error["Cause"])["errorMessage"] == "ValueError: not this one\nKeyError"


def test_a_function_that_raised_is_retried_and_answers(run: Any, function: Any, tmp_path: Any) -> None:
    name = function(
        "import pathlib\n"
        "def handler(event, context):\n"
        "    flag = pathlib.Path(event['flag'])\n"
        "    if not flag.exists():\n"
        "        flag.touch()\n"
        "        raise TimeoutError('once')\n"
        "    return 'answered'\n"
    )
    task = {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Arguments": {"FunctionName": name, "Payload": {"flag": str(tmp_path / "flag")}},
        "Retry": [{"ErrorEquals": ["TimeoutError"], "IntervalSeconds": 1, "MaxAttempts": 1}],
        "Output": "{% $states.result.Payload %}",
        "End": True,
    }

    assert json.loads(run({"Call": task})["output"]) == "answered"


def test_invoking_a_function_that_raises_tells_its_error(client: Clients, function: Any) -> None:
    name = function("def handler(event, context):\n    return {}[event['key']]\n")

    answer = client("lambda").invoke(FunctionName=name, Payload=b'{"key": "k"}')

    error = json.loads(answer["Payload"].read())
    assert (answer["FunctionError"], error["errorType"]) == ("Unhandled", "KeyError")
    assert any("in handler" in line for line in error["stackTrace"])


def test_a_second_start_by_one_name_is_joined_while_it_runs_and_refused_afterwards(
    client: Clients, eventually: Any, code_of: Any
) -> None:
    definition = {"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 1, "End": True}}}
    machine = client("stepfunctions").create_state_machine(
        name="named", definition=json.dumps(definition), roleArn=ROLE
    )["stateMachineArn"]
    start = {"stateMachineArn": machine, "name": "one", "input": '{"a": 1}'}
    first = client("stepfunctions").start_execution(**start)

    joined = client("stepfunctions").start_execution(**start)

    assert joined["executionArn"] == first["executionArn"]
    other = code_of(client("stepfunctions").start_execution, **start | {"input": "{}"})
    assert other.code == "ExecutionAlreadyExists"
    execution = {"executionArn": first["executionArn"]}
    eventually(lambda: client("stepfunctions").describe_execution(**execution)["status"] == "SUCCEEDED")
    assert code_of(client("stepfunctions").start_execution, **start).code == "ExecutionAlreadyExists"


def test_a_nested_start_by_a_name_that_was_used_is_the_integrations_own_error(run: Any, client: Clients) -> None:
    definition = {"StartAt": "Done", "States": {"Done": {"Type": "Succeed"}}}
    machine = client("stepfunctions").create_state_machine(
        name="nested", definition=json.dumps(definition), roleArn=ROLE
    )["stateMachineArn"]

    def start(**more: Any) -> dict[str, Any]:
        arguments = {
            "StateMachineArn": machine,
            "Name": "{% $states.context.Execution.Input.name %}",
            "Input": {"a": 1},
        }
        return {
            "Type": "Task",
            "Resource": "arn:aws:states:::states:startExecution",
            "Arguments": arguments,
            "Assign": {"started": "{% $states.result %}"},
            **more,
        }

    ended = run(
        {
            "Start": start(Next="Pause"),
            "Pause": {"Type": "Wait", "Seconds": 1, "Next": "Again"},
            "Again": start(Catch=[_CAUGHT], End=True),
            **_TELL,
        },
        {"name": "only-once"},
    )

    assert json.loads(ended["output"])["Error"] == "StepFunctions.ExecutionAlreadyExistsException"


_NESTED = "arn:aws:states:::states:startExecution.sync:2"


@pytest.fixture
def machine(client: Clients) -> Callable[..., str]:
    """A JSONata machine; its ARN."""

    def make(states: dict[str, Any]) -> str:
        definition = {"QueryLanguage": "JSONata", "StartAt": next(iter(states)), "States": states}
        made = client("stepfunctions").create_state_machine(
            name=f"machine-{uuid.uuid4().hex[:8]}", definition=json.dumps(definition), roleArn=ROLE
        )
        return str(made["stateMachineArn"])

    return make


def _nest(machine: str, **more: Any) -> dict[str, Any]:
    arguments = {"StateMachineArn": machine, "Input": {"number": 1}}
    return {"Type": "Task", "Resource": _NESTED, "Arguments": arguments, **more}


def test_a_nested_execution_is_waited_for_and_its_output_is_an_object(run: Any, machine: Any) -> None:
    inner = machine({"Add": {"Type": "Pass", "Output": {"sum": "{% $states.input.number + 1 %}"}, "End": True}})

    ended = run({"Nest": _nest(inner, Output="{% $states.result.Output.sum %}", End=True)})

    assert json.loads(ended["output"]) == 2


def test_a_nested_execution_that_fails_is_task_failed_with_its_description_as_the_cause(run: Any, machine: Any) -> None:
    inner = machine({"End": {"Type": "Fail", "Error": "Broken", "Cause": "on purpose"}})

    ended = run({"Nest": _nest(inner, Catch=[_CAUGHT], End=True), **_TELL})

    error = json.loads(ended["output"])
    described = json.loads(error["Cause"])
    assert error["Error"] == "States.TaskFailed"
    assert (described["Status"], described["Error"], described["Cause"]) == ("FAILED", "Broken", "on purpose")


def test_stopping_an_execution_stops_the_one_it_waits_for(client: Clients, machine: Any, eventually: Any) -> None:
    steps = client("stepfunctions")
    inner = machine({"Wait": {"Type": "Wait", "Seconds": 600, "End": True}})
    outer = machine({"Nest": _nest(inner, End=True)})
    execution = steps.start_execution(stateMachineArn=outer)["executionArn"]
    (nested,) = eventually(lambda: steps.list_executions(stateMachineArn=inner)["executions"])

    steps.stop_execution(executionArn=execution)

    arn = {"executionArn": nested["executionArn"]}
    assert eventually(lambda: steps.describe_execution(**arn)["status"] == "ABORTED", within=30)


def test_a_machine_runs_itself_for_every_item_side_by_side(run: Any) -> None:
    given = "$states.context.Execution.Input"
    states = {
        "Deep": {
            "Type": "Choice",
            "Choices": [{"Condition": f"{{% $exists({given}.items) %}}", "Next": "Each"}],
            "Default": "One",
        },
        "One": {"Type": "Pass", "Output": {"square": f"{{% {given}.value * {given}.value %}}"}, "End": True},
        "Each": {
            "Type": "Map",
            "Items": f"{{% [{given}.items] %}}",
            "ItemProcessor": {
                "ProcessorConfig": {"Mode": "INLINE"},
                "StartAt": "Nest",
                "States": {
                    "Nest": {
                        "Type": "Task",
                        "Resource": _NESTED,
                        "Arguments": {
                            "StateMachineArn": "{% $states.context.StateMachine.Id %}",
                            "Input": {"value": "{% $states.input %}"},
                        },
                        "Output": "{% $states.result.Output.square %}",
                        "End": True,
                    }
                },
            },
            "End": True,
        },
    }

    assert json.loads(run(states, {"items": [2, 3, 4]})["output"]) == [4, 9, 16]
    assert json.loads(run(states, {"items": [5]})["output"]) == [25]


def test_the_registry_is_read_by_a_machine(run: Any, client: Clients) -> None:
    client("dynamodb").create_table(
        TableName="registry",
        KeySchema=[{"AttributeName": "artifact_key", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "artifact_key", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    item = {"artifact_key": {"S": "k"}, "compile_seconds": {"N": "12.5"}}
    client("dynamodb").put_item(TableName="registry", Item=item)

    ended = run(
        {
            "Look": {
                "Type": "Task",
                "Resource": "arn:aws:states:::dynamodb:getItem",
                "Arguments": {
                    "TableName": "registry",
                    "Key": {"artifact_key": {"S": "{% $states.input.key %}"}},
                    "ConsistentRead": True,
                },
                "Output": "{% $number($states.result.Item.compile_seconds.N) * 2 %}",
                "End": True,
            }
        },
        {"key": "k"},
    )

    assert json.loads(ended["output"]) == 25


@pytest.mark.parametrize(
    ("status", "states", "machine"),
    [
        ("FAILED", {"End": {"Type": "Fail", "Error": "Broken", "Cause": "on purpose"}}, {}),
        ("TIMED_OUT", {"End": {"Type": "Wait", "Seconds": 5, "End": True}}, {"TimeoutSeconds": 1}),
    ],
)
def test_a_dead_execution_reaches_a_rule_and_its_function(
    status: str, states: Any, machine: Any, run: Any, client: Clients, function: Any, eventually: Any
) -> None:
    bucket = f"events-{status.lower().replace('_', '-')}"
    client("s3").create_bucket(Bucket=bucket)
    name = function(
        "import boto3, json\n"
        "def handler(event, context):\n"
        f"    boto3.client('s3').put_object(Bucket='{bucket}', Key='event', Body=json.dumps(event['detail']))\n"
    )
    pattern = {
        "source": ["aws.states"],
        "detail-type": ["Step Functions Execution Status Change"],
        "detail": {"status": [status]},
    }
    client("events").put_rule(Name=bucket, EventPattern=json.dumps(pattern))
    arn = client("lambda").get_function(FunctionName=name)["Configuration"]["FunctionArn"]
    client("lambda").add_permission(
        FunctionName=name, StatementId="rule", Action="lambda:InvokeFunction", Principal="events.amazonaws.com"
    )
    client("events").put_targets(Rule=bucket, Targets=[{"Id": "function", "Arn": arn}])

    ended = run(states, {"request": 1}, **machine)

    assert ended["status"] == status
    eventually(lambda: client("s3").list_objects_v2(Bucket=bucket).get("Contents"))
    detail = json.loads(client("s3").get_object(Bucket=bucket, Key="event")["Body"].read())
    assert (detail["executionArn"], json.loads(detail["input"])) == (ended["executionArn"], {"request": 1})
