"""Training clusters: what runs them, and what they share."""

from __future__ import annotations

from collections.abc import Iterator

from neuron_cdk.catalog import instances

from ..deployment import Deployment
from ..findings import Problem
from ..hosts import instance
from .common import some


def clusters_are_possible(deployment: Deployment) -> Iterator[Problem]:
    for name, cluster in deployment.training_clusters.items():
        at = ("training_clusters", name)
        host = instance(cluster.instance_type)
        if cluster.engine == "hyperpod" and host and "cluster" not in host.sagemaker_services:
            able = [each.name for each in instances.all_types() if "cluster" in each.sagemaker_services]
            yield Problem("NCDK-CLUSTER-001", (*at, "instance_type"), f"HyperPod does not run {host.name}", some(able))
        size = cluster.storage.fsx_lustre_gib if cluster.storage else None
        if size is not None and size != 1200 and size % 2400:
            yield Problem(
                "NCDK-CLUSTER-002",
                (*at, "storage", "fsx_lustre_gib"),
                "FSx for Lustre comes in other sizes",
                "1200, 2400 and multiples of 2400",
            )
