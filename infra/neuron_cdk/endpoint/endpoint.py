"""A SageMaker endpoint on Neuron hosts, from a compiled model."""

from __future__ import annotations

from aws_cdk import Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

from ..catalog import instances, software
from ..model import CompiledModel
from ..network.security_groups import client_security_group
from ..network.shape import Vpc
from ..roles import sagemaker_role

VARIANT = "Main"


class NeuronEndpoint(Construct):
    """Model, configuration and endpoint for one compiled model, private and encrypted.

    - The container gets the artifact uncompressed from S3 and no network (isolation): what is not in the artifact or in
      the image is not there, so nothing can be compiled or fetched at start-up.
    - ``InferenceAmiVersion`` is set wherever SageMaker has a Neuron host image (Inferentia2, Trainium): the default
      host carries a driver too old for any current container.
    - No physical names: a changed model or configuration is a new one, and the endpoint moves over.

    :param instance_type: a SageMaker name, ``ml.inf2.xlarge``. Its chip must be the one the model was compiled for.
    :param instances: how many, always on.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        model: CompiledModel,
        instance_type: str,
        vpc: Vpc,
        key: kms.IKey,
        instance_count: int = 1,
    ) -> None:
        super().__init__(scope, construct_id)
        host = instances.from_sagemaker(instance_type)
        if host.target != model.target:
            raise ValueError(
                f"model {model.name!r} is compiled for {model.target}, and {instance_type} runs {host.target}: "
                f"compile it for {host.target} or take an instance type of {model.target}"
            )
        stack = Stack.of(self)
        image = software.resolve(
            target=model.target, engine=model.engine, service="endpoint", region=stack.region, sdk=model.sdk
        ).image
        group = client_security_group(
            self, "SecurityGroup", vpc=vpc, description="Serving containers: TLS to AWS, nothing in"
        )
        self.role = sagemaker_role(
            self,
            "Role",
            vpc=vpc,
            security_group_id=group.attr_group_id,
            key=key,
            log_group="/aws/sagemaker/Endpoints/",
            image=image,
            allow=model.pipeline.store.read_artifact(model.artifact_key),
        )
        served = sagemaker.CfnModel(
            self,
            "Model",
            execution_role_arn=self.role.role_arn,
            enable_network_isolation=True,
            primary_container={
                "image": image,
                "modelDataSource": {
                    "s3DataSource": {
                        "s3Uri": model.artifact_uri,
                        "s3DataType": "S3Prefix",
                        "compressionType": "None",
                    }
                },
            },
            vpc_config={
                "subnets": [subnet.subnet_id for subnet in vpc.private_subnets],
                "securityGroupIds": [group.attr_group_id],
            },
        )
        variant = {
            "variantName": VARIANT,
            "modelName": served.attr_model_name,
            "instanceType": instance_type,
            "initialInstanceCount": instance_count,
            "initialVariantWeight": 1,
            # The API allows an hour each; a Neuron artifact is loaded, never built, so half of it is generous.
            "modelDataDownloadTimeoutInSeconds": 1800,
            "containerStartupHealthCheckTimeoutInSeconds": 1800,
        }
        ami = software.inference_ami_version(model.target)
        if ami:
            variant["inferenceAmiVersion"] = ami
        configuration = sagemaker.CfnEndpointConfig(
            self,
            "Configuration",
            production_variants=[variant],
            # Types with local disks encrypt those in hardware and refuse a key.
            kms_key_id=None if host.local_disk_gb else key.key_arn,
        )
        self.resource = sagemaker.CfnEndpoint(
            self, "Resource", endpoint_config_name=configuration.attr_endpoint_config_name
        )
        self.endpoint_name = self.resource.attr_endpoint_name
        self.endpoint_arn = self.resource.ref

    def grant_invoke(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let a principal call ``sagemaker-runtime:InvokeEndpoint`` on this endpoint."""
        return iam.Grant.add_to_principal(
            grantee=grantee, actions=["sagemaker:InvokeEndpoint"], resource_arns=[self.endpoint_arn]
        )

    def metric_model_latency(self) -> cloudwatch.Metric:
        """``ModelLatency``, 99th percentile: the container's answer time, in microseconds."""
        return self._metric("ModelLatency", "p99")

    def metric_invocations(self) -> cloudwatch.Metric:
        """``Invocations``: requests sent to the endpoint, a sum."""
        return self._metric("Invocations", "Sum")

    def metric_server_errors(self) -> cloudwatch.Metric:
        """``Invocation5XXErrors``: requests the container or SageMaker failed, a sum."""
        return self._metric("Invocation5XXErrors", "Sum")

    def _metric(self, name: str, statistic: str) -> cloudwatch.Metric:
        return cloudwatch.Metric(
            namespace="AWS/SageMaker",
            metric_name=name,
            statistic=statistic,
            dimensions_map={"EndpointName": self.endpoint_name, "VariantName": VARIANT},
        )
