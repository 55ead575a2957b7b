"""Every code a finding can carry. Codes are never reused or renumbered: people search for them."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Severity(StrEnum):
    """Errors stop before any AWS call; warnings and infos are shown and passed over."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


class Code(NamedTuple):
    """How bad it is, and what it means in general: a row of the reference page."""

    severity: Severity
    meaning: str


_ERRORS = {
    "NCDK-FILE-001": "The file is not there, or may not be read.",
    "NCDK-FILE-002": "The file is larger than 1 MiB.",
    "NCDK-FILE-003": "The file is not UTF-8.",
    "NCDK-FILE-004": "The file is not YAML.",
    "NCDK-FILE-005": "The file is empty.",
    "NCDK-FILE-006": "The file holds several YAML documents.",
    "NCDK-FILE-007": "The file is a list or a text instead of a mapping of fields.",
    "NCDK-FILE-008": "The file uses a YAML tag or directive.",
    "NCDK-FILE-009": "A field is there twice; YAML would silently take the last.",
    "NCDK-FILE-010": "An alias leads nowhere, or aliases or values are too many.",
    "NCDK-FILE-011": "The file is nested too deeply.",
    "NCDK-FILE-012": "A field's name is not a plain text, or is YAML's merge key.",
    "NCDK-FIELD-001": "There is no such field.",
    "NCDK-FIELD-002": "A required field is missing.",
    "NCDK-FIELD-003": "A value is of the wrong type.",
    "NCDK-FIELD-004": "A value is not one of the choices.",
    "NCDK-FIELD-005": "A number is out of range.",
    "NCDK-FIELD-006": "A list or text is too short or too long.",
    "NCDK-FIELD-007": "A value is refused for a reason without a code of its own.",
    "NCDK-FIELD-008": "A list holds the same entry twice.",
    "NCDK-NAME-001": "The deployment's name cannot prefix stack names.",
    "NCDK-NAME-002": "A name cannot be used for stacks and resources.",
    "NCDK-TAG-001": "AWS does not take this tag key.",
    "NCDK-TAG-002": "AWS does not take this tag value.",
    "NCDK-ENV-001": "The account is not twelve digits in quotes.",
    "NCDK-ENV-002": "There is no such region.",
    "NCDK-NET-001": "This is not a VPC id.",
    "NCDK-NET-002": "This is not a subnet id.",
    "NCDK-NET-003": "The network is neither new nor one that exists, or both.",
    "NCDK-NET-004": "This is not an IPv4 range.",
    "NCDK-NET-005": "The range is too large for a VPC, or too small for its zones.",
    "NCDK-NET-006": "The range holds addresses that no host can have.",
    "NCDK-NET-009": "Subnets and zones do not go together.",
    "NCDK-NET-010": "A fleet at its max does not fit the subnet of its zone.",
    "NCDK-ZONE-001": "The region has no such zone.",
    "NCDK-ZONE-002": "The region has fewer zones than that, or none that the catalogue knows.",
    "NCDK-ZONE-003": "The network has no subnet in the zone.",
    "NCDK-TYPE-001": "There is no such instance type.",
    "NCDK-TYPE-002": "A SageMaker name where EC2's belongs.",
    "NCDK-TYPE-003": "An EC2 name where SageMaker's belongs.",
    "NCDK-TYPE-004": "The instance type is not offered in the region.",
    "NCDK-TYPE-005": "The instance type is not offered in the zone, or in none of the network's.",
    "NCDK-TYPE-006": "The instance type has no Neuron device.",
    "NCDK-TYPE-007": "A fleet's instance types have different accelerators.",
    "NCDK-TYPE-008": "A model is compiled for another chip than the instance type has.",
    "NCDK-TYPE-009": "SageMaker has no endpoints on the instance type.",
    "NCDK-TYPE-010": "SageMaker does not offer the instance type for endpoints in the region.",
    "NCDK-TYPE-011": "The instance type has too few NeuronCores for the model.",
    "NCDK-MODEL-001": "This is not a task.",
    "NCDK-MODEL-002": "There is no such model.",
    "NCDK-SOURCE-001": "A model has no source, or several.",
    "NCDK-SOURCE-002": "This is not an S3 location.",
    "NCDK-SOURCE-003": "This is not a Hugging Face repository.",
    "NCDK-SOURCE-004": "The revision is not a full commit.",
    "NCDK-SOURCE-005": "The source folder is not there.",
    "NCDK-SOURCE-006": "The source folder is outside the folder that the command runs in, or is that folder.",
    "NCDK-COMPILE-001": "This is not an SDK version.",
    "NCDK-COMPILE-002": "This is not a compiler argument.",
    "NCDK-COMPILE-003": "Target cpu outside the embedded AWS.",
    "NCDK-COMPILE-004": "The engine does not compile for the target.",
    "NCDK-COMPILE-005": "Engine, target, SDK and service do not work together, or no longer do.",
    "NCDK-COMPILE-007": "No instance of the target has that many NeuronCores.",
    "NCDK-COMPILE-008": "The target does not run the precision.",
    "NCDK-COMPILE-009": "The compile job sets the argument itself, or the engine takes none.",
    "NCDK-COMPILE-010": "The engine compiles one shape.",
    "NCDK-FLEET-001": "This is not an AMI id.",
    "NCDK-FLEET-002": "A training fleet serves a model.",
    "NCDK-EFA-001": "The instance type has no EFA.",
    "NCDK-EFA-002": "A fleet's instance types have different numbers of EFA interfaces.",
    "NCDK-EFA-004": "A fleet with EFA needs a zone, and none can be chosen.",
    "NCDK-CAPACITY-001": "This is not a capacity reservation id.",
    "NCDK-CAPACITY-002": "The instance type is not sold that way.",
    "NCDK-CAPACITY-003": "base is above max.",
    "NCDK-SIZE-001": "min is above max.",
    "NCDK-SIZE-002": "desired is outside min and max.",
    "NCDK-SIZE-003": "AWS refuses min 0 here.",
    "NCDK-SIZE-004": "An endpoint's max is 0.",
    "NCDK-SCALE-001": "The endpoint's mode has no such metric.",
    "NCDK-SCALE-002": "A utilization target is above 100 percent.",
    "NCDK-SCALE-007": "This is not the ARN of an SQS queue.",
    "NCDK-SCHEDULE-001": "This is not a cron expression of six fields.",
    "NCDK-SERVE-001": "This is not the ARN of an ACM certificate.",
    "NCDK-ENDPOINT-001": "An endpoint serves neither a model nor components, or both.",
    "NCDK-ENDPOINT-002": "An endpoint has too many instance pools.",
    "NCDK-ENDPOINT-003": "A component asks for more accelerators than the instance type has.",
    "NCDK-ENDPOINT-004": "A component asks for more memory than the instance type has.",
    "NCDK-ROLLOUT-001": "SageMaker takes no such share for this rollout.",
    "NCDK-ROLLOUT-002": "A share is given for a rollout without shares.",
    "NCDK-ROLLOUT-003": "Components take no such rollout.",
    "NCDK-CLUSTER-001": "HyperPod does not run the instance type.",
    "NCDK-CLUSTER-002": "FSx for Lustre has no such size.",
    "NCDK-BUDGET-001": "This is not an e-mail address.",
    "NCDK-DELIVERY-001": "This is not a GitHub repository.",
    "NCDK-DELIVERY-002": "This is not a branch name.",
}

_WARNINGS = {
    "NCDK-NET-007": "The range is not private.",
    "NCDK-NET-008": "The range overlaps Docker's own network.",
    "NCDK-COMPILE-006": "The software was not shown to run on the service's hosts.",
    "NCDK-EFA-003": "A training fleet does without the EFA its instances have.",
    "NCDK-SCALE-003": "Scaling without room to scale.",
    "NCDK-SCALE-006": "A training fleet scales by instance.",
    "NCDK-ROLLOUT-004": "SageMaker updates Inf1 endpoints all at once.",
}

_INFOS = {
    "NCDK-ZONE-004": "A zone name cannot be checked without an account.",
    "NCDK-MODEL-003": "Nothing uses the model.",
    "NCDK-SCALE-004": "The fleet's scaling cannot bring it back from zero.",
    "NCDK-SCALE-005": "Nothing scales the endpoint.",
    "NCDK-FILE-013": "There are more findings than are shown.",
    "NCDK-LATER-001": "Models from Hugging Face are not built yet.",
    "NCDK-LATER-002": "The engine is not built yet.",
    "NCDK-LATER-003": "Smoke tests are not built yet.",
    "NCDK-LATER-008": "Asynchronous endpoints are not built yet.",
    "NCDK-LATER-009": "Endpoints of the release pipeline are not built yet.",
    "NCDK-LATER-010": "Components are not built yet.",
    "NCDK-LATER-011": "Pools of several instance types are not built yet.",
    "NCDK-LATER-012": "Endpoint scaling is not built yet.",
    "NCDK-LATER-013": "Rollouts other than all-at-once, and their conditions, are not built yet.",
    "NCDK-LATER-014": "Training clusters are not built yet.",
    "NCDK-LATER-015": "Budgets are not built yet.",
    "NCDK-LATER-016": "Delivery is not built yet.",
    "NCDK-LATER-017": "The engine does not spread a model over several cores yet.",
}

CODES: dict[str, Code] = {
    **{code: Code(Severity.ERROR, meaning) for code, meaning in _ERRORS.items()},
    **{code: Code(Severity.WARNING, meaning) for code, meaning in _WARNINGS.items()},
    **{code: Code(Severity.INFO, meaning) for code, meaning in _INFOS.items()},
}

RETIRED: dict[str, str] = {
    "NCDK-LATER-004": "Built: fleets serve a model.",
    "NCDK-LATER-005": "Built: reserved capacity, fallbacks and base.",
    "NCDK-LATER-006": "Built: every scaling metric of a fleet.",
    "NCDK-LATER-007": "Built: scheduled sizes.",
    "NCDK-LATER-018": "Built: a fleet's pause before shrinking.",
    "NCDK-LATER-019": "Built: a fleet's size to start with.",
}
"""Codes that earlier versions reported, and what became of each."""
