"""How callers inside the VPC reach the model servers of a fleet."""

from __future__ import annotations

from typing import Any, Literal

from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_elasticloadbalancingv2 as elb
from constructs import Construct

from ..model import ArtifactStore
from ..network.shape import Vpc
from .user_data import ModelServer

_TLS_POLICY = "ELBSecurityPolicy-TLS13-1-2-2021-06"


class FleetLoadBalancer(Construct):
    """An internal load balancer with one listener, and a security group that makes whoever has it a client.

    Nobody else gets in: the listener's port is open to members of ``client_security_group_id``, the servers' ports to
    the load balancer. With ``certificate`` the listener speaks TLS (1.2 and 1.3), otherwise plain HTTP or TCP inside
    the VPC. Access logs go to the store's log bucket.

    Targets come from the fleet's Auto Scaling groups, after an instance has said that its model is warm.

    :param security_group_id: of the instances; their ports are opened to the load balancer.
    :param kind: ``application`` counts requests, which scaling can follow; ``network`` passes connections through.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        vpc: Vpc,
        store: ArtifactStore,
        server: ModelServer,
        security_group_id: str,
        kind: Literal["application", "network"] = "application",
        certificate: str | None = None,
    ) -> None:
        super().__init__(scope, construct_id)
        subnets = [subnet.subnet_id for subnet in vpc.private_subnets]
        self.kind = kind
        self.port = 443 if certificate else 80
        group = self._groups(vpc, server, security_group_id)
        balancer = elb.CfnLoadBalancer(
            self,
            "Resource",
            type=kind,
            scheme="internal",
            subnets=subnets,
            security_groups=[group],
            load_balancer_attributes=[{"key": key, "value": value} for key, value in self._attributes(store).items()],
        )
        targets = elb.CfnTargetGroup(
            self,
            "Targets",
            vpc_id=vpc.vpc_id,
            target_type="instance",
            protocol="HTTP" if kind == "application" else "TCP",
            port=server.port,
            health_check_protocol="HTTP",
            health_check_port=str(server.health_port),
            health_check_path=server.health_path,
            health_check_interval_seconds=10,
            healthy_threshold_count=2,
            unhealthy_threshold_count=3,
            target_group_attributes=[
                {"key": key, "value": value} for key, value in _leaving(kind, min(server.drain_seconds, 3600)).items()
            ],
        )
        listener: dict[str, Any] = {"protocol": "HTTP" if kind == "application" else "TCP"}
        if certificate:
            listener = {
                "protocol": "HTTPS" if kind == "application" else "TLS",
                "certificates": [{"certificateArn": certificate}],
                "ssl_policy": _TLS_POLICY,
            }
        self.listener = elb.CfnListener(
            self,
            "Listener",
            load_balancer_arn=balancer.ref,
            port=self.port,
            default_actions=[{"type": "forward", "targetGroupArn": targets.ref}],
            **listener,
        )
        self.target_group_arn = targets.ref
        self.target_group_name = targets.attr_target_group_full_name
        self.load_balancer_name = balancer.attr_load_balancer_full_name
        self.dns_name = balancer.attr_dns_name

    @property
    def url(self) -> str:
        """Where the models answer ``/invocations``."""
        return f"{'https' if self.port == 443 else 'http'}://{self.dns_name}"

    def _groups(self, vpc: Vpc, server: ModelServer, instances: str) -> str:
        """The load balancer's security group, and the one that makes a client.

        What goes out stands in the groups themselves, since a group without such a rule lets everything out; what comes
        in are resources of their own, since two groups cannot name each other.
        """

        def ports(first: int, last: int) -> dict[str, Any]:
            return {"ip_protocol": "tcp", "from_port": first, "to_port": last}

        served, called = ports(server.port, server.health_port), ports(self.port, self.port)
        group = ec2.CfnSecurityGroup(
            self,
            "SecurityGroup",
            vpc_id=vpc.vpc_id,
            group_description="Load balancer: clients in, model servers out",
            security_group_egress=[
                ec2.CfnSecurityGroup.EgressProperty(
                    **served, destination_security_group_id=instances, description="requests and health"
                )
            ],
        ).attr_group_id
        self.client_security_group_id = ec2.CfnSecurityGroup(
            self,
            "Clients",
            vpc_id=vpc.vpc_id,
            group_description="Members may call the models of the fleet",
            security_group_egress=[
                ec2.CfnSecurityGroup.EgressProperty(
                    **called, destination_security_group_id=group, description="to the models"
                )
            ],
        ).attr_group_id
        ec2.CfnSecurityGroupIngress(
            self,
            "FromClients",
            group_id=group,
            source_security_group_id=self.client_security_group_id,
            description="clients",
            **called,
        )
        ec2.CfnSecurityGroupIngress(
            self,
            "ToServers",
            group_id=instances,
            source_security_group_id=group,
            description="requests and health from the load balancer",
            **served,
        )
        return group

    def unhealthy_alarm(self) -> cloudwatch.CfnAlarm:
        """In alarm when an instance in service does not answer for three minutes: what stops a replacement."""
        namespace = "AWS/ApplicationELB" if self.kind == "application" else "AWS/NetworkELB"
        dimensions = {"TargetGroup": self.target_group_name, "LoadBalancer": self.load_balancer_name}
        return cloudwatch.CfnAlarm(
            self,
            "Unhealthy",
            alarm_description="A model server that is in service does not answer",
            namespace=namespace,
            metric_name="UnHealthyHostCount",
            dimensions=[{"name": name, "value": value} for name, value in dimensions.items()],
            statistic="Maximum",
            period=60,
            evaluation_periods=3,
            threshold=1,
            comparison_operator="GreaterThanOrEqualToThreshold",
            treat_missing_data="notBreaching",
        )

    def _attributes(self, store: ArtifactStore) -> dict[str, str]:
        """Both kinds log to the bucket; the network kind does so for TLS listeners only (its own rule)."""
        attributes = {
            "access_logs.s3.enabled": "true",
            "access_logs.s3.bucket": store.access_log.bucket_name,
            "access_logs.s3.prefix": store.keep_load_balancer_logs(),
            "deletion_protection.enabled": "false",
        }
        if self.kind == "application":
            attributes["routing.http.drop_invalid_header_fields.enabled"] = "true"
        return attributes


def _leaving(kind: str, seconds: int) -> dict[str, str]:
    """How targets are let go: an instance that drains answers its health check with 503 and finishes what it has."""
    attributes = {"deregistration_delay.timeout_seconds": str(seconds)}
    if kind == "network":  # it would cut the connections of a target as soon as that is unhealthy
        attributes["target_health_state.unhealthy.connection_termination.enabled"] = "false"
        attributes["target_health_state.unhealthy.draining_interval_seconds"] = str(seconds)
    return attributes
