"""What is wrong with quotas: less is granted than a file needs at most."""

from __future__ import annotations

from tests.doctor.asked import (
    RESERVED,
    RESERVING,
    SCALED,
    Case,
    capacity,
    fleet,
    model,
    reservation,
    serving,
    serving_by,
)

CASES = {
    "a quota for less than max": Case(
        fleet(),
        {"quotas": {"L-2C3B7624": 256}},
        "006",
        "fleets.train.size.max",
        "(L-2C3B7624) grants 256 vCPUs, and 512 are needed at max: train 4 x 128",
    ),
    "a spot quota": Case(
        fleet(**capacity("spot")),
        {"quotas": {"L-6B0D517C": 0}},
        "006",
        "fleets.train.size.max",
        "(L-6B0D517C) grants 0 vCPUs, and 512 are needed",
    ),
    "a quota that several share": Case(
        {
            "fleets": fleet("one")["fleets"] | fleet("two", size={"min": 0, "max": 2})["fleets"],
        },
        {"quotas": {"L-2C3B7624": 512}},
        "006",
        "fleets",
        "768 are needed at max: one 4 x 128, two 2 x 128",
    ),
    "a quota that a cluster and a fleet share": Case(
        fleet()
        | {
            "training_clusters": {
                "llm": {"engine": "batch", "instance_type": "trn1.32xlarge", "size": {"min": 0, "max": 2}}
            }
        },
        {"quotas": {"L-2C3B7624": 700}},
        "006",
        "fleets",
        "768 are needed at max: train 4 x 128, llm 2 x 128",
    ),
    "a quota of the fallback": Case(
        fleet(**capacity("spot", "on-demand")),
        {"quotas": {"L-2C3B7624": 128}},
        "007",
        "fleets.train.size.max",
        "512 are needed at max, fallbacks counted: train 4 x 128",
    ),
    "a quota for less than base": Case(
        serving(**capacity("spot", {"kind": "on-demand", "base": 2})),
        {"quotas": {"L-1945791B": 4}},
        "006",
        "fleets.serve.size.max",
        "grants 4 vCPUs, and 8 are needed at max: serve 2 x 4",
    ),
    "reservations count as on-demand": Case(
        RESERVING,
        {"quotas": {"L-2C3B7624": 0}, "reservations": {RESERVED: reservation()}},
        "006",
        "fleets.train.size.max",
        "512 are needed at max",
    ),
    "the largest type counts": Case(
        serving(instance_types=["inf2.xlarge", "inf2.8xlarge"]),
        {"quotas": {"L-1945791B": 255}},
        "006",
        "fleets.serve.size.max",
        "256 are needed at max: serve 8 x 32",
    ),
    "an endpoint's quota": Case(
        serving_by(size={"min": 2, "max": 3}, scaling=SCALED, rollout={"percent": 10}),
        {"quotas": {"L-C8AB7CDA": 3}},
        "006",
        "endpoints.e.size.max",
        "(L-C8AB7CDA) grants 3 instances, and 4 are needed in an update at max: e 4",
    ),
    "an endpoint's quota where an update takes a second fleet": Case(
        serving_by(size={"min": 2, "max": 3}, scaling=SCALED, rollout={"kind": "canary"}),
        {"quotas": {"L-C8AB7CDA": 5}},
        "006",
        "endpoints.e.size.max",
        "grants 5 instances, and 6 are needed in an update at max: e 6",
    ),
    "an endpoint's quota that variants share": Case(
        serving_by(variants={"candidate": {"model": "m"}}),
        {"quotas": {"L-C8AB7CDA": 3}},
        "006",
        "endpoints.e.size.max",
        "grants 3 instances, and 4 are needed in an update at max: e Main 2, e candidate 2",
    ),
    "a pool's quota": Case(
        serving_by(instance_types=["ml.inf2.xlarge", "ml.inf2.8xlarge"]),
        {"quotas": {"L-F761337C": 1}},
        "007",
        "endpoints.e.size.max",
        "grants 1 instances, and 2 are needed in an update at max, fallbacks counted: e 2",
    ),
    "a shadow's quota": Case(
        serving_by(
            shadow={"model": "m", "percent": 10, "instance_types": ["ml.inf2.8xlarge"], "size": {"min": 3, "max": 3}}
        ),
        {"quotas": {"L-F761337C": 5}},
        "006",
        "endpoints.e.shadow.size.max",
        "grants 5 instances, and 6 are needed in an update at max: e Shadow 6",
    ),
    "a quota that the catalogue does not know": Case(
        serving_by(instance_types=["ml.trn2.48xlarge"]) | model(target="trn2"),
        {},
        "035",
        "endpoints.e.instance_types[0]",
        "does not know the quota of ml.trn2.48xlarge",
    ),
    "an unknown quota": Case(
        fleet(), {"quotas": {"L-2C3B7624": -1}}, "004", "fleets.train.size.max", "quota L-2C3B7624 could not be checked"
    ),
}
