"""Every code ``neuron-cdk doctor`` reports, beside those of ``validate``. Never reused or renumbered."""

from __future__ import annotations

from ..spec.codes import Code, Severity

_ERRORS = {
    "NCDK-DOCTOR-001": "AWS cannot be asked: no credentials, credentials that ended, or no way to it.",
    "NCDK-DOCTOR-002": "The credentials are of another account than the file's.",
    "NCDK-DOCTOR-003": "The region is not enabled in the account.",
    "NCDK-DOCTOR-005": "AWS failed while it was asked.",
    "NCDK-DOCTOR-006": "A quota is below what the file's preferred capacity needs at max.",
    "NCDK-DOCTOR-008": "The account has no such zone in the region.",
    "NCDK-DOCTOR-009": "The zone cannot be used: not available, or the account has not opted in.",
    "NCDK-DOCTOR-010": "Two zones of the network are one and the same.",
    "NCDK-DOCTOR-012": "The instance type is offered in none of the zones it would be started in.",
    "NCDK-DOCTOR-014": "The parameter that names the Neuron AMI is not there.",
    "NCDK-DOCTOR-015": "The AMI is not there, or not shared with the account.",
    "NCDK-DOCTOR-016": "The AMI cannot be started: its state, its system or its architecture.",
    "NCDK-DOCTOR-017": "There is no such capacity reservation.",
    "NCDK-DOCTOR-018": "The capacity reservation is over, failed, or of the other kind.",
    "NCDK-DOCTOR-019": "The capacity reservation is for another instance type or platform.",
    "NCDK-DOCTOR-020": "The capacity reservation is in another zone than the fleet.",
    "NCDK-DOCTOR-024": "There is no such VPC.",
    "NCDK-DOCTOR-025": "The VPC resolves no names.",
    "NCDK-DOCTOR-026": "There is no such subnet in the VPC.",
    "NCDK-DOCTOR-027": "The subnet is in another zone than the file says.",
    "NCDK-DOCTOR-029": "There is no such certificate.",
    "NCDK-DOCTOR-030": "The certificate is not issued.",
    "NCDK-DOCTOR-031": "The bucket of a model's source is not there.",
    "NCDK-DOCTOR-032": "Nothing lies where a model's source should be.",
    "NCDK-DOCTOR-036": "The bucket of a watched source tells EventBridge nothing.",
    "NCDK-DOCTOR-037": "There is no such secret, or it is about to be deleted.",
    "NCDK-DOCTOR-033": "The CDK's bootstrap stack is missing or broken.",
    "NCDK-DOCTOR-034": "The CDK's bootstrap stack is too old.",
}

_WARNINGS = {
    "NCDK-DOCTOR-004": "Something could not be checked: a permission is missing.",
    "NCDK-DOCTOR-007": "A quota is below what the file's fallback capacity needs at max.",
    "NCDK-DOCTOR-013": "A zone of the fleet offers none of its instance types.",
    "NCDK-DOCTOR-021": "The capacity reservations hold fewer instances than the fleet may have.",
    "NCDK-DOCTOR-022": "The capacity reservation ends soon.",
    "NCDK-DOCTOR-028": "A subnet has fewer free addresses than the fleets in it need at max.",
}

_INFOS = {
    "NCDK-DOCTOR-035": "The catalogue does not know a quota.",
    "NCDK-DOCTOR-011": "What a zone name means in this account.",
    "NCDK-DOCTOR-023": "The capacity reservation has not begun.",
}

CODES: dict[str, Code] = {
    code: Code(severity, meaning)
    for severity, codes in ((Severity.ERROR, _ERRORS), (Severity.WARNING, _WARNINGS), (Severity.INFO, _INFOS))
    for code, meaning in codes.items()
}
