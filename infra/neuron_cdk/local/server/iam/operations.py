"""Which actions on which resources a call of AWS's API needs: JSON and query protocols, and SageMaker Runtime.

After the Service Authorization Reference ("Actions, resources, and condition keys for AWS services"): where it gives an
action no resource type, the resource is ``*``, so that only a statement on ``*`` covers it. An operation that is not in
``TABLE`` is refused to every role, with the name of this module.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from string import Formatter
from typing import Any

from . import keys, resources
from .policies import Check


@dataclass(frozen=True, slots=True)
class Call:
    """One call; ``service`` is the prefix of its actions, ``request`` has the members of botocore's model."""

    service: str
    operation: str
    request: Mapping[str, Any]
    region: str
    account: str

    def arn(self, rest: str, *, service: str | None = None) -> str:
        return (
            rest
            if rest.startswith("arn:")
            else f"arn:aws:{service or self.service}:{self.region}:{self.account}:{rest}"
        )

    def check(self, resource: str, **context: str | list[str]) -> Check:
        return Check(f"{self.service}:{self.operation}", resource, context)


class UnknownOperationError(Exception):
    """An operation whose rights are not known here."""


Needs = Callable[[Call], list[Check]]


def checks(call: Call) -> list[Check]:
    """What the caller of ``call`` must be allowed. Raises ``UnknownOperationError``."""
    needs = TABLE.get(f"{call.service}:{call.operation}")
    if needs is None:
        raise UnknownOperationError(
            f"the embedded AWS does not know which rights {call.service}:{call.operation} needs: "
            "add it to neuron_cdk/local/server/iam/operations.py"
        )
    return needs(call)


def on(*wanted: str) -> Needs:
    """The action on these resources: the last parts of ARNs, with members of the request in braces.

    A member that has an ARN already is taken as it is; resources whose members the request lacks are left out, and
    without any it is ``*``.
    """

    def needs(call: Call) -> list[Check]:
        named = [
            text
            for text in wanted
            if all(name is None or call.request.get(name) for _, name, _, _ in Formatter().parse(text))
        ]
        found = [_filled(call, text) for text in named]
        return [call.check(one) for one in found] or [call.check("*")]

    return needs


def _filled(call: Call, text: str) -> str:
    for _, name, _, _ in Formatter().parse(text):
        if name and str(call.request[name]).startswith("arn:"):
            return str(call.request[name])
    return call.arn(text.format(**call.request))


ANY = on()


def both(*needs: Needs) -> Needs:
    return lambda call: [check for one in needs for check in one(call)]


def passing(member: str, service: str) -> Needs:
    """``iam:PassRole`` for the role in a member of the request, if it has one."""

    def needs(call: Call) -> list[Check]:
        role = call.request.get(member)
        return [Check("iam:PassRole", role, {"iam:passedtoservice": service})] if role else []

    return needs


def tagging(*wanted: str) -> Needs:
    """Tags given at creation need the right to add tags, too ("dependent actions")."""
    return lambda call: on(*wanted)(replace(call, operation="AddTags")) if call.request.get("Tags") else []


def _items(member: str) -> Needs:
    """DynamoDB: the table, the values of its partition key that are asked for, and its encryption key."""

    def needs(call: Call) -> list[Check]:
        return _table(call, call.operation, [call.request.get(member) or {}])

    return needs


def _table(call: Call, operation: str, found: list[Mapping[str, Any]], table: str | None = None) -> list[Check]:
    name = table or call.request["TableName"]
    key = resources.partition_key(name)
    leading = [str(next(iter(item[key].values()))) for item in found if key in item] if key else []
    context: dict[str, str | list[str]] = {"dynamodb:leadingkeys": leading} if leading else {}
    arn = call.arn(name if name.startswith("arn:") else f"table/{name}")
    return [Check(f"dynamodb:{operation}", arn, context), *keys.of_table(name, call.region, call.account)]


_TRANSACTION = {"Put": ("PutItem", "Item"), "Update": ("UpdateItem", "Key"), "Delete": ("DeleteItem", "Key")}


def _transaction(call: Call) -> list[Check]:
    """Each item as the operation it does, with no action for the transaction itself."""
    found = []
    for item in call.request["TransactItems"]:
        for kind, what in item.items():
            operation, member = _TRANSACTION.get(kind) or ("ConditionCheckItem" if kind != "Get" else "GetItem", "Key")
            found += _table(call, operation, [what[member]], what["TableName"])
    return found


def _batch(call: Call) -> list[Check]:
    found = []
    for table, asked in call.request["RequestItems"].items():
        if call.operation == "BatchGetItem":
            items = asked["Keys"]
        else:
            items = [
                (one.get("PutRequest") or one["DeleteRequest"]).get("Item") or one["DeleteRequest"]["Key"]
                for one in asked
            ]
        found += _table(call, call.operation, items, table)
    return found


def _streams(call: Call) -> list[Check]:
    """CloudWatch Logs names in its refusals ``log-group:<group>:log-stream:<stream>``, the stream empty for a group."""
    group = (
        call.request.get("logGroupName") or str(call.request.get("logGroupIdentifier", "")).rpartition("log-group:")[2]
    )
    return [call.check(call.arn(f"log-group:{group}:log-stream:{call.request.get('logStreamName', '')}"))]


def _bus(call: Call) -> list[Check]:
    buses = {entry.get("EventBusName") or "default" for entry in call.request.get("Entries", [])}
    return [call.check(call.arn(bus if bus.startswith("arn:") else f"event-bus/{bus}")) for bus in sorted(buses)]


def _rule(call: Call) -> list[Check]:
    bus = call.request.get("EventBusName") or "default"
    name = call.request.get("Name") or call.request.get("Rule")
    return [call.check(call.arn(f"rule/{name}" if bus == "default" else f"rule/{bus}/{name}"))]


def _group(call: Call) -> list[Check]:
    arn, tags = resources.group(call.request["AutoScalingGroupName"])
    context: dict[str, str | list[str]] = {f"autoscaling:resourcetag/{name}".lower(): tag for name, tag in tags.items()}
    return [
        call.check(call.arn(arn), **context | {f"aws:resourcetag/{name}".lower(): tag for name, tag in tags.items()})
    ]


def _target(call: Call) -> list[Check]:
    """Application Auto Scaling: a scalable target, whose id nobody knows, by its namespace and dimension."""
    request = call.request
    named = "/".join(request[name] for name in ("ServiceNamespace", "ResourceId", "ScalableDimension"))
    id_ = hashlib.sha256(named.encode()).hexdigest()[:32]
    context = {
        "application-autoscaling:service-namespace": request["ServiceNamespace"],
        "application-autoscaling:scalable-dimension": request["ScalableDimension"],
    }
    return [Check(f"application-autoscaling:{call.operation}", call.arn(f"scalable-target/{id_}"), context)]


def _alarms(member: str) -> Needs:
    def needs(call: Call) -> list[Check]:
        names = call.request.get(member) or []
        names = names if isinstance(names, list) else [names]
        return [call.check(call.arn(f"alarm:{name}")) for name in names] or [call.check(call.arn("alarm:*"))]

    return needs


def _metrics(call: Call) -> list[Check]:
    return [call.check("*", **{"cloudwatch:namespace": call.request.get("Namespace", "")})]


def _template(call: Call) -> list[Check]:
    id_, tags = resources.launch_template(dict(call.request))
    context: dict[str, str | list[str]] = {
        f"{kind}:resourcetag/{name}".lower(): tag for name, tag in tags.items() for kind in ("ec2", "aws")
    }
    return [call.check(call.arn(f"launch-template/{id_}"), **context)]


def _secret(call: Call) -> list[Check]:
    return [call.check(call.arn(resources.secret(call.request["SecretId"])))]


def _key(call: Call) -> list[Check]:
    return [call.check(resources.key_arn(call.request["KeyId"]))] if call.request.get("KeyId") else [call.check("*")]


def _queue(call: Call) -> list[Check]:
    return [call.check(call.arn(str(call.request["QueueUrl"]).rpartition("/")[2]))]


def _parameters(call: Call) -> list[Check]:
    names = call.request.get("Names") or [call.request.get("Name") or call.request.get("Path")]
    return [call.check(call.arn(f"parameter/{name.lstrip('/')}")) for name in names]


def _execution(call: Call) -> list[Check]:
    return [call.check(call.request["executionArn"])]


_JOB = "processing-job/{ProcessingJobName}"
_SAGEMAKER = "sagemaker.amazonaws.com"

TABLE: dict[str, Needs] = {
    **{
        f"application-autoscaling:{name}": _target
        for name in (
            "DeleteScalingPolicy", "DeleteScheduledAction", "DeregisterScalableTarget", "PutScalingPolicy",
            "PutScheduledAction", "RegisterScalableTarget",
        )
    },
    **{
        f"application-autoscaling:{name}": ANY
        for name in (
            "DescribeScalableTargets", "DescribeScalingActivities", "DescribeScalingPolicies",
            "DescribeScheduledActions",
        )
    },
    **{
        f"autoscaling:{name}": _group
        for name in (
            "CancelInstanceRefresh", "CompleteLifecycleAction", "RecordLifecycleActionHeartbeat",
            "RollbackInstanceRefresh", "SetDesiredCapacity", "StartInstanceRefresh",
            "TerminateInstanceInAutoScalingGroup", "UpdateAutoScalingGroup",
        )
    },
    **{
        f"autoscaling:{name}": ANY
        for name in (
            "DescribeAutoScalingGroups", "DescribeAutoScalingInstances", "DescribeInstanceRefreshes",
            "DescribeScalingActivities", "DescribeLifecycleHooks", "DescribeWarmPool",
        )
    },
    "cloudwatch:DeleteAlarms": _alarms("AlarmNames"),
    "cloudwatch:DescribeAlarms": _alarms("AlarmNames"),
    "cloudwatch:GetMetricData": ANY,
    "cloudwatch:GetMetricStatistics": ANY,
    "cloudwatch:PutMetricAlarm": _alarms("AlarmName"),
    "cloudwatch:PutMetricData": _metrics,
    "codebuild:BatchGetBuilds": on("project/{ProjectName}"),
    "codebuild:StartBuild": on("project/{projectName}"),
    "dynamodb:BatchGetItem": _batch,
    "dynamodb:BatchWriteItem": _batch,
    "dynamodb:DeleteItem": _items("Key"),
    "dynamodb:GetItem": _items("Key"),
    "dynamodb:PutItem": _items("Item"),
    "dynamodb:Query": _items("Key"),
    "dynamodb:Scan": _items("Key"),
    "dynamodb:TransactGetItems": _transaction,
    "dynamodb:TransactWriteItems": _transaction,
    "dynamodb:UpdateItem": _items("Key"),
    "ec2:CreateLaunchTemplateVersion": _template,
    "ec2:DeleteLaunchTemplateVersions": _template,
    "ec2:DescribeCapacityReservations": ANY,
    "ec2:DescribeImages": ANY,
    "ec2:DescribeInstances": ANY,
    "ec2:DescribeLaunchTemplateVersions": ANY,
    "ec2:DescribeLaunchTemplates": ANY,
    "ec2:ModifyLaunchTemplate": _template,
    "events:DescribeRule": _rule,
    "events:PutEvents": _bus,
    "events:PutRule": _rule,
    "events:PutTargets": _rule,
    "iam:CreateServiceLinkedRole": ANY,
    "kms:Decrypt": _key,
    "kms:DescribeKey": _key,
    "kms:Encrypt": _key,
    "kms:GenerateDataKey": _key,
    "lambda:InvokeFunction": on("function:{FunctionName}"),
    "logs:CreateLogGroup": _streams,
    "logs:CreateLogStream": _streams,
    "logs:DescribeLogStreams": _streams,
    "logs:FilterLogEvents": _streams,
    "logs:GetLogEvents": _streams,
    "logs:PutLogEvents": _streams,
    "sagemaker:AddTags": on("{ResourceArn}"),
    "sagemaker:CreateEndpoint": both(
        on("endpoint/{EndpointName}", "endpoint-config/{EndpointConfigName}"), tagging("endpoint/{EndpointName}")
    ),
    "sagemaker:CreateEndpointConfig": both(
        on("endpoint-config/{EndpointConfigName}"),
        tagging("endpoint-config/{EndpointConfigName}"),
        passing("ExecutionRoleArn", _SAGEMAKER),
    ),
    "sagemaker:CreateInferenceComponent": both(
        on("inference-component/{InferenceComponentName}"), tagging("inference-component/{InferenceComponentName}")
    ),
    "sagemaker:CreateModel": both(
        on("model/{ModelName}"), tagging("model/{ModelName}"), passing("ExecutionRoleArn", _SAGEMAKER)
    ),
    "sagemaker:CreateProcessingJob": both(on(_JOB), tagging(_JOB), passing("RoleArn", _SAGEMAKER)),
    "sagemaker:DeleteEndpoint": on("endpoint/{EndpointName}"),
    "sagemaker:DeleteEndpointConfig": on("endpoint-config/{EndpointConfigName}"),
    "sagemaker:DeleteInferenceComponent": on("inference-component/{InferenceComponentName}"),
    "sagemaker:DeleteModel": on("model/{ModelName}"),
    "sagemaker:DescribeEndpoint": on("endpoint/{EndpointName}"),
    "sagemaker:DescribeEndpointConfig": on("endpoint-config/{EndpointConfigName}"),
    "sagemaker:DescribeInferenceComponent": on("inference-component/{InferenceComponentName}"),
    "sagemaker:DescribeModel": on("model/{ModelName}"),
    "sagemaker:DescribeProcessingJob": on(_JOB),
    "sagemaker:InvokeEndpoint": on("endpoint/{EndpointName}", "inference-component/{InferenceComponentName}"),
    "sagemaker:InvokeEndpointAsync": on("endpoint/{EndpointName}"),
    "sagemaker:ListEndpointConfigs": ANY,
    "sagemaker:ListEndpoints": ANY,
    "sagemaker:ListInferenceComponents": ANY,
    "sagemaker:ListModels": ANY,
    "sagemaker:ListProcessingJobs": ANY,
    "sagemaker:ListTags": on("{ResourceArn}"),
    "sagemaker:StopProcessingJob": on(_JOB),
    "sagemaker:UpdateEndpoint": on("endpoint/{EndpointName}", "endpoint-config/{EndpointConfigName}"),
    "sagemaker:UpdateEndpointWeightsAndCapacities": on("endpoint/{EndpointName}"),
    "sagemaker:UpdateInferenceComponent": on("inference-component/{InferenceComponentName}"),
    "sagemaker:UpdateInferenceComponentRuntimeConfig": on("inference-component/{InferenceComponentName}"),
    "secretsmanager:DescribeSecret": _secret,
    "secretsmanager:GetSecretValue": _secret,
    "sns:Publish": on("{TopicArn}"),
    "sqs:SendMessage": _queue,
    "ssm:GetParameter": _parameters,
    "ssm:GetParameters": _parameters,
    "ssm:GetParametersByPath": _parameters,
    "ssm:PutParameter": _parameters,
    "states:DescribeExecution": _execution,
    "states:ListExecutions": on("{stateMachineArn}"),
    "states:StartExecution": on("{stateMachineArn}"),
    "states:StopExecution": _execution,
    "sts:GetCallerIdentity": lambda _: [],  # "No permissions are required" (STS API reference)
}  # fmt: skip
