"""A repository of its own that uses the constructs: one model on an endpoint, one fleet to train on."""

from aws_cdk import App, Environment, Stack
from constructs import Construct

from neuron_cdk import (
    ArtifactStore,
    CompiledModel,
    CompilePipeline,
    NeuronEndpoint,
    NeuronFleet,
    NeuronNetwork,
    spec,
)


class RankingStack(Stack):
    """Everything in one stack, which is enough to begin with."""

    def __init__(self, scope: Construct, construct_id: str, *, env: Environment) -> None:
        super().__init__(scope, construct_id, env=env)
        store = ArtifactStore(self, "Store")
        # Any ec2.IVpc with private subnets will do; this one names its zones by id, as accelerators are sold.
        vpc = NeuronNetwork(
            self, "Network", cidr="10.60.0.0/16", zones=["use1-az4", "use1-az5"], egress="nat", key=store.key
        ).vpc

        pipeline = CompilePipeline(self, "Pipeline", store=store, vpc=vpc)
        ranker = CompiledModel(
            self,
            "Ranker",
            pipeline=pipeline,
            name="ranker",
            model=spec.Model.model_validate(
                {  # the fields of a deployment file
                    "source": {"s3": "s3://example-models/ranker/"},
                    "task": "text-ranking",
                    "compile": {"engine": "torch-neuronx", "target": "inf2", "sequence_lengths": [128]},
                }
            ),
        )
        endpoint = NeuronEndpoint(
            self,
            "Endpoint",
            vpc=vpc,
            store=store,
            model=ranker,
            instance_types=["ml.inf2.xlarge"],
            size=spec.Range(min=2, max=6),  # two and more are updated in batches
            scaling=spec.EndpointScaling(metric="concurrent-requests", target=4),
            rollout=spec.Rollout(max_error_rate=0.01),  # what fails more often is sent back
        )
        endpoint.metric_model_latency().create_alarm(
            self, "Slow", threshold=50_000, evaluation_periods=5, alarm_description="p99 above 50 ms"
        )

        NeuronFleet(
            self,
            "Training",
            vpc=vpc,
            store=store,
            purpose="training",
            instance_types=["trn1.32xlarge"],  # eight EFA interfaces, a cluster placement group, one zone
            zones=["use1-az5"],
            size=spec.Size(min=0, max=4),
            capacity=[spec.Spot(kind="spot"), spec.OnDemand(kind="on-demand")],  # whole in one of them
        )


app = App()
RankingStack(app, "Ranking", env=Environment(account="111122223333", region="us-east-1"))
app.synth()
