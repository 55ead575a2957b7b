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
        kind: Literal["application", "network"] = "application",
        certificate: str | None = None,
    ) -> None:
        super().__init__(scope, construct_id)
        subnets = [subnet.subnet_id for subnet in vpc.private_subnets]
        self.kind = kind
        self._server = server
        self.port = 443 if certificate else 80
        clients = ec2.CfnSecurityGroup(
            self, "Clients", vpc_id=vpc.vpc_id, group_description="Members may call the models of the fleet"
        )
        self._group = ec2.CfnSecurityGroup(
            self,
            "SecurityGroup",
            vpc_id=vpc.vpc_id,
            group_description="Load balancer: clients in, model servers out",
            security_group_ingress=[
                {
                    "ipProtocol": "tcp",
                    "fromPort": self.port,
                    "toPort": self.port,
                    "sourceSecurityGroupId": clients.attr_group_id,
                    "description": "clients",
                }
            ],
        )
        self.client_security_group_id = clients.attr_group_id
        ec2.CfnSecurityGroupEgress(
            self,
            "ClientsOut",
            group_id=clients.attr_group_id,
            ip_protocol="tcp",
            from_port=self.port,
            to_port=self.port,
            destination_security_group_id=self._group.attr_group_id,
            description="to the models",
        )
        balancer = elb.CfnLoadBalancer(
            self,
            "Resource",
            type=kind,
            scheme="internal",
            subnets=subnets,
            security_groups=[self._group.attr_group_id],
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
                # A request to a model may take a minute; the instance itself drains in the same time.
                {"key": "deregistration_delay.timeout_seconds", "value": str(min(server.drain_seconds, 3600))},
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

    def let_reach(self, security_group_id: str) -> None:
        """Open the servers' ports of the fleet's instances to the load balancer."""
        for name, port in {"Requests": self._server.port, "Health": self._server.health_port}.items():
            rule = {"ip_protocol": "tcp", "from_port": port, "to_port": port}
            ec2.CfnSecurityGroupIngress(
                self,
                f"{name}In",
                group_id=security_group_id,
                source_security_group_id=self._group.attr_group_id,
                description=f"{name.lower()} from the load balancer",
                **rule,
            )
            ec2.CfnSecurityGroupEgress(
                self,
                f"{name}Out",
                group_id=self._group.attr_group_id,
                destination_security_group_id=security_group_id,
                description=f"{name.lower()} to the instances",
                **rule,
            )

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
