"""``make docs``: draw the pictures and write the reference pages, from the code, and one picture from a recorded run.

A test builds them again and compares, so that they cannot fall behind.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from neuron_cdk import spec
from neuron_cdk.assets import lambda_root

from . import assembly, events, pages, picture

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent


def build(folder: Path) -> list[Path]:
    """Write everything that is generated below ``folder``, which stands for ``docs/``; gives the files."""
    made = {
        "images/architecture.svg": architecture(),
        "images/fleet-day.svg": fleet_day(),
        "images/endpoint-scaling.svg": endpoint_scaling(),
        **pages.reference(),
        "reference/events.md": pages.page("What models tell", events.events()),
    }
    for name, text in made.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return [folder / name for name in made]


def architecture() -> str:
    """The stacks of the sandbox, synthesized here and now."""
    from stacks import build_app

    deployment = spec.load(ROOT / "deployments" / "sandbox.yaml").deployment
    flags = json.loads((ROOT / "cdk.json").read_text())["context"]
    with TemporaryDirectory() as out:
        build_app(deployment, outdir=out, context=flags).synth()
        return picture.draw(
            assembly.stacks(Path(out)), title="Stacks of deployments/sandbox.yaml and what they give each other"
        )


def fleet_day() -> str:
    """A serving and a training fleet while capacity comes and goes, decided by the controller's own code."""
    from . import day, timeline

    return timeline.draw([make() for make in day.DAYS], title="A day of two fleets while capacity comes and goes")


def endpoint_scaling() -> str:
    """Two endpoints under a load that rises and falls, as it was recorded."""
    from . import curve, scaling_record

    recorded = scaling_record.read((DOCS / "images" / "endpoint-scaling.json").read_text())
    return curve.draw(recorded, title="Endpoints whose size follows their load")


if __name__ == "__main__":
    sys.path.append(str(lambda_root()))  # a source root like the others, which nobody installs
    for path in build(DOCS):
        print(path.relative_to(ROOT))
