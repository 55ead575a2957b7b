"""The two state machines as graphs and as programs: nothing unreachable, nothing dangling, expressions that mean it."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from neuron_cdk.model.state_machines import compile_machine, job_machine, request_machine

FUNCTION = "arn:aws:lambda:us-east-1:111122223333:function:hook"
MACHINES = {
    "request": request_machine(
        begin=FUNCTION, record_failure=FUNCTION, answer=FUNCTION, compile_machine="arn", registry="table"
    ),
    "compile": compile_machine(job_machine="arn", join=FUNCTION, register=FUNCTION, record_failure=FUNCTION),
    "job": job_machine(),
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


def test_every_path_of_a_request_ends_with_an_outcome():
    """Whoever asked waits for it: no Fail, no Succeed, one End, which Reply alone leads to, by way of the answer."""
    states = MACHINES["request"]["States"]
    assert [name for name, state in states.items() if state.get("End")] == ["Done"]
    assert not [name for name, state in states.items() if state["Type"] in ("Fail", "Succeed")]
    assert [name for name, state in states.items() if "Done" in leads_to(state)] == ["Reply", "Answer"]
    assert [name for name, state in states.items() if "Answer" in leads_to(state)] == ["Reply"]


def walk(variables: dict[str, Any], evaluate) -> list[str]:
    """The states of a request that finds its artifact, as the definition leads."""
    states, path = MACHINES["request"]["States"], ["Asked"]
    while not states[path[-1]].get("End"):
        state = states[path[-1]]
        path.append(chosen("request", path[-1], variables, evaluate) if state["Type"] == "Choice" else state["Next"])
    return path


@pytest.mark.parametrize("asked", [{"request": {}}, {}, {"request": {}, "not_before": "2026-11-27T00:00:00Z"}])
def test_a_hit_takes_at_most_eight_states_and_two_functions_beside_the_entry(asked, evaluate):
    variables = {"begun": {"status": "ready"}, "states": {"context": {"Execution": {"Input": asked}}}}
    path = walk(variables, evaluate)
    functions = [name for name in path if "lambda" in MACHINES["request"]["States"][name].get("Resource", "")]
    assert len(path) <= 8
    assert functions == (["Begin", "Answer"] if "request" in asked else ["Begin"])
    assert ("Settle" in path) == ("not_before" in asked)


def test_nothing_waits_for_ever(machine):
    assert machine["TimeoutSeconds"] <= 14 * 86_400


def test_whatever_goes_wrong_is_caught_except_in_the_last_state(machine):
    last = {"Answer", "Consider", "RecordFailure"}  # a rule speaks for an execution that dies there
    for name, state in machine["States"].items():
        if state["Type"] == "Task" and name not in last:
            assert any(catch["ErrorEquals"] == ["States.ALL"] for catch in state["Catch"]), name


def test_lambdas_hiccups_are_tried_again(machine):
    for name, state in machine["States"].items():
        if state.get("Resource") == "arn:aws:states:::lambda:invoke":
            errors = [error for retry in state["Retry"] for error in retry["ErrorEquals"]]
            assert "Lambda.TooManyRequestsException" in errors, name


def retried(machine: str, state: str, error: str) -> int:
    """How often a state is tried again after an error: what the first retrier that takes it says."""
    definition = MACHINES[machine]["States"][state]
    for retry in (definition["ItemProcessor"]["States"]["ObtainOne"] if state == "Obtain" else definition)["Retry"]:
        if {error, "States.ALL"} & set(retry["ErrorEquals"]):
            return retry["MaxAttempts"]
    return 0


@pytest.mark.parametrize(
    ("machine", "state"), [("request", "StartCompile"), ("request", "Obtain"), ("compile", "RunJob")]
)
@pytest.mark.parametrize(
    "error",
    [
        "StepFunctions.ExecutionLimitExceeded",
        "StepFunctions.ExecutionLimitExceededException",
        "StepFunctions.AWSStepFunctionsException",
        "StepFunctions.ThrottlingException",
    ],
)
def test_an_execution_that_could_not_be_started_for_a_moment_is_started_again(machine, state, error):
    assert retried(machine, state, error) == 5


@pytest.mark.parametrize(
    "error", ["StepFunctions.ExecutionAlreadyExists", "StepFunctions.ExecutionAlreadyExistsException"]
)
def test_a_compile_that_was_started_already_is_waited_for(error):
    assert retried("request", "StartCompile", error) == 0
    caught = MACHINES["request"]["States"]["StartCompile"]["Catch"]
    assert next(catch["Next"] for catch in caught if error in catch["ErrorEquals"]) == "Pause"


def test_a_compile_is_started_again_whatever_the_refusal_is_called():
    """It has a name: a second start finds the first."""
    assert retried("request", "StartCompile", "StepFunctions.NobodyKnowsException") == 5


@pytest.mark.parametrize(("machine", "state"), [("request", "Obtain"), ("compile", "RunJob")])
def test_an_execution_that_failed_is_not_run_again(machine, state):
    assert retried(machine, state, "States.TaskFailed") == 0


def test_a_lease_is_given_up_even_if_the_hook_stumbles():
    assert retried("request", "GiveUpLease", "ConnectTimeoutError") == 3


@pytest.mark.parametrize(
    ("machine", "state", "error"),
    [
        ("request", "Begin", "SourceError"),
        ("request", "Begin", "RequestError"),
        ("compile", "Register", "ArtifactError"),
        ("compile", "Join", "ArtifactError"),
    ],
)
def test_a_refusal_is_not_tried_again(machine, state, error):
    first = next(retry for retry in MACHINES[machine]["States"][state]["Retry"] if error in retry["ErrorEquals"])
    assert first is MACHINES[machine]["States"][state]["Retry"][0]
    assert first["MaxAttempts"] == 0


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


ASKED = {"model": {"Name": "minilm"}, "request": {}, "deadline": 1, "poll_seconds": 15, "force": True}
ASKED |= {"not_before": "2026-11-27T00:00:00Z"}
ONE_OF_EACH = {
    "states": {
        "context": {
            "Execution": {"Name": "e", "Id": "arn", "StartTime": "2026-11-27T00:00:00.123Z", "Input": ASKED},
            "StateMachine": {"Id": "arn"},
        },
        "input": {"Need": "batch 4", "plan": {}, "join": []},
        "result": {"Payload": {}, "Item": {}, "Output": {"status": "ready"}},
        "errorOutput": {"Error": "e", "Cause": "c"},
    },
    "begun": {"status": "leased", "key": "k", "sdk": "s", "needs": [{}], "compile": {"execution_name": "n"}},
    "item": {"state": {"S": "ready"}, "artifact_uri": {"S": "u"}, "compile_seconds": {"N": "1"}, "reason": {"S": "r"}},
    "compile": {
        "execution_name": "n",
        "job": {"ProcessingResources": {"ClusterConfig": {"VolumeSizeInGB": 1}}, "RoleArn": "role"},
    },
    "plan": {"number": 1, "cluster": {"InstanceType": "ml.r5.4xlarge", "InstanceCount": 1}},
    "considered": {"again": True, "plan": {}, "wait_seconds": 1},
    "ended": {"job": {}, "error": {}},
    "obtained": [],
    "cache": "hit",
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
        (looked({"state": {"S": "ready"}}), "Reply"),
        (looked({"state": {"S": "failed"}}), "Reply"),
        (looked(HELD), "Pause"),
        (looked(HELD, deadline=1), "Reply"),
        (looked({}), "Begin"),
        (looked({**HELD, "lease_expires": {"N": "1"}}), "Begin"),
        (looked({"state": {"S": "compiling"}}), "Begin"),
    ],
    ids=["ready", "failed", "held", "overdue", "gone", "lease ran out", "no lease"],
)
def test_a_request_that_looks_at_the_registry_decides(variables, goes_to, evaluate):
    assert chosen("request", "Decide", variables, evaluate) == goes_to


def waited_for(state: str, *, begun: str, trigger: str | None) -> dict[str, Any]:
    """A look at an item by a request that began so, and that this asked for."""
    variables = looked({"state": {"S": state}})
    variables["states"]["context"]["Execution"]["Input"] |= {"trigger": trigger} if trigger else {}
    return {**variables, "begun": {"status": begun, "key": "k"}}


@pytest.mark.parametrize("trigger", ["person", "watch"])
def test_what_another_compiled_is_told_as_ready_for_the_person_or_the_watch_that_waited_for_it(trigger, evaluate):
    """Begin tells a hit, with the trigger and the model of who asks: that is what a release starts from."""
    assert chosen("request", "Decide", waited_for("ready", begun="waiting", trigger=trigger), evaluate) == "Begin"


@pytest.mark.parametrize(
    ("state", "begun", "trigger"),
    [
        ("ready", "leased", "person"),
        ("ready", "waiting", "deploy"),
        ("ready", "waiting", "need"),
        ("ready", "waiting", None),
        ("failed", "waiting", "watch"),
    ],
    ids=["its own compile", "a deploy", "a need", "a stack", "a failure"],
)
def test_what_was_told_or_starts_no_release_is_not_asked_for_again(state, begun, trigger, evaluate):
    assert chosen("request", "Decide", waited_for(state, begun=begun, trigger=trigger), evaluate) == "Reply"


def pause(waited: float, evaluate) -> int:
    """How long a request that has waited so many seconds waits until it looks again."""
    (expression,) = expressions(MACHINES["request"]["States"]["Pause"])
    started = datetime.fromtimestamp(time.time() - waited, UTC).isoformat(timespec="milliseconds")
    asked = {"StartTime": started.replace("+00:00", "Z"), "Input": ASKED}
    ((seconds,),) = (evaluate([(expression, {"states": {"context": {"Execution": asked}}})]),)
    return seconds


def test_a_request_looks_more_seldom_the_longer_it_waits(evaluate):
    assert pause(0, evaluate) == 15
    assert pause(1400, evaluate) == 15
    assert pause(3600, evaluate) == 36


def test_a_request_that_waits_as_long_as_it_may_stays_within_the_events_of_an_execution(evaluate):
    """25,000 (Step Functions quotas)."""
    waited, looks = 0.0, 0
    while waited < MACHINES["request"]["TimeoutSeconds"]:
        waited, looks = waited + max(1, waited // 100), looks + 1  # a second, where compiles take one
    per_look = 9  # entered and left thrice, and a task that is scheduled, started and has succeeded
    assert looks * per_look < 25_000 / 2
    assert pause(waited, evaluate) == pytest.approx(waited / 100, abs=2)


def outcome(item: dict[str, Any], evaluate) -> dict[str, Any]:
    """What is told of an item that is waited for."""
    decided = next(choice for choice in MACHINES["request"]["States"]["Decide"]["Choices"] if "Assign" in choice)
    decided = decided["Assign"]["outcome"]
    variables = {"item": item, "begun": {"key": "k", "sdk": "2.31.1"}, "cache": "miss"}
    ((told,),) = (evaluate([(next(expressions(decided)), variables)]),)
    return told


def test_an_artifact_is_told_with_what_is_known_of_it(evaluate):
    ready = {"state": {"S": "ready"}, "artifact_uri": {"S": "s3://a/"}, "compile_seconds": {"N": "12.5"}}
    told = {"status": "ready", "key": "k", "sdk": "2.31.1", "cache": "miss"}
    told |= {"artifact_uri": "s3://a/", "compile_seconds": 12.5}
    assert outcome(ready, evaluate) == told
    priced = outcome({**ready, "usd": {"N": "0.5"}, "log_url": {"S": "https://log"}}, evaluate)
    assert priced == {**told, "usd": 0.5, "log_url": "https://log"}


def test_a_failure_is_told_with_its_reason_and_log(evaluate):
    failed = {"state": {"S": "failed"}, "reason": {"S": "no"}, "log_url": {"S": "https://log"}}
    told = {"status": "failed", "key": "k", "sdk": "2.31.1", "reason": "no", "log_url": "https://log"}
    assert outcome(failed, evaluate) == told


@pytest.mark.parametrize(
    ("status", "goes_to"),
    [
        *(("ready", "Reply"), ("failed", "Reply"), ("running", "Reply"), ("error", "Reply")),
        *(("needs", "Obtain"), ("leased", "StartCompile"), ("waiting", "Pause")),
    ],
)
def test_a_request_goes_where_its_beginning_says(status, goes_to, evaluate):
    assert chosen("request", "Route", {"begun": {"status": status}}, evaluate) == goes_to


def test_one_need_is_a_list_as_several_are(evaluate):
    (items,) = expressions(MACHINES["request"]["States"]["Obtain"]["Items"])
    cases = [(items, {"begun": {"needs": [{"Need": f"batch {n}"} for n in range(count)]}}) for count in (1, 2)]
    assert [len(value) for value in evaluate(cases)] == [1, 2]


def told_of_a_need(result: dict[str, Any], needs: int, evaluate) -> dict[str, Any]:
    """What is kept of how the request for one of so many needs ended."""
    one = MACHINES["request"]["States"]["Obtain"]["ItemProcessor"]["States"]["ObtainOne"]
    variables = {
        "states": {"input": {"Need": "batch 4"}, "result": {"Output": result}},
        "begun": {"needs": [{"Need": f"batch {number}"} for number in range(needs)]},
    }
    ((told,),) = (evaluate([(next(expressions(one["Output"])), variables)]),)
    return told


READY = {"status": "ready", "model": "minilm", "key": "ab" * 32, "artifact_uri": "s3://a/", "usd": 0.5}
ENDED_BADLY = [
    {
        "status": "failed",
        "model": "minilm",
        "key": "ab" * 32,
        "reason": "x" * 2990 + "the cause!",
        "log_url": "u" * 300,
    },
    {"status": "error", "model": "minilm", "state": "Begin", "error": {"Error": "E", "Cause": "c" * 30_000}},
]


def test_a_need_is_told_with_what_its_asker_reads(evaluate):
    assert told_of_a_need(READY, 3, evaluate) == {"status": "ready", "need": "batch 4"}
    assert told_of_a_need(ENDED_BADLY[0], 3, evaluate) == {**ENDED_BADLY[0], "need": "batch 4"}
    running = {"status": "running", "model": "minilm", "execution": "e"}
    assert told_of_a_need(running, 3, evaluate) == {**running, "need": "batch 4"}


def test_a_long_reason_among_many_keeps_its_end(evaluate):
    assert told_of_a_need(ENDED_BADLY[0], 200, evaluate)["reason"].endswith("the cause!")


@pytest.mark.parametrize("result", [READY, *ENDED_BADLY], ids=["ready", "failed", "error"])
def test_what_is_told_of_two_hundred_needs_fits_a_state(result, evaluate):
    """262,144 bytes (Step Functions quotas); nothing catches what is more. Two hundred is what a file may have."""
    assert 200 * len(json.dumps(told_of_a_need(result, 200, evaluate))) < 262_144 * 0.9


def test_a_need_that_dies_leaves_the_others_alone():
    one = MACHINES["request"]["States"]["Obtain"]["ItemProcessor"]["States"]["ObtainOne"]
    assert [catch["ErrorEquals"] for catch in one["Catch"]] == [["States.ALL"]]


@pytest.mark.parametrize(
    ("ended", "goes_to"), [({"job": {"ProcessingJobName": "n"}}, "Register"), ({"error": {"Error": "e"}}, "Consider")]
)
def test_a_job_is_registered_or_considered(ended, goes_to, evaluate):
    assert chosen("compile", "Ended", {"ended": ended}, evaluate) == goes_to


@pytest.mark.parametrize(("again", "goes_to"), [(True, "WaitForHost"), (False, "Failed")])
def test_a_compile_goes_on_as_long_as_there_is_another_try(again, goes_to, evaluate):
    variables = {"considered": {"again": again, "plan": {}, "wait_seconds": 1}}
    assert chosen("compile", "Again", variables, evaluate) == goes_to


@pytest.mark.parametrize(("given", "goes_to"), [({"join": [{}]}, "Join"), ({"plan": {}, "job": {}}, "RunJob")])
def test_parts_are_joined_and_a_job_is_run(given, goes_to, evaluate):
    assert chosen("compile", "First", {"states": {"input": given}}, evaluate) == goes_to


def test_the_job_gets_its_name_and_the_types_of_this_try(evaluate):
    (_, expression) = expressions(MACHINES["compile"]["States"]["RunJob"]["Arguments"])
    assert evaluate([(expression, ONE_OF_EACH)]) == [
        {
            "RoleArn": "role",
            "ProcessingJobName": "n-1",
            "ProcessingResources": {
                "ClusterConfig": {"VolumeSizeInGB": 1, "InstanceCount": 1, "InstanceType": "ml.r5.4xlarge"}
            },
        }
    ]
