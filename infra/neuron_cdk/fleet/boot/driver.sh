#!/bin/bash
# The last driver for Inferentia1, which newer Neuron AMIs no longer carry (Neuron announcement "Correction: Neuron Driver
# support for Inf1, version 2.24"), from the Neuron repository that the AMI has set up. Held, so that no upgrade moves it.
set -euo pipefail

have=$(modinfo --field version neuron 2> /dev/null || true)
if [[ $have == "$DRIVER".* ]]; then
  echo "driver: $have"
  exit 0
fi
if command -v apt-get > /dev/null; then
  export DEBIAN_FRONTEND=noninteractive
  wait=(-o DPkg::Lock::Timeout=300)
  apt-get "${wait[@]}" update -q
  apt-get "${wait[@]}" install -q -y --allow-downgrades --allow-change-held-packages "aws-neuronx-dkms=$DRIVER.*"
  apt-mark hold aws-neuronx-dkms
else
  yum remove -y aws-neuronx-dkms
  yum install -y "aws-neuronx-dkms-$DRIVER.*"
fi
modprobe --remove neuron || true
modprobe neuron
have=$(modinfo --field version neuron)
echo "driver: $have"
[[ $have == "$DRIVER".* ]] || {
  echo "driver: wanted $DRIVER.*: the Neuron repository of this AMI did not give it" >&2
  exit 1
}
