"""EventBridge calls a function that lets the rule call it, and starts a machine as the target's role ("Using
resource-based policies for Amazon EventBridge", "Identity-based policies": its user guide).

What it may not do it does not do, and tells nobody, as on AWS, where only the metric FailedInvocations shows it.
"""

from __future__ import annotations

import logging
from typing import Any

from ministack.services import eventbridge

from .. import patching
from . import resources, sessions, switch
from .authorization import RefusedError, authorize
from .conditions import UnknownPolicyElementError
from .policies import Check, decide, parse

logger = logging.getLogger("neuron_cdk.local")

_invoke = patching.original(eventbridge, "_invoke_target")
_SERVICE = "events.amazonaws.com"


def install() -> None:
    patching.replace(eventbridge, "_invoke_target", _guarded)


def _guarded(target: dict[str, Any], event: Any, rule: dict[str, Any], *rest: Any) -> Any:
    if switch.on():
        reason = _why_not(target, rule)
        if reason:
            logger.warning("refused: the rule %s: %s", rule.get("Name"), reason)
            if switch.enforcing():
                return None
    return _invoke(target, event, rule, *rest)


def _why_not(target: dict[str, Any], rule: dict[str, Any]) -> str | None:
    arn = str(target.get("Arn", ""))
    if ":lambda:" in arn:
        return None if _lets(arn, str(rule.get("Arn", ""))) else f"{arn} has no permission that lets it call"
    if ":states:" in arn and target.get("RoleArn"):
        try:
            caller = sessions.take_on(target["RoleArn"], _SERVICE, str(rule.get("Name")))
            authorize(caller, [Check("states:StartExecution", arn)])
        except (sessions.CannotAssumeError, RefusedError) as error:
            return str(error)
    return None


def _lets(function: str, rule: str) -> bool:
    """Whether the function's own policy lets the rule call it (AWS::Lambda::Permission)."""
    account = function.split(":")[4]
    check = Check("lambda:InvokeFunction", function, {"aws:sourcearn": rule, "aws:sourceaccount": account})
    try:
        return decide(check, [], parse(resources.function_policy(function)), caller={"service": _SERVICE}).allowed
    except UnknownPolicyElementError as error:
        logger.warning("the policy of %s: %s", function, error)
        return False
