#!/bin/bash
# The fleet's own commands, once in an instance's life: they need not stand being run again. All of them or none: what
# was half done when the instance died is done from the start.
set -euo pipefail

done=/opt/neuron-cdk/commands.done
if [[ -f $done ]]; then
  echo "commands: done before"
  exit 0
fi
bash -euo pipefail /opt/neuron-cdk/commands
touch "$done"
echo "commands: done"
