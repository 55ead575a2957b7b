"""The AWS CLI: buckets are folders, the Auto Scaling group is a file, and the next calls fail when a file says so."""

import json
import os
import shutil
import sys
import time
from pathlib import Path

STATE = Path(os.environ["INSTANCE_ROOT"]) / "aws"
words = sys.argv[1:]
call = " ".join(words[:2])


def option(name: str) -> str:
    return words[words.index(name) + 1]


with (STATE / "calls").open("a") as calls:
    print(json.dumps(words), file=calls)
failures = STATE / f"fail {call.replace('/', '-')}"
if failures.exists():
    left = int(failures.read_text())
    failures.write_text(str(left - 1)) if left > 1 else failures.unlink()
    sys.exit("Could not connect to the endpoint URL")

if call == "s3 sync":
    source, target = STATE / "s3" / words[2].removeprefix("s3://"), Path(words[3])
    for file in sorted(source.rglob("*")):
        place = target / file.relative_to(source)
        if file.is_dir() or (place.exists() and place.stat().st_size == file.stat().st_size):
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, place)
        with (STATE / "downloaded").open("a") as downloaded:
            print(file.name, file=downloaded)
        hold = STATE / "hold"
        while hold.exists():
            hold.write_text("reached")
            time.sleep(0.05)
elif call == "autoscaling describe-auto-scaling-instances":
    state = (STATE / "lifecycle").read_text()
    entry = {"AutoScalingGroupName": "group-1", "LifecycleState": state}
    print(json.dumps({"AutoScalingInstances": [entry] if state else []}))
elif call == "autoscaling complete-lifecycle-action":
    assert (option("--auto-scaling-group-name"), option("--instance-id")) == ("group-1", "i-1")
    if not (STATE / "lifecycle").read_text().endswith(":Wait"):
        sys.exit("An error occurred (ValidationError): No active Lifecycle Action found")
    (STATE / "lifecycle").write_text((STATE / "lifecycle").read_text().replace(":Wait", ":Proceed"))
    with (STATE / "completed").open("a") as completed:
        print(option("--lifecycle-hook-name"), option("--lifecycle-action-result"), file=completed)
elif call == "ecr get-login-password":
    print("secret-of-" + option("--region"))
elif call not in ("autoscaling record-lifecycle-action-heartbeat", "cloudwatch put-metric-data"):
    sys.exit(f"aws: unknown {call}")
