"""Where models' files come from: whether the network leads there, and what may be among them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ..deployment import Deployment, HuggingFaceSource, PathSource, S3Source
from ..findings import Problem
from ..source import Pointer
from .common import Surroundings, other_place


def sources_exist(deployment: Deployment) -> Iterator[Problem]:
    here = Path.cwd()
    for name, model in deployment.models.items():
        if not isinstance(model.source, PathSource):
            continue
        pointer = ("models", name, "source", "path")
        path = Path(model.source.path)
        try:
            # Not the folder itself: what the CDK writes there would become part of what it copies.
            inside = not path.is_absolute() and here in path.resolve().parents
            found = path.is_dir()
        except (OSError, ValueError):  # too long, a loop of links, a zero byte
            inside, found = True, False
        if not inside:
            yield Problem(
                "NCDK-SOURCE-006",
                pointer,
                "this path does not lead to a folder inside the one that the command runs in",
                "a relative path, such as models/minilm",
            )
        elif not found:
            yield Problem("NCDK-SOURCE-005", pointer, f"there is no such folder in {here}")


def sources_can_be_had(deployment: Deployment) -> Iterator[Problem]:
    for name, model in deployment.models.items():
        source, at = model.source, ("models", name, "source")
        if isinstance(source, HuggingFaceSource):
            yield from _hugging_face(source, at, deployment)
        if isinstance(source, S3Source) and source.watch and not source.s3.endswith("/"):
            message = "what is watched is a folder: without / at its end, the prefix is that of other names too"
            yield Problem("NCDK-SOURCE-009", (*at, "s3"), message, "s3://bucket/prefix/")
        for index, pattern in enumerate(source.include):
            if not pattern.strip("*./?"):
                message = "this pattern takes every file, pickles too, which can run code when they are loaded"
                fix = "name the files that the model needs"
                yield Problem("NCDK-SOURCE-012", (*at, "include", index), message, fix=fix)


def _hugging_face(source: HuggingFaceSource, at: Pointer, deployment: Deployment) -> Iterator[Problem]:
    environment = deployment.environment
    around = Surroundings(region=environment.region, account=environment.account)
    if source.token and (other := other_place(source.token, around)):
        message = f"this secret is in {other}, and the pipeline reads those of its own account and region"
        fix = "copy the token to a secret here"
        yield Problem("NCDK-SOURCE-011", (*at, "token"), message, f"a secret in {around.place}", fix)
    if source.mirror is None:
        if deployment.network.egress == "endpoints-only":
            yield Problem(
                "NCDK-SOURCE-010",
                (*at, "huggingface"),
                "this network reaches VPC endpoints and nothing else: the hub cannot be reached from it",
                "a source in S3, or mirror",
                "copy the commit's files to S3 and give their prefix as mirror: s3://bucket/prefix/",
            )
        return
    if not source.mirror.endswith("/"):
        message = "a mirror is a folder: without / at its end, the prefix is that of other names too"
        yield Problem("NCDK-SOURCE-009", (*at, "mirror"), message, "s3://bucket/prefix/")
    if source.token:
        message = "the files come from the mirror: nothing is fetched, and no token is read"
        yield Problem("NCDK-SOURCE-013", (*at, "token"), message, fix="leave token out, or mirror")
