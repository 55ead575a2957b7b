"""How the models of a fleet are reached: load balancer, health, TLS, who may call."""

from __future__ import annotations

import pytest

from neuron_cdk import CompiledModel, NeuronFleet, NeuronNetwork, spec

SERVING = ["serving", "serving-tls"]


@pytest.mark.parametrize("name", SERVING)
def test_the_load_balancer_is_internal_and_logs(name, only):
    balancer = only(name, "AWS::ElasticLoadBalancingV2::LoadBalancer")
    assert balancer["Scheme"] == "internal"
    attributes = {one["Key"]: one["Value"] for one in balancer["LoadBalancerAttributes"]}
    assert attributes["access_logs.s3.enabled"] == "true"


def test_requests_are_counted_by_an_application_load_balancer(only):
    assert only("serving", "AWS::ElasticLoadBalancingV2::LoadBalancer")["Type"] == "application"
    assert only("serving", "AWS::ElasticLoadBalancingV2::TargetGroup")["Protocol"] == "HTTP"


def test_with_a_certificate_the_listener_speaks_modern_tls_only(only):
    listener = only("serving-tls", "AWS::ElasticLoadBalancingV2::Listener")
    assert (listener["Protocol"], listener["Port"]) == ("TLS", 443)
    assert listener["SslPolicy"].startswith("ELBSecurityPolicy-TLS13")
    assert listener["Certificates"][0]["CertificateArn"].startswith("arn:aws:acm:us-east-1:111122223333:certificate/")


@pytest.mark.parametrize("name", SERVING)
def test_health_is_asked_over_http_of_the_instance_itself(name, only):
    targets = only(name, "AWS::ElasticLoadBalancingV2::TargetGroup")
    assert targets["HealthCheckProtocol"] == "HTTP"
    assert targets["TargetType"] == "instance"


def attributes(targets) -> dict[str, str]:
    return {one["Key"]: one["Value"] for one in targets["TargetGroupAttributes"]}


@pytest.mark.parametrize(("name", "seconds"), [("serving", "300"), ("serving-tls", "600")])
def test_a_leaving_instance_may_finish_its_requests(name, seconds, only):
    targets = attributes(only(name, "AWS::ElasticLoadBalancingV2::TargetGroup"))
    assert targets["deregistration_delay.timeout_seconds"] == seconds


def test_a_network_load_balancer_does_not_cut_what_a_draining_instance_still_answers(only):
    targets = attributes(only("serving-tls", "AWS::ElasticLoadBalancingV2::TargetGroup"))
    assert targets["target_health_state.unhealthy.connection_termination.enabled"] == "false"
    assert targets["target_health_state.unhealthy.draining_interval_seconds"] == "600"


@pytest.mark.parametrize("name", SERVING)
def test_the_groups_register_their_instances_and_ask_the_load_balancer_for_their_health(name, groups, template):
    (targets,) = template(name).find_resources("AWS::ElasticLoadBalancingV2::TargetGroup")
    for group in groups(name).values():
        assert group["TargetGroupARNs"] == [{"Ref": targets}]
        assert group["HealthCheckType"] == "ELB"


def ends(rule) -> tuple[str, str, int, int]:
    """From which group to which, on which ports."""
    source, group = rule["SourceSecurityGroupId"]["Fn::GetAtt"][0], rule["GroupId"]["Fn::GetAtt"][0]
    return source, group, rule["FromPort"], rule["ToPort"]


@pytest.mark.parametrize(("name", "port"), [("serving", 80), ("serving-tls", 443)])
def test_clients_reach_the_load_balancer_it_the_servers_and_nobody_else_anybody(name, port, resources):
    groups = resources(name, "AWS::EC2::SecurityGroup")
    (clients,) = (key for key in groups if "Clients" in key)
    (balancer,) = (key for key in groups if "LoadBalancerSecurityGroup" in key)
    (instances,) = set(groups) - {clients, balancer}
    assert sorted(map(ends, resources(name, "AWS::EC2::SecurityGroupIngress").values())) == sorted(
        [(clients, balancer, port, port), (balancer, instances, 8080, 8081)]
    )
    assert not any("SecurityGroupIngress" in group for group in groups.values())


@pytest.mark.parametrize("name", SERVING)
def test_every_group_says_what_may_go_out(name, resources):
    """A group without such a rule lets everything out."""
    for group in resources(name, "AWS::EC2::SecurityGroup").values():
        assert len(group["SecurityGroupEgress"]) == 1


@pytest.mark.parametrize("name", ["one-type", "fallback", "gang"])
def test_a_fleet_without_a_model_has_no_load_balancer(name, template):
    template(name).resource_count_is("AWS::ElasticLoadBalancingV2::LoadBalancer", 0)


def test_an_application_load_balancer_in_one_zone_is_refused(platform, stack, a_model):
    network = NeuronNetwork(
        stack, "Network", cidr="10.9.0.0/20", zones=["use1-az4"], egress="nat", key=platform.store.key
    )
    model = CompiledModel(stack, "Model", pipeline=platform.pipeline, name="m", model=a_model("inf2", sdk="2.31.1"))
    with pytest.raises(ValueError, match="NCDK-SERVE-004 model: an application load balancer needs two zones"):
        NeuronFleet(
            stack,
            "Fleet",
            vpc=network,
            store=platform.store,
            purpose="inference",
            instance_types=["inf2.xlarge"],
            size=spec.Size(min=1, max=2),
            model=model,
        )


def test_a_model_for_another_chip_is_refused(platform, stack, a_model):
    model = CompiledModel(stack, "Model", pipeline=platform.pipeline, name="m", model=a_model("trn1", sdk="2.31.1"))
    with pytest.raises(ValueError, match=r"compiled for trn1, and inf2\.xlarge runs inf2"):
        NeuronFleet(
            stack,
            "Fleet",
            vpc=platform.vpc,
            store=platform.store,
            purpose="inference",
            instance_types=["inf2.xlarge"],
            size=spec.Size(min=1, max=2),
            model=model,
        )
