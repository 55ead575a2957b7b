"""The kinds of value that a deployment file holds: what each looks like, and what to say when one does not."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema


@dataclass(frozen=True, slots=True)
class Text:
    """A string with a form of its own. Anything else is refused under ``code``, by the name of what was expected."""

    pattern: str
    code: str
    what: str
    allowed: str
    fix: str = ""
    examples: tuple[str, ...] = ()

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            self.validate, serialization=core_schema.to_string_ser_schema()
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        described: dict[str, Any] = {"type": "string", "pattern": f"^(?:{self.pattern})$"}
        return {**described, "examples": list(self.examples)} if self.examples else described

    def validate(self, value: object) -> str:
        if isinstance(value, str) and re.fullmatch(self.pattern, value):
            return value
        raise refusal(self.code, f"this is not {self.what}", allowed=self.allowed, fix=self.fix)


def refusal(code: str, message: str, *, allowed: str = "", fix: str = "") -> PydanticCustomError:
    """The error by which a validator says which finding it stands for."""
    return PydanticCustomError(code, "{message}", {"message": message, "allowed": allowed, "fix": fix})


Word = Annotated[str, Field(strict=True, min_length=1, max_length=64)]
"""A name out of a list that the catalogue or another part of the file holds."""
Count = Annotated[int, Field(strict=True, ge=0, le=10_000)]
Positive = Annotated[int, Field(strict=True, ge=1, le=1_000_000)]
Number = Annotated[float, Field(strict=True, gt=0, le=1e12)]

DeploymentName = Annotated[
    str,
    Text(
        r"[a-z][a-z0-9-]{0,19}",
        "NCDK-NAME-001",
        "a name that can prefix stack names",
        "a lower-case letter, then up to 19 lower-case letters, digits and hyphens",
        examples=("sandbox",),
    ),
]
Name = Annotated[
    str,
    Text(
        r"[a-z]([a-z0-9-]{0,38}[a-z0-9])?",
        "NCDK-NAME-002",
        "a name that stacks and resources can carry",
        "a lower-case letter, then lower-case letters, digits and hyphens, no hyphen at the end, 40 characters at most",
    ),
]
Account = Annotated[
    str,
    Text(
        r"[0-9]{12}",
        "NCDK-ENV-001",
        "an AWS account id",
        'a string of twelve digits, such as "111122223333"',
        "put the twelve digits in quotes; without them YAML reads a number, and leading zeros are lost",
        ("111122223333",),
    ),
]
Task = Annotated[
    str,
    Text(
        r"[a-z][a-z0-9-]{0,62}",
        "NCDK-MODEL-001",
        "a task",
        "lower-case words joined by hyphens, such as feature-extraction",
        examples=("feature-extraction", "text-generation", "file-type"),
    ),
]
S3Uri = Annotated[
    str,
    Text(
        r"s3://(?!xn--)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/(?!/)[^\x00-\x20\x7f]{0,1000}",
        "NCDK-SOURCE-002",
        "an S3 location",
        "s3://bucket/prefix/",
        "name the bucket (3 to 63 lower-case characters) and the prefix that holds the model's files",
        ("s3://my-models/minilm/",),
    ),
]
HuggingFaceName = Annotated[
    str,
    Text(
        r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}",
        "NCDK-SOURCE-003",
        "a Hugging Face repository",
        "organisation/name, such as sentence-transformers/all-MiniLM-L6-v2",
    ),
]
Commit = Annotated[
    str,
    Text(
        r"[0-9a-f]{40}",
        "NCDK-SOURCE-004",
        "a full commit",
        "40 lower-case hexadecimal digits",
        "copy the commit from the repository's history; branches and tags move, and what moves cannot be cached",
    ),
]
SecretArn = Annotated[
    str,
    Text(
        r"arn:aws(?:-[a-z]{2,10}){0,2}:secretsmanager:[a-z0-9-]{6,24}:[0-9]{12}:secret:[A-Za-z0-9/_+=.@-]{1,512}-[A-Za-z0-9]{6}",
        "NCDK-SOURCE-007",
        "the ARN of a secret",
        "arn:aws:secretsmanager:<region>:<account>:secret:<name>-<six characters>",
        "copy the secret's whole ARN from Secrets Manager, with the six characters that it adds to the name",
        ("arn:aws:secretsmanager:us-east-1:111122223333:secret:huggingface-AbCdEf",),
    ),
]
FilePattern = Annotated[
    str,
    Text(
        # A [ is closed, with a character between, as fnmatch reads it: an open one stands for itself there.
        r"(?!/)(?!(?:.*/)?\.\.(?:/|$))(?=[^\x00-\x1f\x7f\\]{1,256}(?![\s\S]))(?:[^\[]|\[(?:!.|[^!])[^\]]*\])+",
        "NCDK-SOURCE-008",
        "a pattern of file names",
        'a name, or a path in the source, with * for anything and [ab] for one of some: "pytorch_model*.bin"',
        "write it relative to the source, with / between folders; close every [, and write [[] for that character",
        ("pytorch_model*.bin",),
    ),
]
Sdk = Annotated[
    str,
    Text(
        r"[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}",
        "NCDK-COMPILE-001",
        "an SDK version",
        'a full version in quotes, such as "2.31.1"',
        "leave sdk out for the newest that target, engine and service support together",
        ("2.31.1",),
    ),
]
CompilerArgument = Annotated[
    str,
    Text(
        r"[^\x00-\x1f\x7f]{1,256}",
        "NCDK-COMPILE-002",
        "a compiler argument",
        'one argument a list entry, as a string: ["-O2", "--auto-cast=none"]',
    ),
]
Ami = Annotated[
    str,
    Text(
        r"ami-([0-9a-f]{8}|[0-9a-f]{17})",
        "NCDK-FLEET-001",
        "an AMI id",
        "ami- and 8 or 17 hexadecimal digits",
        "leave ami out for the newest Neuron image that fits the chip",
        ("ami-0123456789abcdef0",),
    ),
]
Reservation = Annotated[
    str,
    Text(
        r"cr-[0-9a-f]{17}",
        "NCDK-CAPACITY-001",
        "a capacity reservation id",
        "cr- and 17 hexadecimal digits",
        "copy the id of the reservation or capacity block from EC2",
        ("cr-0123456789abcdef0",),
    ),
]
MlType = Annotated[
    str,
    Text(
        r"ml\.[a-z0-9-]{1,24}\.[a-z0-9-]{1,24}",
        "NCDK-TYPE-003",
        "one of SageMaker's names of instance types",
        "a SageMaker name, such as ml.inf2.xlarge",
    ),
]
MlReservation = Annotated[
    str,
    Text(
        # MlReservationArn of ProductionVariantCapacityReservationConfig, with a region and an id
        r"(?=.{20,258}$)arn:aws(?:-[a-z]{2,10}){0,2}:sagemaker:[a-z0-9-]{6,24}:[0-9]{12}:[a-z0-9-]{1,14}/[A-Za-z0-9][\w.-]{0,200}",
        "NCDK-ENDPOINT-005",
        "the ARN of an ML reservation",
        "arn:aws:sagemaker:<region>:<account>:<kind>/<id>",
        "copy the ARN from SageMaker; EC2's reservations (cr-…) do not serve endpoints",
        ("arn:aws:sagemaker:us-east-1:111122223333:training-plan/endpoints",),
    ),
]
AlarmName = Annotated[
    str,
    Text(
        r"(?!arn:)(?!\s*$)[^\x00-\x1f\x7f]{1,255}",
        "NCDK-ROLLOUT-005",
        "the name of a CloudWatch alarm",
        "1 to 255 characters: the alarm's name, not its ARN",
        examples=("neuron-errors",),
    ),
]
Certificate = Annotated[
    str,
    Text(
        r"arn:aws(?:-[a-z]{2,10}){0,2}:acm:[a-z0-9-]{6,24}:[0-9]{12}:certificate/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",
        "NCDK-SERVE-001",
        "the ARN of an ACM certificate",
        "arn:aws:acm:<region>:<account>:certificate/<id>",
        "copy the ARN of an issued certificate from ACM",
        ("arn:aws:acm:us-east-1:111122223333:certificate/01234567-89ab-cdef-0123-456789abcdef",),
    ),
]
Queue = Annotated[
    str,
    Text(
        r"arn:aws(?:-[a-z]{2,10}){0,2}:sqs:[a-z0-9-]{6,24}:[0-9]{12}:(?:[A-Za-z0-9_-]{1,75}\.fifo|[A-Za-z0-9_-]{1,80})",
        "NCDK-SCALE-007",
        "the ARN of an SQS queue",
        "arn:aws:sqs:<region>:<account>:<name>",
        "copy the ARN of the queue from SQS; its URL does not say as much",
        ("arn:aws:sqs:us-east-1:111122223333:requests",),
    ),
]
VpcId = Annotated[
    str,
    Text(r"vpc-([0-9a-f]{8}|[0-9a-f]{17})", "NCDK-NET-001", "a VPC id", "vpc- and 8 or 17 hexadecimal digits"),
]
SubnetId = Annotated[
    str,
    Text(r"subnet-([0-9a-f]{8}|[0-9a-f]{17})", "NCDK-NET-002", "a subnet id", "subnet- and 8 or 17 hexadecimal digits"),
]
Email = Annotated[
    str,
    Text(
        r"[A-Za-z0-9._%+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}",
        "NCDK-BUDGET-001",
        "an e-mail address",
        "name@example.com",
    ),
]
GitHubRepository = Annotated[
    str,
    Text(
        r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,37}[A-Za-z0-9])?/[A-Za-z0-9._-]{1,100}",
        "NCDK-DELIVERY-001",
        "a GitHub repository",
        "organisation/repository",
    ),
]
Branch = Annotated[
    str,
    Text(
        r"(?![/.-])(?!.*(\.\.|//|@\{))[A-Za-z0-9._/@-]{1,200}(?<![/.])",
        "NCDK-DELIVERY-002",
        "a branch name",
        "one branch by its name, such as main",
    ),
]
TagKey = Annotated[
    str,
    Text(
        r"(?![Aa][Ww][Ss]:)[\w .:/=+@-]{1,128}",
        "NCDK-TAG-001",
        "a tag key",
        "1 to 128 letters, digits, spaces and _ . : / = + - @, not starting with aws: (AWS keeps that prefix)",
    ),
]
TagValue = Annotated[
    str,
    Text(
        r"[\w .:/=+@-]{0,256}",
        "NCDK-TAG-002",
        "a tag value",
        "a string of up to 256 letters, digits, spaces and _ . : / = + - @",
        "put numbers and true or false in quotes: a tag is text",
    ),
]
