"""Instances that have booted, hold the artifact, and wait stopped."""

from __future__ import annotations

from aws_cdk import aws_autoscaling as autoscaling
from constructs import Construct


def warm_pool(scope: Construct, group: autoscaling.CfnAutoScalingGroup, *, size: int) -> autoscaling.CfnWarmPool:
    """``size`` stopped instances behind a group: only their volumes cost, and a start takes the boot and the load.

    They run the launch hook's checks on their way in, with the artifact on EBS, and again when they are started.
    Auto Scaling refuses warm pools for mixed instance types and spot, and a stopped instance loses its local disks.
    """
    return autoscaling.CfnWarmPool(
        scope,
        "WarmPool",
        auto_scaling_group_name=group.ref,
        # The same twice makes the size absolute (API reference, PutWarmPool).
        min_size=size,
        max_group_prepared_capacity=size,
        pool_state="Stopped",
        instance_reuse_policy={"reuseOnScaleIn": False},
    )
