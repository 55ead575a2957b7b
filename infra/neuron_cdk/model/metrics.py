"""What the hooks of models measure, as metrics of the CDK (``neuron_hooks.model_events`` has the same names)."""

from __future__ import annotations

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch

NAMESPACE = "NeuronCdk/Models"


class ModelMetrics:
    """The ``metric_*`` methods of a pipeline: of one model, or of all where none is named."""

    def metric_hits(self, model: str | None = None) -> cloudwatch.Metric:
        """``Hits``: requests that found their artifact ready, a sum."""
        return metric("Hits", "Sum", model)

    def metric_misses(self, model: str | None = None) -> cloudwatch.Metric:
        """``Misses``: requests that found none, so that one is compiled, a sum."""
        return metric("Misses", "Sum", model)

    def metric_hit_rate(self, model: str | None = None) -> cloudwatch.MathExpression:
        """Hits of all requests, 0 to 1; no data where nobody asked."""
        return cloudwatch.MathExpression(
            # A sum without data in a period would leave the whole expression without.
            expression="FILL(hits, 0) / (FILL(hits, 0) + FILL(misses, 0))",
            using_metrics={"hits": metric("Hits", "Sum", model), "misses": metric("Misses", "Sum", model)},
            label="Hit rate",
            period=Duration.minutes(5),
        )

    def metric_deploy_misses(self, model: str | None = None) -> cloudwatch.Metric:
        """``DeployMisses``: deployments that had to wait for a compile, a sum."""
        return metric("DeployMisses", "Sum", model)

    def metric_failures(self, model: str | None = None) -> cloudwatch.Metric:
        """``Failures``: attempts that ended without an artifact, a sum."""
        return metric("Failures", "Sum", model)

    def metric_remembered_failures(self, model: str | None = None) -> cloudwatch.Metric:
        """``RememberedFailures``: requests that were answered with an earlier failure, a sum."""
        return metric("RememberedFailures", "Sum", model)

    def metric_compile_minutes(self, model: str | None = None) -> cloudwatch.Metric:
        """``CompileMinutes``: time that compiles took, failed ones where it is known, a sum."""
        return metric("CompileMinutes", "Sum", model)

    def metric_compile_usd(self, model: str | None = None) -> cloudwatch.Metric:
        """``CompileUsd``: what compiles cost by the catalogue's prices, a sum; those without a price are not in it."""
        return metric("CompileUsd", "Sum", model)

    def metric_verification_max_error(self, model: str | None = None) -> cloudwatch.Metric:
        """``VerificationMaxError``: the greatest difference from golden outputs that was seen, a maximum."""
        return metric("VerificationMaxError", "Maximum", model)

    def metric_released(self, model: str | None = None) -> cloudwatch.Metric:
        """``Released``: releases that ended well, a sum."""
        return metric("Released", "Sum", model)

    def metric_rolled_back(self, model: str | None = None) -> cloudwatch.Metric:
        """``RolledBack``: releases that were taken back, a sum."""
        return metric("RolledBack", "Sum", model)

    def metric_stuck_leases(self) -> cloudwatch.Metric:
        """``StuckLeases``: leases that ran out over an hour ago and nobody took over, a maximum; every 15 minutes."""
        return metric("StuckLeases", "Maximum", period=Duration.minutes(15))

    def metric_runtime_misses(self) -> cloudwatch.Metric:
        """``RuntimeMisses``: compiler runs in serving endpoints within the last 20 minutes, a maximum."""
        return metric("RuntimeMisses", "Maximum", period=Duration.minutes(15))


def metric(name: str, statistic: str, model: str | None = None, *, period: Duration | None = None) -> cloudwatch.Metric:
    """One of the metrics, of a model or of all."""
    return cloudwatch.Metric(
        namespace=NAMESPACE,
        metric_name=name,
        statistic=statistic,
        dimensions_map={"Model": model} if model else None,
        period=period or Duration.minutes(5),
    )
