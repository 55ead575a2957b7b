"""What SageMaker tells of an endpoint: namespaces, dimensions, units.

Source: SageMaker guide, *Amazon SageMaker AI metrics in Amazon CloudWatch*, and for queues *Monitor an asynchronous
endpoint*.
"""

from __future__ import annotations

from collections.abc import Mapping

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch

from ..spec import MAIN

NAMESPACE = "AWS/SageMaker"


class InvocationMetrics:
    """Requests and their times. Counts are sums over a period; times are in microseconds, their 99th percentile."""

    def __init__(self, dimensions: Mapping[str, str], *, concurrency: str) -> None:
        self._dimensions = dict(dimensions)
        self._concurrency = concurrency

    def invocations(self) -> cloudwatch.Metric:
        """``Invocations``: requests, a sum."""
        return self._metric("Invocations", "Sum")

    def client_errors(self) -> cloudwatch.Metric:
        """``Invocation4XXErrors``: requests answered with 4xx, a sum."""
        return self._metric("Invocation4XXErrors", "Sum")

    def server_errors(self) -> cloudwatch.Metric:
        """``Invocation5XXErrors``: requests the container or SageMaker failed, a sum."""
        return self._metric("Invocation5XXErrors", "Sum")

    def model_latency(self) -> cloudwatch.Metric:
        """``ModelLatency``, 99th percentile: the container's answer time, in microseconds."""
        return self._metric("ModelLatency", "p99")

    def overhead_latency(self) -> cloudwatch.Metric:
        """``OverheadLatency``, 99th percentile: what SageMaker adds to it, in microseconds."""
        return self._metric("OverheadLatency", "p99")

    def concurrent_requests(self) -> cloudwatch.Metric:
        """``ConcurrentRequestsPerModel`` or ``…PerCopy``: requests at once, the maximum of each ten seconds."""
        return self._metric(self._concurrency, "Maximum", Duration.seconds(10))

    def _metric(self, name: str, statistic: str, period: Duration | None = None) -> cloudwatch.Metric:
        return cloudwatch.Metric(
            namespace=NAMESPACE,
            metric_name=name,
            statistic=statistic,
            dimensions_map=self._dimensions,
            period=period or Duration.minutes(1),
        )


class EndpointMetrics:
    """The ``metric_*`` methods of an endpoint."""

    endpoint_name: str

    def metric_invocations(self, variant: str = MAIN) -> cloudwatch.Metric:
        """``Invocations``: requests sent to a variant, a sum."""
        return self._of(variant).invocations()

    def metric_client_errors(self, variant: str = MAIN) -> cloudwatch.Metric:
        """``Invocation4XXErrors``: requests answered with 4xx, a sum."""
        return self._of(variant).client_errors()

    def metric_server_errors(self, variant: str = MAIN) -> cloudwatch.Metric:
        """``Invocation5XXErrors``: requests the container or SageMaker failed, a sum."""
        return self._of(variant).server_errors()

    def metric_model_latency(self, variant: str = MAIN) -> cloudwatch.Metric:
        """``ModelLatency``, 99th percentile: the container's answer time, in microseconds."""
        return self._of(variant).model_latency()

    def metric_overhead_latency(self, variant: str = MAIN) -> cloudwatch.Metric:
        """``OverheadLatency``, 99th percentile: what SageMaker adds to it, in microseconds."""
        return self._of(variant).overhead_latency()

    def metric_concurrent_requests(self, variant: str = MAIN) -> cloudwatch.Metric:
        """``ConcurrentRequestsPerModel``: requests that a variant works on at once, the maximum of each ten seconds."""
        return self._of(variant).concurrent_requests()

    def metric_backlog_size(self) -> cloudwatch.Metric:
        """``ApproximateBacklogSize``: requests of an asynchronous endpoint that wait or are worked on, the maximum."""
        return self._queue("ApproximateBacklogSize", "Maximum")

    def metric_backlog_size_per_instance(self) -> cloudwatch.Metric:
        """``ApproximateBacklogSizePerInstance``: the same by instance, a mean; no data while there is no instance."""
        return self._queue("ApproximateBacklogSizePerInstance", "Average")

    def _of(self, variant: str) -> InvocationMetrics:
        return InvocationMetrics(
            {"EndpointName": self.endpoint_name, "VariantName": variant}, concurrency="ConcurrentRequestsPerModel"
        )

    def _queue(self, name: str, statistic: str) -> cloudwatch.Metric:
        return cloudwatch.Metric(
            namespace=NAMESPACE,
            metric_name=name,
            statistic=statistic,
            dimensions_map={"EndpointName": self.endpoint_name},
            period=Duration.minutes(1),
        )
