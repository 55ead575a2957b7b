"""What a fleet's size follows: the metric, and the policy of a fleet that Auto Scaling itself can size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from aws_cdk import aws_autoscaling as autoscaling
from constructs import Construct

from .. import spec
from . import neuron_metrics
from .load_balancer import FleetLoadBalancer


@dataclass(frozen=True)
class Query:
    """One CloudWatch metric: what is read a minute."""

    namespace: str
    metric: str
    dimensions: dict[str, str]
    statistic: str

    def to_json(self) -> dict[str, Any]:
        """As the controller reads it, in CloudWatch's own words."""
        return {
            "Namespace": self.namespace,
            "MetricName": self.metric,
            "Dimensions": [{"Name": name, "Value": value} for name, value in self.dimensions.items()],
            "Stat": self.statistic,
        }


def query(scaling: spec.FleetScaling, fleet: str, balancer: FleetLoadBalancer | None) -> Query:
    """The metric that a fleet's scaling follows.

    - ``neuroncore-utilization``: what the instances publish, percent, the mean over the fleet.
    - ``requests-per-target``: what the load balancer counts, a minute and instance. Network load balancers count flows,
      not requests, so only an application load balancer has it.
    - ``queue-depth``: messages that wait, all of them; the target says how many an instance is given.
    """
    if scaling.metric == "neuroncore-utilization":
        return Query(neuron_metrics.NAMESPACE, neuron_metrics.METRIC, {"Fleet": fleet}, "Average")
    if scaling.metric == "queue-depth":
        name = str(scaling.queue).rpartition(":")[2]
        return Query("AWS/SQS", "ApproximateNumberOfMessagesVisible", {"QueueName": name}, "Maximum")
    assert balancer is not None  # the fleet's rules ask for one that counts requests
    dimensions = {"TargetGroup": balancer.target_group_name, "LoadBalancer": balancer.load_balancer_name}
    return Query("AWS/ApplicationELB", "RequestCountPerTarget", dimensions, "Sum")


def track_natively(
    scope: Construct,
    group: autoscaling.CfnAutoScalingGroup,
    scaling: spec.FleetScaling,
    followed: Query,
    balancer: FleetLoadBalancer | None,
) -> None:
    """A target-tracking policy on the one group of a fleet that has one pool."""
    tracked: dict[str, Any]
    if scaling.metric == "requests-per-target" and balancer:
        label = f"{balancer.load_balancer_name}/{balancer.target_group_name}"
        tracked = {
            "predefinedMetricSpecification": {
                "predefinedMetricType": "ALBRequestCountPerTarget",
                "resourceLabel": label,
            }
        }
    else:
        tracked = {
            "customizedMetricSpecification": {
                "namespace": followed.namespace,
                "metricName": followed.metric,
                "dimensions": [{"name": name, "value": value} for name, value in followed.dimensions.items()],
                "statistic": followed.statistic,
                "unit": "Percent",
            }
        }
    autoscaling.CfnScalingPolicy(
        scope,
        "Scaling",
        auto_scaling_group_name=group.ref,
        policy_type="TargetTrackingScaling",
        estimated_instance_warmup=scaling.scale_out_cooldown_s,
        target_tracking_configuration={"targetValue": scaling.target, **tracked},
    )
