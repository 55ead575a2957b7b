"""What is wrong with an account, its region, its bootstrap or its zones."""

from __future__ import annotations

from neuron_cdk.doctor.aws import Zone
from tests.doctor.asked import (
    Case,
    fleet,
    network,
    serving,
)

CASES = {
    "another account": Case(
        {}, {"account_id": "999988887777"}, "002", "environment.account", "the credentials are of account 999988887777"
    ),
    "a region that is off": Case({}, {"region": "not-opted-in"}, "003", "environment.region", "not enabled"),
    "a region that is not there": Case({}, {"region": None}, "003", "environment.region", "knows no region us-east-1"),
    "no bootstrap": Case({}, {"stacks": {}}, "033", "environment", "CDKToolkit is not there"),
    "a broken bootstrap": Case(
        {}, {"stacks": {"CDKToolkit": "ROLLBACK_COMPLETE"}}, "033", "environment", "CDKToolkit is ROLLBACK_COMPLETE"
    ),
    "a bootstrap without a version": Case({}, {"named": {}}, "033", "environment", "left no version"),
    "an old bootstrap": Case({}, {"named": {"/cdk-bootstrap/hnb659fds/version": "5"}}, "034", "environment", "too old"),
    "a zone of others": Case(
        network(["use1-az1", "use1-az6"]),
        {"has": (Zone("use1-az1", "us-east-1a"),)},
        "008",
        "network.availability_zones[1]",
        "has no zone use1-az6",
    ),
    "a zone name of others": Case(
        network(["us-east-1a", "us-east-1z"]),
        {},
        "008",
        "network.availability_zones[1]",
        "has no zone us-east-1z",
    ),
    "a zone without opt-in": Case(
        network(["use1-az1"]),
        {"has": (Zone("use1-az1", "us-east-1a", opted_in=False),)},
        "009",
        "network.availability_zones[0]",
        "has not opted in",
    ),
    "a zone that is down": Case(
        network(["use1-az1"]),
        {"has": (Zone("use1-az1", "us-east-1a", available=False),)},
        "009",
        "network.availability_zones[0]",
        "is not available now",
    ),
    "a zone name": Case(
        network(["us-east-1b", "use1-az5"]), {}, "011", "network.availability_zones[0]", "us-east-1b is use1-az4"
    ),
    "one zone under two names": Case(
        network(["use1-az4", "us-east-1b"]),
        {},
        "010",
        "network.availability_zones[1]",
        "us-east-1b and use1-az4 are the same zone",
    ),
    "a zone that does not offer the type": Case(
        fleet(),
        {"offered": {"trn1.32xlarge": {"use1-az4"}}},
        "012",
        "fleets.train.instance_types[0]",
        "EC2 does not offer trn1.32xlarge in use1-az5",
    ),
    "a type that is offered nowhere": Case(
        serving(),
        {"offered": {}},
        "012",
        "fleets.serve.instance_types[0]",
        "EC2 does not offer inf2.xlarge in use1-az4",
    ),
    "a cluster's type that is offered elsewhere": Case(
        {
            "training_clusters": {
                "llm": {"engine": "batch", "instance_type": "trn1.32xlarge", "size": {"min": 0, "max": 2}}
            }
        },
        {"offered": {"trn1.32xlarge": {"use1-az2"}}},
        "012",
        "training_clusters.llm.instance_type",
        "EC2 does not offer trn1.32xlarge",
    ),
    "a zone that is of no use": Case(
        serving(),
        {"offered": {"inf2.xlarge": {"use1-az5"}}},
        "013",
        "fleets.serve.instance_types",
        "use1-az4 offers none of the fleet's types",
    ),
}
