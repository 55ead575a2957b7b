"""What the roles of the templates used in a run of the tests, and why each grant that none of them uses is there.

``python -m tests.local.rights FOLDER`` prints what the reports in a folder say, as a page; the embedded AWS leaves them
there when ``NEURON_CDK_LOCAL_IAM_REPORTS`` names it.
A run of all of ``tests/local`` writes the page, too, and says where.
"""

from __future__ import annotations

import json
import re
import sys
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

REPORTS = "NEURON_CDK_LOCAL_IAM_REPORTS"
"""The variable that names the folder."""


@dataclass(frozen=True)
class Unused:
    """Grants that nothing on the embedded AWS uses."""

    roles: str
    """What the logical ids of the roles match, without their hash."""
    actions: tuple[str, ...]
    why: str


_LOG_DELIVERY = (
    "logs:CreateLogDelivery", "logs:DeleteLogDelivery", "logs:DescribeLogGroups", "logs:DescribeResourcePolicies",
    "logs:GetLogDelivery", "logs:ListLogDeliveries", "logs:PutResourcePolicy", "logs:UpdateLogDelivery",
)  # fmt: skip
_TRACES = ("xray:GetSamplingRules", "xray:GetSamplingTargets", "xray:PutTelemetryRecords", "xray:PutTraceSegments")
_CHANNELS = (
    "ssmmessages:CreateControlChannel", "ssmmessages:CreateDataChannel", "ssmmessages:OpenControlChannel",
    "ssmmessages:OpenDataChannel",
)  # fmt: skip

UNUSED = (
    Unused(
        r"Pipeline\w*Role|\w*Release\w*Role",
        _LOG_DELIVERY,
        "Step Functions sets up the delivery of a machine's log with them; the embedded one keeps no such log",
    ),
    Unused(r"Pipeline\w*Role|\w*Release\w*Role", _TRACES, "X-Ray is not embedded"),
    Unused(
        r"\w*Role",
        ("kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey"),
        "for a table under a customer's key, beside kms:Decrypt, which an access is taken to need here; whether "
        "DynamoDB asks more of the caller only AWS can show (inferred)",
    ),
    Unused(
        r"EndpointRole|PipelineJobRole|PipelineMirrorRole",
        ("kms:ReEncryptFrom", "kms:ReEncryptTo"),
        "asked of a role that attaches encrypted volumes (SageMaker guide); no volume is re-encrypted here",
    ),
    Unused(
        r"FleetRole",
        ("ssm:UpdateInstanceInformation", *_CHANNELS),
        "the Systems Manager agent of a real instance uses them; instances here run nothing",
    ),
    Unused(
        r"FleetRole",
        (
            "autoscaling:CompleteLifecycleAction",
            "autoscaling:DescribeAutoScalingInstances",
            "autoscaling:RecordLifecycleActionHeartbeat",
            "cloudwatch:PutMetricData",
            "s3:GetObject",
            "s3:ListBucket",
            "ecr:BatchCheckLayerAvailability",
            "ecr:BatchGetImage",
            "ecr:GetAuthorizationToken",
            "ecr:GetDownloadUrlForLayer",
            "kms:Decrypt",
        ),
        "the programs of a real instance use them as it boots and serves (tests/instance runs those); instances here "
        "run nothing",
    ),
    Unused(
        r"PipelineHousekeepingHookRole",
        ("dynamodb:GetItem",),
        "asked before an upload of more than a day ago is removed; nothing here gets that old but in tests/hooks",
    ),
    Unused(
        r"Endpoint(HookFunction|ReleasesStep)Role",
        (
            "application-autoscaling:DeleteScalingPolicy",
            "application-autoscaling:DeleteScheduledAction",
            "application-autoscaling:DeregisterScalableTarget",
            "application-autoscaling:PutScheduledAction",
            "cloudwatch:DeleteAlarms",
        ),
        "for a schedule or a policy that comes, goes, or stands in an update's way: tests/hooks does all of it, the "
        "deployments here some",
    ),
    Unused(
        r"Endpoint(HookFunction|ReleasesStep)Role",
        ("s3:ListBucket", "sagemaker:InvokeEndpointAsync"),
        "to ask an asynchronous endpoint its smoke test and its golden examples, as tests/hooks does; those deployed "
        "here serve what was made without either",
    ),
    Unused(
        r"\w*ReleasesStepRole",
        ("states:SendTaskFailure",),
        "for a release that supersedes one that waits for a person, as tests/hooks has it; a person's no is sent with "
        "the person's own key",
    ),
    Unused(
        r"EndpointRole",
        ("s3:AbortMultipartUpload",),
        "to give up an answer that is written in parts (SageMaker guide, asynchronous inference); those here are small",
    ),
    Unused(
        r"EndpointRole",
        ("cloudwatch:DescribeAlarms",),
        "SageMaker looks at a rollout's alarms in the endpoint's name; the embedded one knows them without asking",
    ),
    Unused(
        r"Pipeline(Join|Register)Role",
        ("s3:ListBucket",),
        "so that a file that a job did not write is missing (404) and not denied (403): tests/hooks takes one away",
    ),
    Unused(
        r"PipelineRecordFailureRole",
        ("logs:DescribeLogStreams", "logs:GetLogEvents"),
        "for the log of a job that left no message, as one that was killed: tests/hooks; jobs here leave one",
    ),
    Unused(r"HookRole", ("s3:PutObject",), "given to a test's own role to see it told as never used"),
    Unused(
        r"NetworkFlowLogRole",
        ("logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"),
        "VPC flow logs are EC2's own doing; no packet flows here",
    ),
)


@dataclass
class Kind:
    """All roles that have one logical id, in whatever stack; grants are ``action on resources``, see ``general``."""

    used: set[str] = field(default_factory=set)
    granted: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)

    @property
    def unused(self) -> set[str]:
        return self.granted - self.used


def read(folder: Path) -> dict[str, Kind]:
    """The reports of several servers, by what the roles are called without the hash of their path."""
    kinds: dict[str, Kind] = defaultdict(Kind)
    for file in sorted(folder.glob("*.json")):
        for role in json.loads(file.read_text()):
            _add(kinds[kind_of(role["logical_id"])], role)
    return dict(kinds)


def kind_of(logical_id: str) -> str:
    return re.sub(r"[0-9A-F]{8}$", "", logical_id)


def _add(kind: Kind, role: Mapping[str, Any]) -> None:
    used, unused = ({general(one) for one in role[name]} for name in ("used", "unused"))
    kind.used |= used
    kind.granted |= used | unused
    kind.refused |= set(role["refused"])


_OWN_BUCKET = re.compile(r"[a-z0-9-]+[0-9a-f]{13}")
"""A bucket of a stack, as CloudFormation names it: a long name is cut, with the hyphen before the number."""
_NAMED = re.compile(r"(?P<kind>[A-Za-z-]+[:/]).*?(?P<all>/\*|:\*)?")


def general(grant: str) -> str:
    """A grant as the roles of one kind all have it: what has another name in each stack is ``*``."""
    action, _, resources = grant.partition(" on ")
    return f"{action} on {', '.join(sorted({_general(one) for one in resources.split(', ')}))}"


def _general(resource: str) -> str:
    parts = resource.split(":", 5)
    if len(parts) < 6:
        return resource
    service, rest = parts[2], parts[5]
    if service == "s3":
        bucket, slash, path = rest.partition("/")
        if not _OWN_BUCKET.fullmatch(bucket):
            return "s3:a source"
        return f"s3:*{slash}{re.sub('[0-9a-f]{64}', '*', path)}"
    named = _NAMED.fullmatch(rest)
    return f"{service}:{named['kind']}*{named['all'] or ''}" if named else f"{service}:*"


def why(kind: str, grant: str) -> str | None:
    """Why the roles of this kind may do what they never do here."""
    action = grant.partition(" on ")[0]
    found = (one for one in UNUSED if action in one.actions and re.fullmatch(one.roles, kind))
    return next((one.why for one in found), None)


def unexplained(kinds: Mapping[str, Kind]) -> list[str]:
    """The grants that no role of a kind used and nobody has a reason for."""
    return sorted(
        f"{name}: {grant}" for name, kind in kinds.items() for grant in kind.unused if why(name, grant) is None
    )


def page(kinds: Mapping[str, Kind]) -> str:
    """Each kind of role with what it used and what it never used, and why: Markdown."""
    parts = [
        "# What roles used",
        "Written from the reports of a run of `tests/local` by `python -m tests.local.rights FOLDER`.",
    ]
    for name, kind in sorted(kinds.items()):
        parts.append(f"## {name}")
        actions = sorted({grant.partition(" on ")[0] for grant in kind.used})
        parts.append("Used: " + (", ".join(f"`{action}`" for action in actions) or "nothing") + ".")
        reasons: dict[str, list[str]] = defaultdict(list)
        for grant in sorted(kind.unused):
            reasons[why(name, grant) or "**no reason**"].append(f"`{grant}`")
        rows = [f"| {', '.join(grants)} | {reason} |" for reason, grants in reasons.items()]
        if rows:
            parts.append("\n".join(["| never used here | why it is granted |", "|---|---|", *rows]))
        if kind.refused:
            parts.append("Refused: " + "; ".join(sorted(kind.refused)) + ".")
    return "\n\n".join(parts) + "\n"


def main() -> None:
    print(page(read(Path(sys.argv[1]))), end="")


if __name__ == "__main__":
    main()
