"""The two state machines as graphs and as programs: nothing unreachable, nothing dangling, expressions that mean it."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from neuron_cdk.local import environment
from neuron_cdk.model.state_machines import compile_machine, request_machine

FUNCTION = "arn:aws:lambda:us-east-1:111122223333:function:hook"
MACHINES = {
    "request": request_machine(
        begin=FUNCTION, record_failure=FUNCTION, answer=FUNCTION, compile_machine="arn", registry="table"
    ),
    "compile": compile_machine(register=FUNCTION, record_failure=FUNCTION),
}


@pytest.fixture(params=MACHINES)
def machine(request) -> dict[str, Any]:
    return MACHINES[request.param]


def leads_to(state: dict[str, Any]) -> Iterator[str]:
    """Every state a state names, whatever makes it go there."""
    for branch in (state, *state.get("Catch", ()), *state.get("Choices", ())):
        if "Next" in branch:
            yield branch["Next"]
    if "Default" in state:
        yield state["Default"]


def test_no_state_leads_to_one_that_is_not_there(machine):
    named = {target for state in machine["States"].values() for target in leads_to(state)}
    assert named | {machine["StartAt"]} <= set(machine["States"])


def test_every_state_can_be_reached(machine):
    reached, ahead = set(), [machine["StartAt"]]
    while ahead:
        name = ahead.pop()
        if name not in reached:
            reached.add(name)
            ahead += leads_to(machine["States"][name])
    assert reached == set(machine["States"])


def test_every_state_goes_on_or_ends(machine):
    for name, state in machine["States"].items():
        if state["Type"] == "Choice":
            assert "Default" in state, name
        elif state["Type"] not in ("Fail", "Succeed"):
            assert ("Next" in state) != (state.get("End") is True), name


def test_every_path_of_a_request_ends_with_an_answer():
    """CloudFormation waits for it: no Fail, no Succeed, one End."""
    states = MACHINES["request"]["States"]
    assert [name for name, state in states.items() if state.get("End")] == ["Answer"]
    assert not [name for name, state in states.items() if state["Type"] in ("Fail", "Succeed")]


def test_a_hit_takes_three_states():
    states = MACHINES["request"]["States"]
    (ready,) = (choice for choice in states["Route"]["Choices"] if "'ready'" in choice["Condition"])
    assert (states["Begin"]["Next"], ready["Next"], states["Answer"].get("End")) == ("Route", "Answer", True)


def test_whatever_goes_wrong_is_caught_except_in_the_last_state(machine):
    last = {"Answer", "RecordFailure"}  # a rule speaks for an execution that dies there
    for name, state in machine["States"].items():
        if state["Type"] == "Task" and name not in last:
            assert any(catch["ErrorEquals"] == ["States.ALL"] for catch in state["Catch"]), name


def test_lambdas_hiccups_are_tried_again(machine):
    for name, state in machine["States"].items():
        if state.get("Resource") == "arn:aws:states:::lambda:invoke":
            assert "Lambda.TooManyRequestsException" in state["Retry"][0]["ErrorEquals"], name


# -- expressions ---------------------------------------------------------------------------------------------------


def expressions(value: Any) -> Iterator[str]:
    """Every JSONata expression in a definition."""
    if isinstance(value, dict):
        for one in value.values():
            yield from expressions(one)
    elif isinstance(value, list):
        for one in value:
            yield from expressions(one)
    elif isinstance(value, str) and (found := re.fullmatch(r"\{%\s*(.*?)\s*%\}", value, re.DOTALL)):
        yield found[1]


@pytest.fixture(scope="session")
def evaluate():
    """``evaluate([(expression, {"states": …, "begun": …}), …])`` with the JSONata of the embedded AWS."""
    program = """
import json, sys, jsonata
for expression, variables in json.load(sys.stdin):
    program = jsonata.Jsonata(expression)
    for name, value in variables.items():
        program.assign(name, value)
    print(json.dumps(program.evaluate(None)))
"""

    def run(cases: list[tuple[str, dict[str, Any]]]) -> list[Any]:
        done = subprocess.run(
            [environment.ensure(), "-c", program], input=json.dumps(cases), capture_output=True, text=True, check=True
        )
        return [json.loads(line) for line in done.stdout.splitlines()]

    return run


ONE_OF_EACH = {
    "states": {
        "context": {"Execution": {"Name": "e", "Input": {"request": {}, "deadline": 1, "poll_seconds": 15}}},
        "input": {},
        "result": {"Payload": {}, "Item": {}},
        "errorOutput": {"Error": "e", "Cause": "c"},
    },
    "begun": {"status": "leased", "key": "k", "sdk": "s", "compile": {"execution_name": "n"}},
    "item": {"state": {"S": "ready"}, "artifact_uri": {"S": "u"}, "compile_seconds": {"N": "1"}, "reason": {"S": "r"}},
    "compile": {
        "execution_name": "n",
        "hosts": ["ml.m5.4xlarge", "ml.r5.4xlarge"],
        "job": {"ProcessingResources": {"ClusterConfig": {"InstanceCount": 1}}, "RoleArn": "role"},
    },
    "host": 1,
    "no_host": True,
    "job": {},
    "problem": {"Error": "e", "Cause": "c"},
    "outcome": {"error": {"Error": "e", "Cause": "c"}},
}


def test_every_expression_has_a_value(machine, evaluate):
    """Step Functions fails a state whose expression is undefined."""
    every = list(expressions(machine))
    values = evaluate([(expression, ONE_OF_EACH) for expression in every])
    assert len(values) == len(every)
    assert [expression for expression, value in zip(every, values, strict=True) if value is None] == []


def chosen(machine: str, state: str, variables: dict[str, Any], evaluate) -> str:
    """Where a Choice goes."""
    definition = MACHINES[machine]["States"][state]
    cases = [(next(expressions(choice["Condition"])), variables) for choice in definition["Choices"]]
    for choice, holds in zip(definition["Choices"], evaluate(cases), strict=True):
        if holds:
            return choice["Next"]
    return definition["Default"]


def looked(item: dict[str, Any], *, deadline: float = 4e9) -> dict[str, Any]:
    return {"item": item, "states": {"context": {"Execution": {"Input": {"deadline": deadline}}}}}


HELD = {"state": {"S": "compiling"}, "lease_expires": {"N": "4000000000"}}


@pytest.mark.parametrize(
    ("variables", "goes_to"),
    [
        (looked({"state": {"S": "ready"}}), "Answer"),
        (looked({"state": {"S": "failed"}}), "Answer"),
        (looked(HELD), "Pause"),
        (looked(HELD, deadline=1), "Answer"),
        (looked({**HELD, "lease_expires": {"N": "1"}}), "Begin"),
        (looked({"state": {"S": "compiling"}}), "Begin"),
    ],
    ids=["ready", "failed", "held", "overdue", "lease ran out", "no lease"],
)
def test_a_request_that_looks_at_the_registry_decides(variables, goes_to, evaluate):
    assert chosen("request", "Decide", variables, evaluate) == goes_to


@pytest.mark.parametrize(
    ("no_host", "host", "goes_to"), [(True, 0, "RunJob"), (True, 1, "RecordFailure"), (False, 0, "RecordFailure")]
)
def test_a_compile_goes_on_to_the_next_host_only_when_one_cannot_be_had(no_host, host, goes_to, evaluate):
    variables = {"no_host": no_host, "host": host, "compile": {"hosts": ["ml.m5.4xlarge", "ml.r5.4xlarge"]}}
    assert chosen("compile", "AnotherHost", variables, evaluate) == goes_to


@pytest.mark.parametrize(
    ("error", "cause", "no_host"),
    [
        ("SageMaker.ResourceLimitExceededException", "the account-level service limit", True),
        ("States.TaskFailed", '{"FailureReason": "CapacityError: Unable to provision requested ML compute"}', True),
        ("States.TaskFailed", '{"FailureReason": "InsufficientCapacityError"}', True),
        ("States.TaskFailed", '{"ExitMessage": "operator Foo is not supported"}', False),
    ],
)
def test_a_host_that_cannot_be_had_is_told_from_a_compile_that_failed(error, cause, no_host, evaluate):
    (catch,) = MACHINES["compile"]["States"]["RunJob"]["Catch"]
    (expression,) = expressions(catch["Assign"]["no_host"])
    assert evaluate([(expression, {"states": {"errorOutput": {"Error": error, "Cause": cause}}})]) == [no_host]


def test_the_job_gets_its_name_and_the_host_in_turn(evaluate):
    (expression,) = expressions(MACHINES["compile"]["States"]["RunJob"]["Arguments"])
    assert evaluate([(expression, ONE_OF_EACH)]) == [
        {
            "RoleArn": "role",
            "ProcessingJobName": "n-1",
            "ProcessingResources": {"ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.r5.4xlarge"}},
        }
    ]
