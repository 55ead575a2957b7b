"""Endpoints in the shapes the tests ask about, each a stack of its own."""

from __future__ import annotations

from collections.abc import Callable

from neuron_cdk import spec

SMOKE_TEST = {"smoke_test": {"request": {"inputs": "hello"}, "max_latency_ms": 2000}}


def endpoint_shapes(endpoint: Callable[..., None], model: Callable[..., spec.Model]) -> None:
    """``endpoint(name, model, types, **fields)`` for each."""
    inf2, trn1 = model("inf2", more=SMOKE_TEST), model("trn1")
    large = model("inf2", more={"size_gb": 40})
    concurrent = spec.EndpointScaling(metric="concurrent-requests", target=4)
    watched = spec.Rollout(max_error_rate=0.01, max_p99_ms=500)
    xlarge = ["ml.inf2.xlarge"]

    endpoint("inf2-endpoint", inf2, xlarge)
    endpoint("trn1-endpoint", trn1, ["ml.trn1.32xlarge"])
    endpoint("one-endpoint", inf2, xlarge, size=spec.Range(min=1, max=1))
    endpoint(
        "pools-endpoint",
        inf2,
        ["ml.inf2.xlarge", "ml.inf2.8xlarge", "ml.trn1.2xlarge"],
        others={"minilm-trn1": trn1},
        pool_models={"ml.trn1.2xlarge": "minilm-trn1"},
        provision_timeout_minutes=10,
        size=spec.Range(min=1, max=4),
        scaling=concurrent,
    )
    endpoint("rolling-endpoint", inf2, xlarge, rollout=watched, size=spec.Range(min=2, max=4), scaling=concurrent)
    endpoint(
        "canary-endpoint",
        inf2,
        xlarge,
        rollout=spec.Rollout(kind="canary", percent=20, wait_minutes=10, bake_minutes=15, alarms=("neuron-errors",)),
        hosting=spec.Hosting(volume_gb=100, download_timeout_s=300, startup_timeout_s=600),
    )
    endpoint(
        "linear-endpoint",
        inf2,
        xlarge,
        rollout=spec.Rollout(kind="linear", percent=25, wait_minutes=1, bake_minutes=2, max_minutes=60),
        reservation="arn:aws:sagemaker:us-east-1:111122223333:training-plan/serving",
    )
    endpoint(
        "steps-endpoint",
        large,
        xlarge,
        size=spec.Range(min=1, max=8),
        scaling=spec.EndpointScaling(
            metric="invocations-per-instance",
            target=600,
            steps=(spec.Step(above=0, add=1), spec.Step(above=300, add=3)),
        ),
        schedule=[spec.ScheduledSize(cron="0 8 ? * MON-FRI *", min=4, max=8)],
        capture=spec.Capture(percent=10, retention_days=7),
    )
    backlog = spec.EndpointScaling(metric="backlog", target=5)
    endpoint(
        "async-endpoint",
        inf2,
        xlarge,
        mode="async",
        size=spec.Range(min=1, max=4),
        scaling=backlog,
        async_inference=spec.AsyncInference(max_concurrent_per_instance=4, retention_days=7, responses_in_topic=True),
    )
    endpoint("sleeping-queue", inf2, xlarge, mode="async", size=spec.Range(min=0, max=4), scaling=backlog)
    endpoint(
        "components-endpoint",
        None,
        ["ml.inf2.24xlarge"],
        size=spec.Range(min=1, max=2),
        others={"minilm": inf2, "large": large},
        components=[
            spec.Component(model="minilm", copies=spec.Range(min=1, max=4), accelerators=1, memory_mib=4096),
            spec.Component(model="large", copies=spec.Range(min=1, max=1), accelerators=2, cpus=4, memory_mib=8192),
        ],
        scaling=concurrent,
        rollout=spec.Rollout(alarms=("neuron-errors",)),
    )
    endpoint(
        "sleeping-components",
        None,
        ["ml.inf2.8xlarge"],
        size=spec.Range(min=0, max=2),
        others={"minilm": inf2},
        components=[spec.Component(model="minilm", copies=spec.Range(min=0, max=2), accelerators=1, memory_mib=4096)],
        scaling=concurrent,
    )
    endpoint(
        "variants-endpoint",
        inf2,
        xlarge,
        weight=9,
        others={"large": large},
        variants={
            "candidate": spec.VariantSpec(
                model="large", instance_types=("ml.inf2.8xlarge",), size=spec.Range(min=1, max=1)
            )
        },
        size=spec.Range(min=2, max=4),
        scaling=concurrent,
        rollout=watched,
    )
    endpoint(
        "shadow-endpoint",
        inf2,
        xlarge,
        others={"large": large},
        shadow=spec.Shadow(model="large", percent=50, size=spec.Range(min=1, max=1)),
    )
