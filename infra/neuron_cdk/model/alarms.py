"""Alarms of the compile pipeline. They have no actions: whom they tell, and how, is each team's own."""

from __future__ import annotations

from collections.abc import Iterator

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from .metrics import metric

_QUARTER = Duration.minutes(15)


class PipelineAlarms(Construct):
    """What an operator should hear of. ``add_alarm_action`` of each, or iterate over all of them.

    A cache miss in production can mean two things, and there is an alarm for each:

    - a *deployment* finds no artifact and waits for a compile (``deploy_misses``). Where models are compiled ahead, by
      ``neuron-cdk models compile`` or from a watched prefix, that is a deployment that will take an hour instead of
      minutes. Where they are not, the first deployment of each model is one: subscribe to it only in the former case.
      Compiles that a person, a watched prefix or another artifact asked for do not count.
    - a *serving container* compiles (``runtime_misses``): a program it needs is not in its artifact, and requests wait
      for the compiler. Every quarter of an hour housekeeping looks for the line by which Neuron's PyTorch XLA stack
      says so in the logs of the endpoints in the registry. What it does not see: vLLM's containers are told to fail
      instead of compiling, which a deployment's smoke test, or the endpoint's own failure, shows; logs of EC2 fleets
      stay on the instances.

    Neither is made by a metric filter: SageMaker itself creates an endpoint's log group with the first line, so a
    template can neither attach a filter to it before nor create it where it is there already.
    """

    stuck_leases: cloudwatch.Alarm
    """A compile's lease ran out over an hour ago and nobody took it over: its holder died, and nobody asks any more.
    INSUFFICIENT_DATA means that housekeeping itself does not run."""
    failures: cloudwatch.Alarm
    """A compile ended without an artifact."""
    deploy_misses: cloudwatch.Alarm
    runtime_misses: cloudwatch.Alarm

    def __init__(self, scope: Construct, construct_id: str) -> None:
        super().__init__(scope, construct_id)
        self.stuck_leases = self._alarm(
            "StuckLease",
            metric("StuckLeases", "Maximum", period=_QUARTER),
            "A compile lease ran out over an hour ago and nobody took it over; neuron-cdk models list shows which",
            # The number comes with every run, 0 too: nothing at all is not the same as none.
            missing=cloudwatch.TreatMissingData.MISSING,
        )
        self.failures = self._alarm(
            "Failure",
            metric("Failures", "Sum"),
            "A model's compile ended without an artifact; neuron-cdk models show NAME says why",
        )
        self.deploy_misses = self._alarm(
            "DeployMiss",
            metric("DeployMisses", "Sum"),
            "A deployment found no artifact and waits for a compile; neuron-cdk models compile makes them ahead",
        )
        self.runtime_misses = self._alarm(
            "RuntimeMiss",
            metric("RuntimeMisses", "Maximum", period=_QUARTER),
            "A serving container runs the Neuron compiler: a program it needs is not in its artifact",
        )

    def __iter__(self) -> Iterator[cloudwatch.Alarm]:
        return iter((self.stuck_leases, self.failures, self.deploy_misses, self.runtime_misses))

    def _alarm(
        self,
        construct_id: str,
        of: cloudwatch.Metric,
        description: str,
        *,
        missing: cloudwatch.TreatMissingData = cloudwatch.TreatMissingData.NOT_BREACHING,
    ) -> cloudwatch.Alarm:
        return of.create_alarm(
            self,
            construct_id,
            threshold=1,
            evaluation_periods=1,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
            treat_missing_data=missing,
            alarm_description=description,
        )
