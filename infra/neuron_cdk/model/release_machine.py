"""The state machine of releases to one target, as data (Amazon States Language, JSONata).

Its steps are calls of one hook (``neuron_hooks.release.step``), which says what comes next and after how many seconds:
the registry knows how far a release is, so that a step may be called twice and an execution may die anywhere.
"""

from __future__ import annotations

from typing import Any

State = dict[str, Any]

APPROVAL_SECONDS = 24 * 3600
"""How long a person is waited for."""

_STEPS = {
    "acquire": "Acquire",
    "approve": "Approve",
    "apply": "Apply",
    "progress": "Progress",
    "verify": "Verify",
    "promote": "Promote",
    "take_back": "TakeBack",
    "remove": "Remove",
    "finish": "Finish",
}
_ERROR = "{% $states.errorOutput %}"
_INPUT = "$states.context.Execution.Input"
# Every step may be called twice. What is refused for a reason comes as an answer, not as an error; so errors are what
# may pass: throttling, a role that is too new to be taken on, somebody else's write in between.
_RETRY = [
    {
        "ErrorEquals": ["States.ALL"],
        "IntervalSeconds": 2,
        "MaxAttempts": 4,
        "BackoffRate": 2,
        "JitterStrategy": "FULL",
    }
]
# How a person's answer, or nobody's, comes: asking again changes nothing about it.
_ANSWERED = {"ErrorEquals": ["Rejected", "Superseded", "States.Timeout"], "MaxAttempts": 0}
# A hundredth of what it has waited, once that is more: releases of days stay far below an execution's 25,000 events.
# Never more than half of the lease, which runs an hour from the last look.
_PAUSE = "{% $max([$step.wait, $min([1800, $floor(($millis() - $since) / 100000)])]) %}"
_NOW = "{% $millis() %}"


def release_machine(*, step: str) -> State:
    """Release an artifact to a target, or take it back, or delete the target.

    Input: see ``neuron_hooks.release.wanted``. Output: ``outcome`` (``released``, ``rolled back``, ``rejected``,
    ``superseded``, ``failed``, ``unchanged``, ``refused``, ``deleted``, ``lost``) and ``reason``.

    :param step: the ARN of the hook.
    """
    trouble = _catch("Trouble", problem=_ERROR)
    lost = {"next": "finish", "wait": 0, "outcome": "lost", "reason": "{% $string($states.errorOutput.Cause) %}"}
    given_up = _catch("Finish", step=lost)
    ended = {
        "outcome": "{% $exists($step.outcome) ? $step.outcome : '' %}",
        "reason": "{% $exists($step.reason) ? $step.reason : '' %}",
    }
    late_is_due = (
        f"{{% $exists({_INPUT}.request) and $not($late) and $not($step.next in ['finish', 'done']) "
        f"and $millis() > {_INPUT}.deadline * 1000 %}}"
    )
    states = {
        "Begin": {
            "Type": "Pass",
            "Assign": {"step": {"next": "acquire", "wait": 0}, "late": False, "since": _NOW},
            "Next": "Acquire",
        },
        "Acquire": _step(step, "acquire", given_up),
        "Approve": {
            "Type": "Task",
            "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
            "Arguments": _arguments(step, "ask", **{"token": "{% $states.context.Task.Token %}"}),
            "TimeoutSeconds": APPROVAL_SECONDS,
            # What comes now has waited for nothing yet.
            "Assign": {"step": {"next": "apply", "wait": 0}, "since": _NOW},
            "Next": "Next",
            "Retry": [_ANSWERED, *_RETRY],
            "Catch": [_catch("Reject", problem=_ERROR)],
        },
        "Reject": _step(step, "reject", trouble, error="{% $problem %}"),
        "Apply": _step(step, "apply", trouble),
        "Progress": _step(step, "progress", trouble),
        "Verify": _step(step, "verify", trouble),
        "Promote": _step(step, "promote", trouble),
        "TakeBack": _step(step, "take_back", trouble),
        "Remove": _step(step, "remove", trouble),
        "Trouble": _step(step, "trouble", given_up, error="{% $problem %}"),
        "Late": _step(step, "late", _catch("Next", problem=_ERROR)),
        "Finish": _step(step, "finish", _catch("Leave"), **ended),
        # One that does not end well dies, and a rule starts an execution that sees to what is left of it.
        "Leave": _step(step, "finish", None, untidy=True, **ended),
        "Next": {
            "Type": "Choice",
            "Choices": [
                {"Condition": late_is_due, "Assign": {"late": True}, "Next": "Late"},
                {
                    "Condition": "{% $step.wait > 0 %}",
                    "Assign": {"seconds": _PAUSE, "step": "{% $merge([$step, {'wait': 0}]) %}"},
                    "Next": "Pause",
                },
                *({"Condition": f"{{% $step.next = '{name}' %}}", "Next": state} for name, state in _STEPS.items()),
            ],
            "Default": "Done",
        },
        "Pause": {"Type": "Wait", "Seconds": "{% $seconds %}", "Next": "Next"},
        "Done": {"Type": "Pass", "Output": "{% $step %}", "End": True},  # outcome and reason, for whoever waits
    }
    return {"QueryLanguage": "JSONata", "StartAt": "Begin", "States": states}


def _arguments(function: str, name: str, **more: object) -> State:
    payload = {
        "step": name,
        "execution": "{% $states.context.Execution.Name %}",
        "input": f"{{% {_INPUT} %}}",
        **more,
    }
    return {"FunctionName": function, "Payload": payload}


def _step(function: str, name: str, catch: State | None, **more: object) -> State:
    made = {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Arguments": _arguments(function, name, **more),
        "Assign": {"step": "{% $states.result.Payload %}"},
        "Retry": _RETRY,
        "Next": "Next",
    }
    return made | ({"Catch": [catch]} if catch else {})


def _catch(state: str, **assign: object) -> State:
    return {"ErrorEquals": ["States.ALL"], "Next": state} | ({"Assign": assign} if assign else {})
