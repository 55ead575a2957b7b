"""The fenced blocks of everything that people read."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from neuron_cdk.local import EmbeddedAws

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    path
    for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")]
    if "reference" not in path.parts
)
_FENCE = re.compile(r"^```(?P<language>\w+)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)

_INLINE = re.compile(r"`((?:make|cdk|neuron-cdk|python -m) [^`…]+)`")


@dataclass(frozen=True)
class Block:
    """One fenced block, named after its place."""

    page: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks() -> Iterator[Block]:
    for page in PAGES:
        text = page.read_text()
        for fence in _FENCE.finditer(text):
            yield Block(page, text.count("\n", 0, fence.start()) + 1, fence["language"], fence["text"])


def commands(everything: list[Block]) -> Iterator[tuple[str, str]]:
    """Commands with their places: the lines of blocks, and those in a sentence."""
    for block in everything:
        if block.language in ("console", "bash"):
            for line in block.text.splitlines():
                yield line.removeprefix("$ "), str(block)
    for page in PAGES:
        for command in dict.fromkeys(_INLINE.findall(page.read_text())):
            if command.startswith("make") or len(command.split()) > 2:  # else it is a name, not something to type
                yield command, str(page.relative_to(ROOT))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """``python_block``, ``yaml_block``, ``command`` and ``page`` are each one of those in turn."""
    everything = list(blocks())
    for language in ("python", "yaml"):
        if f"{language}_block" in metafunc.fixturenames:
            chosen = [each for each in everything if each.language == language]
            metafunc.parametrize(f"{language}_block", chosen, ids=str)
    if "command" in metafunc.fixturenames:
        shown = list(commands(everything))
        metafunc.parametrize("command", [text for text, _ in shown], ids=[f"{place} {text}" for text, place in shown])
    if "page" in metafunc.fixturenames:
        metafunc.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


@pytest.fixture(scope="session")
def embedded_aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], EmbeddedAws]]:
    """Calling it gives a running embedded AWS, started when first asked for."""
    started: list[EmbeddedAws] = []

    def running() -> EmbeddedAws:
        if not started:
            started.append(EmbeddedAws(tmp_path_factory.mktemp("aws"), port=0))
            started[0].up()
        return started[0]

    yield running
    for aws in started:
        aws.down(delete_state=True)
