"""Step Functions: SageMaker's processing jobs as an integration, executions that start once and end once.

``createProcessingJob.sync`` waits as Step Functions does: it fails with ``States.TaskFailed`` and the job's
description as the cause, and stops the job when the execution is stopped. Errors of the call itself are named after
the SDK's classes: ``SageMaker.ResourceLimitExceededException``, or ``SageMaker.AmazonSageMakerException`` for those
without one.

``startExecution.sync`` runs an execution that is listed, tells of its end and can be stopped, as any other.

Wait states wait by the server's clock.
"""

from __future__ import annotations

import json
import threading
import time
from contextvars import ContextVar
from datetime import datetime
from typing import Any

from ministack.core.responses import json_response, now_iso
from ministack.services import stepfunctions

from . import patching
from .api import ServiceError
from .clock import clock
from .sagemaker import service, store

_Failed = patching.original(stepfunctions, "_ExecutionError")
_executions = patching.original(stepfunctions, "_executions")
_machines = patching.original(stepfunctions, "_state_machines")
_dispatch = patching.original(stepfunctions, "_SERVICE_DISPATCH")
_Jsonata = patching.original(patching.original(stepfunctions, "jsonata"), "Jsonata")
_compiled = patching.original(_Jsonata, "jsonata")
_start = patching.original(stepfunctions, "_start_execution")
_start_nested = patching.original(stepfunctions, "_invoke_nested_start_execution")
_stop = patching.original(stepfunctions, "_stop_execution")
_run = patching.original(stepfunctions, "_run_execution")
_fail = patching.original(stepfunctions, "_fail_execution")
_tell = patching.original(stepfunctions, "_emit_execution_status_event")
_add_event = patching.original(stepfunctions, "_add_event")

_INTERRUPTED = "States.ServiceRestart"
_POLL_SECONDS = 0.1
_EXPRESSION_MS = 60_000
_NAMED = ("ResourceLimitExceeded", "ResourceInUse", "ResourceNotFound")
_current: ContextVar[dict[str, Any] | None] = ContextVar("neuron_cdk_execution", default=None)


def install() -> None:
    _dispatch["arn:aws:states:::sagemaker:createProcessingJob"] = _processing_job
    patching.replace(stepfunctions, "_start_execution", _start_once)
    patching.replace(stepfunctions, "_invoke_nested_start_execution", _start_nested_by_its_names)
    patching.replace(stepfunctions, "_invoke_nested_start_execution_sync", _run_nested)
    patching.replace(stepfunctions, "_run_execution", _run_within_its_time)
    patching.replace(stepfunctions, "_fail_execution", _fail_once)
    patching.replace(stepfunctions, "_scaled_sleep", clock.sleep)
    patching.replace(stepfunctions, "_sleep_until", _sleep_until)
    patching.replace(_Jsonata, "jsonata", staticmethod(_expression))


def _expression(text: str, **options: Any) -> Any:
    """A JSONata expression with time enough where a hundred executions share a machine: ministack gives it a second."""
    return _compiled(text, **{**options, "timeout": _EXPRESSION_MS})


def current() -> dict[str, Any] | None:
    """The execution that this thread works for."""
    return _current.get()


def tell_of_interrupted() -> None:
    """Send the status events of the executions that the last server's death ended; ministack tells nobody.

    So rules on dead executions do their work, which is to release what those held.
    """
    for (account, region, _), execution in _executions.all_items():
        if execution.get("error") == _INTERRUPTED and execution["events"][-1]["type"] != "ExecutionFailed":
            details = {"error": execution["error"], "cause": execution["cause"]}
            _add_event(execution, "ExecutionFailed", {"executionFailedEventDetails": details})
            store.speak_for(account, region)
            _tell(execution)


def _processing_job(resource: str, request: dict[str, Any]) -> dict[str, Any]:
    made = _call("CreateProcessingJob", request)
    if not resource.endswith(".sync"):
        return made
    name = {"ProcessingJobName": request["ProcessingJobName"]}
    execution = _current.get()
    while True:
        described = _call("DescribeProcessingJob", name)
        if described["ProcessingJobStatus"] == "Completed":
            return described
        if described["ProcessingJobStatus"] in ("Failed", "Stopped"):
            raise _Failed("States.TaskFailed", json.dumps(described))
        if execution is not None and execution["status"] != "RUNNING":
            _call("StopProcessingJob", name)
            raise _Failed("States.TaskFailed", f"the execution ended: {execution['status']}")
        time.sleep(_POLL_SECONDS)


def _call(operation: str, request: dict[str, Any]) -> dict[str, Any]:
    try:
        return service.call(operation, request)
    except ServiceError as error:
        name = f"{error.code}Exception" if error.code in _NAMED else "AmazonSageMakerException"
        cause = f"{error.message} (Service: AmazonSageMaker; Status Code: {error.status}; Error Code: {error.code})"
        raise _Failed(f"SageMaker.{name}", cause) from error


def _start_once(request: dict[str, Any]) -> Any:
    """StartExecution; with the name and input of one that runs it gives that one, as on AWS (ministack refuses)."""
    machine = _machines.get(request.get("stateMachineArn", ""))
    if machine and request.get("name"):
        arn = f"{machine['stateMachineArn'].replace(':stateMachine:', ':execution:')}:{request['name']}"
        execution = _executions.get(arn)
        if execution and execution["status"] == "RUNNING" and execution["input"] == request.get("input", "{}"):
            return json_response({"executionArn": arn, "startDate": execution["startDate"]})
    return _start(request)


def _start_nested_by_its_names(resource: str, request: dict[str, Any]) -> Any:
    """``states:startExecution`` with the integration's error names, which ministack leaves bare."""
    try:
        return _start_nested(resource, request)
    except _Failed as error:
        if "." in error.error:
            raise
        raise _Failed(f"StepFunctions.{error.error.removesuffix('Exception')}Exception", error.cause) from error


def _run_nested(resource: str, request: dict[str, Any]) -> dict[str, Any]:
    """``states:startExecution.sync``: an execution of its own, waited for; stopped with the one that waits.

    ministack runs it as an express one, which tells nobody and cannot be stopped. One that ends badly is
    ``States.TaskFailed`` with DescribeExecution's answer as the cause.
    """
    waiting = _current.get()
    arn = _start_nested_by_its_names(resource, request)["ExecutionArn"]
    nested = _executions[arn]
    while nested["status"] == "RUNNING":
        if waiting is not None and waiting["status"] != "RUNNING":
            _stop({"executionArn": arn})
            raise _Failed("States.TaskFailed", f"the execution ended: {waiting['status']}")
        time.sleep(_POLL_SECONDS)
    described = {
        "ExecutionArn": arn,
        "Input": nested["input"],
        "InputDetails": {"Included": True},
        "Name": nested["name"],
        "StartDate": nested["startDate"],
        "StateMachineArn": nested["stateMachineArn"],
        "Status": nested["status"],
        "StopDate": nested["stopDate"],
    }
    if nested["status"] != "SUCCEEDED":
        why = {"Error": nested.get("error"), "Cause": nested.get("cause")}
        cause = described | {name: said for name, said in why.items() if said}
        raise _Failed("States.TaskFailed", json.dumps(cause))
    output = json.loads(nested["output"]) if resource.endswith(".sync:2") else nested["output"]
    return described | {"Output": output, "OutputDetails": {"Included": True}}


def _run_within_its_time(arn: str) -> None:
    """Run the execution and hold it to the machine's own TimeoutSeconds, which ministack leaves out."""
    execution = _executions.get(arn)
    machine = _machines.get(execution["stateMachineArn"]) if execution else None
    _current.set(execution)
    limit = json.loads(machine["definition"]).get("TimeoutSeconds") if machine else None
    if not limit:
        _run(arn)
        return
    timer = threading.Timer(limit, _time_out, [execution])
    timer.daemon = True
    timer.start()
    try:
        _run(arn)
    finally:
        timer.cancel()


def _time_out(execution: dict[str, Any]) -> None:
    if execution["status"] == "RUNNING":
        execution.update(status="TIMED_OUT", stopDate=now_iso(), error="States.Timeout")
        _add_event(execution, "ExecutionTimedOut", {"executionTimedOutEventDetails": {"error": "States.Timeout"}})
        _tell(execution)


def _sleep_until(moment: str) -> None:
    clock.sleep(datetime.fromisoformat(moment.replace("Z", "+00:00")).timestamp() - clock.now())


def _fail_once(execution: dict[str, Any], error: str, cause: str) -> None:
    """What was stopped or timed out stays so, whatever its last task does afterwards."""
    if execution["status"] == "RUNNING":
        _fail(execution, error, cause)
