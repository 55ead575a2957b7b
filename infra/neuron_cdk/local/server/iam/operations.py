"""Which actions on which resources a call of AWS's API needs: JSON and query protocols, and SageMaker Runtime.

After the Service Authorization Reference ("Actions, resources, and condition keys for AWS services"): where it gives an
action no resource type, the resource is ``*``, so that only a statement on ``*`` covers it. An operation that is not in
``TABLE`` is refused to every role, with the name of this module.
"""

from __future__ import annotations

from . import dynamodb, keys, resources, scaling
from .calls import ANY, Call, Needs, UnknownOperationError, both, on, passing, tagging
from .policies import Check


def checks(call: Call) -> list[Check]:
    """What the caller of ``call`` must be allowed. Raises ``UnknownOperationError``."""
    needs = TABLE.get(f"{call.service}:{call.operation}")
    if needs is None:
        raise UnknownOperationError(
            f"the embedded AWS does not know which rights {call.service}:{call.operation} needs: "
            "add it to neuron_cdk/local/server/iam/operations.py"
        )
    return needs(call)


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


def _volumes(call: Call) -> list[Check]:
    """SageMaker makes a grant on the key of the volumes in the caller's name: "kms:CreateGrant (required only if the
    associated EndPointConfig has a KmsKeyId specified)" (SageMaker guide, "API Permissions: Actions, Permissions, and
    Resources Reference", CreateEndpoint). That UpdateEndpoint, which brings volumes, too, asks it as well is inferred.
    """
    key = resources.volume_key(call.request["EndpointConfigName"])
    return [keys.grant(key, via="sagemaker", region=call.region, account=call.account)] if key else []


_JOB = "processing-job/{ProcessingJobName}"
_SAGEMAKER = "sagemaker.amazonaws.com"

TABLE: dict[str, Needs] = {
    **{
        f"application-autoscaling:{name}": scaling.target
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
        f"autoscaling:{name}": scaling.group
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
    "cloudwatch:DeleteAlarms": scaling.alarms("AlarmNames"),
    "cloudwatch:DescribeAlarms": scaling.alarms("AlarmNames"),
    "cloudwatch:GetMetricData": ANY,
    "cloudwatch:GetMetricStatistics": ANY,
    "cloudwatch:PutMetricAlarm": scaling.alarms("AlarmName"),
    "cloudwatch:PutMetricData": scaling.metrics,
    "codebuild:BatchGetBuilds": on("project/{ProjectName}"),
    "codebuild:StartBuild": on("project/{projectName}"),
    "dynamodb:BatchGetItem": dynamodb.batch,
    "dynamodb:BatchWriteItem": dynamodb.batch,
    "dynamodb:DeleteItem": dynamodb.items("Key"),
    "dynamodb:GetItem": dynamodb.items("Key"),
    "dynamodb:PutItem": dynamodb.items("Item"),
    "dynamodb:Query": dynamodb.items("Key"),
    "dynamodb:Scan": dynamodb.items("Key"),
    "dynamodb:TransactGetItems": dynamodb.transaction,
    "dynamodb:TransactWriteItems": dynamodb.transaction,
    "dynamodb:UpdateItem": dynamodb.items("Key"),
    "ec2:CreateLaunchTemplateVersion": scaling.template,
    "ec2:DeleteLaunchTemplateVersions": scaling.template,
    "ec2:DescribeCapacityReservations": ANY,
    "ec2:DescribeImages": ANY,
    "ec2:DescribeInstances": ANY,
    "ec2:DescribeLaunchTemplateVersions": ANY,
    "ec2:DescribeLaunchTemplates": ANY,
    "ec2:ModifyLaunchTemplate": scaling.template,
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
        on("endpoint/{EndpointName}", "endpoint-config/{EndpointConfigName}"),
        tagging("endpoint/{EndpointName}"),
        _volumes,
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
    "sagemaker:UpdateEndpoint": both(on("endpoint/{EndpointName}", "endpoint-config/{EndpointConfigName}"), _volumes),
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
    "states:GetExecutionHistory": _execution,
    "states:ListExecutions": on("{stateMachineArn}"),
    "states:SendTaskFailure": ANY,
    "states:SendTaskHeartbeat": ANY,
    "states:SendTaskSuccess": ANY,
    "states:StartExecution": on("{stateMachineArn}"),
    "states:StopExecution": _execution,
    "sts:GetCallerIdentity": lambda _: [],  # "No permissions are required" (STS API reference)
}  # fmt: skip
