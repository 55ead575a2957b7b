"""Auto Scaling, Application Auto Scaling, launch templates, and CloudWatch's alarms and metrics.

What Application Auto Scaling does for SageMaker it does as a service-linked role; what it asks of whoever registers a
target or puts a policy is in "Identity-based policy examples for Application Auto Scaling" (its user guide), among them
the right to make that role, which an account needs once.
"""

from __future__ import annotations

import hashlib

from . import resources
from .calls import Call, Needs
from .policies import Check

_SERVICE = "sagemaker.application-autoscaling.amazonaws.com"
_LINKED = f"role/aws-service-role/{_SERVICE}/AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"
_SCALED = {
    "endpoint": ("DescribeEndpoint", "UpdateEndpointWeightsAndCapacities"),
    "inference-component": ("DescribeInferenceComponent", "UpdateInferenceComponentRuntimeConfig"),
}


def group(call: Call) -> list[Check]:
    """An action on one group, by its tags; a new launch template needs the right to launch from it, too."""
    arn, tags = resources.group(call.request["AutoScalingGroupName"])
    context: dict[str, str | list[str]] = {f"autoscaling:resourcetag/{name}".lower(): tag for name, tag in tags.items()}
    context |= {f"aws:resourcetag/{name}".lower(): tag for name, tag in tags.items()}
    return [call.check(call.arn(arn), **context), *_launching(call)]


def _launching(call: Call) -> list[Check]:
    """What whoever gives a group a launch template must be allowed ("Control Amazon EC2 launch template usage in Auto
    Scaling groups", EC2 Auto Scaling user guide): to run instances from it, to tag them, to pass their role.
    """
    wanted = call.request.get("DesiredConfiguration", call.request)
    mixed = wanted.get("MixedInstancesPolicy", {}).get("LaunchTemplate", {}).get("LaunchTemplateSpecification")
    template = wanted.get("LaunchTemplate") or mixed
    if not template:
        return []
    data, role = resources.launched(template)
    id_, _ = resources.launch_template(template)
    context = {"ec2:launchtemplate": call.arn(f"launch-template/{id_}", service="ec2")}
    made = [call.arn(f"{kind}/*", service="ec2") for kind in ("instance", "network-interface", "volume")]
    found = [Check("ec2:RunInstances", one, context) for one in [context["ec2:launchtemplate"], *made]]
    for tags in data.get("TagSpecifications", []):
        tagged = call.arn(f"{tags['ResourceType']}/*", service="ec2")
        found.append(Check("ec2:CreateTags", tagged, {"ec2:createaction": "RunInstances"}))
    if role:
        found.append(Check("iam:PassRole", role, {"iam:passedtoservice": "ec2.amazonaws.com"}))
    return found


def target(call: Call) -> list[Check]:
    """Application Auto Scaling: a scalable target, whose id nobody knows, by its namespace and dimension."""
    request = call.request
    named = "/".join(request[name] for name in ("ServiceNamespace", "ResourceId", "ScalableDimension"))
    id_ = hashlib.sha256(named.encode()).hexdigest()[:32]
    context = {
        "application-autoscaling:service-namespace": request["ServiceNamespace"],
        "application-autoscaling:scalable-dimension": request["ScalableDimension"],
    }
    own = Check(f"application-autoscaling:{call.operation}", call.arn(f"scalable-target/{id_}"), context)
    return [own, *_behind(call)]


def _behind(call: Call) -> list[Check]:
    """What is asked beside the action itself of whoever scales something of SageMaker's."""
    request = call.request
    if request["ServiceNamespace"] != "sagemaker":
        return []
    scaled = str(request["ResourceId"])
    if call.operation == "RegisterScalableTarget":
        linked = f"arn:aws:iam::{call.account}:{_LINKED}"
        kind, name = scaled.split("/")[:2]
        arn = call.arn(f"{kind}/{name}", service="sagemaker")
        return [
            *(Check(f"sagemaker:{operation}", arn) for operation in _SCALED[kind]),
            Check("iam:CreateServiceLinkedRole", linked, {"iam:awsservicename": _SERVICE}),
        ]
    if request.get("PolicyType") == "TargetTrackingScaling":
        # It makes alarms by names of its own, in the caller's name.
        alarm = call.arn(f"alarm:TargetTracking-{scaled}-AlarmHigh-{'0' * 8}", service="cloudwatch")
        return [Check(f"cloudwatch:{operation}", alarm) for operation in ("PutMetricAlarm", "DescribeAlarms")]
    return []


def alarms(member: str) -> Needs:
    def needs(call: Call) -> list[Check]:
        names = call.request.get(member) or []
        names = names if isinstance(names, list) else [names]
        return [call.check(call.arn(f"alarm:{name}")) for name in names] or [call.check(call.arn("alarm:*"))]

    return needs


def metrics(call: Call) -> list[Check]:
    return [call.check("*", **{"cloudwatch:namespace": call.request.get("Namespace", "")})]


def template(call: Call) -> list[Check]:
    id_, tags = resources.launch_template(dict(call.request))
    context: dict[str, str | list[str]] = {
        f"{kind}:resourcetag/{name}".lower(): tag for name, tag in tags.items() for kind in ("ec2", "aws")
    }
    return [call.check(call.arn(f"launch-template/{id_}"), **context)]
