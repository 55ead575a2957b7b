"""Engine ``mirror``: a Hugging Face repository at one commit becomes an artifact of its own, fetched once.

It runs as every compile does, ``python3 -m neuron_jobs.compile``, and leaves the same manifest; it differs in this:

- **The job** has a network (no isolation): the hub over TLS, and Secrets Manager when there is a token. Any image with
  Python 3.10 will do, with boto3 where there is a token; no input ``source`` is given to it.
- **request.json**: ``engine`` is ``mirror``, and ``source`` is ``{"kind": "huggingface", "repository": "org/name",
  "revision": "<40 hexadecimal digits>", "include": ["*.bin"], "token_secret_arn": "arn:…" or ""}``. Everything else
  of a compile (target, SDK, shapes) is there and is not read.
- **What decides the result**, and so belongs in the mirror's key, is repository, revision and include. The token does
  not: it says who may read, not what is read. Nor does the image.
- **Environment**: ``HF_ENDPOINT`` is the hub's address, as in Hugging Face's own library; without it
  ``https://huggingface.co``.
- **Output**: the files under ``repository/`` (so none of theirs can be taken for ``manifest.json`` or ``compile.log``),
  with no programs, and the fact ``source`` in the manifest: repository, revision, include, license (of the model's
  card, or ""), files (how many were left out). Whoever compiles from the mirror takes ``<artifact_uri>repository/``.
- **The role** reads the secret (``secretsmanager:GetSecretValue``, and ``kms:Decrypt`` of its key). The token is read
  when the job runs. It is never in the environment, the log, the manifest or a message, and it goes to the hub alone.

The secret is the token itself, or a JSON object with one of ``token``, ``HF_TOKEN``, ``HUGGING_FACE_HUB_TOKEN``.

Taken without being asked for: safetensors, ONNX with its external data, tokenizers, configurations, licences
(``TAKEN``). ``include`` names more, pickles among them. Nothing else is, and the log says of each file why.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from . import pickles
from .engines import Compiled
from .errors import JobError
from .hub import Hub, RemoteFile
from .names import any_matches
from .request import CompileRequest, Repository

FOLDER = "repository"
TAKEN = (
    "*.safetensors",
    "*.onnx",
    "*.onnx_data",
    "*.onnx_data_[0-9]*",
    "*.onnx.data",
    "*.json",
    "*.txt",
    "*.model",
    "*.spm",
    "*.jinja",
    "*.tiktoken",
    "LICENSE*",
    "NOTICE*",
)
_PUBLIC = "https://huggingface.co"
_TOKEN_NAMES = ("token", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
_MOST_FILES = 10_000
_ROOM_LEFT = 1 << 30  # bytes of the volume that stay free: logs, the manifest
_MOST_LISTED = 200


def compile(request: CompileRequest, _source: Path, output: Path) -> Compiled:
    """Fetch the repository's files into ``output``, every one checked against the digest that its commit gives it."""
    wanted = request.repository
    if wanted is None:
        raise JobError("engine mirror copies a Hugging Face repository; the request has none")
    address = os.environ.get("HF_ENDPOINT") or _PUBLIC
    hub = Hub(address, token=read_token(wanted.token_secret_arn))
    print(f"{wanted.name} at {wanted.revision}, from {hub.address}", flush=True)
    license = hub.license(wanted.name, wanted.revision)
    files = hub.files(wanted.name, wanted.revision)
    taken, left = choose(files, wanted)
    for line in left[:_MOST_LISTED]:
        print(f"left out: {line}")
    if len(left) > _MOST_LISTED:
        print(f"left out: {len(left) - _MOST_LISTED} more")
    if not taken:
        raise JobError(
            f"{wanted.name} at {wanted.revision} has no file that is taken without being asked for: "
            "name those that the model needs in include"
        )
    folder = output / FOLDER
    _check_room(taken, output)
    for file in taken:
        print(f"{file.path}: {file.size:,} bytes", flush=True)
        hub.download(wanted.name, wanted.revision, file, folder)
    pickles.refuse(folder, wanted.include)
    return Compiled(
        compiler="mirror",
        version="1",
        command=("mirror", f"{wanted.name}@{wanted.revision}", *wanted.include),
        programs=(),
        source={
            "kind": "huggingface",
            "repository": wanted.name,
            "revision": wanted.revision,
            "include": list(wanted.include),
            "license": license,
            "left_out": len(left),
        },
    )


def choose(files: list[RemoteFile], wanted: Repository) -> tuple[list[RemoteFile], list[str]]:
    """The files that are taken, and a line about each of the others.

    :raises JobError: when a pattern of ``include`` names no file, or the repository has too many.
    """
    if len(files) > _MOST_FILES:
        raise JobError(f"{wanted.name} has {len(files)} files; at most {_MOST_FILES} are taken")
    for pattern in wanted.include:
        if not any(any_matches(file.path, [pattern]) for file in files):
            raise JobError(f"include: no file of {wanted.name} at {wanted.revision} is called {pattern!r}")
    taken: list[RemoteFile] = []
    left: list[str] = []
    for file in files:
        if any_matches(file.path, wanted.include):
            taken.append(file)
        elif pickles.named_so(file.path):
            left.append(f"{file.path}: a pickle by its name, which can run code when it is loaded")
        elif any_matches(file.path, TAKEN):
            taken.append(file)
        else:
            left.append(f"{file.path}: no weights, tokenizer or configuration by its name, and no pattern names it")
    return taken, left


def read_token(secret_arn: str) -> str:
    """The token in a secret; empty without one.

    :raises JobError: when it cannot be read. The message never has what the secret holds.
    """
    if not secret_arn:
        return ""
    try:
        import boto3
        from botocore.exceptions import BotoCoreError, ClientError
    except ImportError:
        raise JobError("the image has no boto3, with which the hub's token is read: take another for mirrors") from None
    try:
        region = secret_arn.split(":")[3]
        answer = boto3.client("secretsmanager", region_name=region).get_secret_value(SecretId=secret_arn)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        raise JobError(f"the hub's token cannot be read from {secret_arn}: Secrets Manager says {code}") from None
    except BotoCoreError as error:
        raise JobError(f"the hub's token cannot be read from {secret_arn}: {type(error).__name__}") from None
    return token_in(answer.get("SecretString") or "", secret_arn)


def token_in(content: str, secret_arn: str) -> str:
    """The token in what a secret holds: the text itself, or a field of a JSON object."""
    token = content.strip()
    if token.startswith("{"):
        try:
            document = json.loads(token)
        except ValueError:
            document = {}
        found = [document[name] for name in _TOKEN_NAMES if isinstance(document.get(name), str)]
        token = found[0].strip() if found else ""
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        names = ", ".join(_TOKEN_NAMES)
        raise JobError(f"{secret_arn} holds no token: put the token there as text, or in JSON under one of {names}")
    return token


def _check_room(files: list[RemoteFile], folder: Path) -> None:
    needed = sum(file.size for file in files)
    free = shutil.disk_usage(folder).free
    if needed + _ROOM_LEFT > free:
        raise JobError(
            f"the repository's files have {needed:,} bytes, and the job's volume has room for "
            f"{max(0, free - _ROOM_LEFT):,}: give the model's size_gb, from which the volume follows"
        )
