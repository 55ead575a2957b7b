#!/bin/bash
# Pinned memory and open files for logins (containers and units state their own), and huge pages for EFA.
set -euo pipefail

cat > /etc/security/limits.d/90-neuron.conf <<'LIMITS'
*  soft  memlock  unlimited
*  hard  memlock  unlimited
*  soft  nofile   1048576
*  hard  nofile   1048576
LIMITS

# libfabric takes its buffers from huge pages. The EFA installer reserves 5128 of 2 MiB (EKS user guide, "Run machine
# learning training with EFA"); an image whose installer did not is brought to the same. The Neuron runtime asks for none.
if ((${EFA_INTERFACES:-0} > 0)); then
  pages=/proc/sys/vm/nr_hugepages
  if (($(< "$pages") < 5128)); then
    echo "vm.nr_hugepages = 5128" > /etc/sysctl.d/90-neuron-efa.conf
    echo 5128 > "$pages"
  fi
  echo "limits: memlock unlimited, nofile 1048576, $(< "$pages") huge pages"
else
  echo "limits: memlock unlimited, nofile 1048576"
fi
