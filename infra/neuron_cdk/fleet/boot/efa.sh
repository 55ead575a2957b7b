#!/bin/bash
# Every EFA interface that was asked for is there. libfabric lists each device several times, once a protocol, under a
# domain named after the device (EC2 user guide, "Get started with EFA and MPI": fi_info -p efa).
set -euo pipefail

count=0
for _ in {1..6}; do
  listed=$(/opt/amazon/efa/bin/fi_info -p efa -t FI_EP_RDM 2>&1 || true)
  count=$(awk '$1 == "domain:" { sub(/-(rdm|dgrm)$/, "", $2); print $2 }' <<< "$listed" | sort -u | wc -l)
  if ((count == EFA_INTERFACES)); then
    echo "efa: $count interface(s)"
    exit 0
  fi
  sleep 5
done
echo "efa: wanted $EFA_INTERFACES interface(s), fi_info lists $count: $(tail -n 3 <<< "$listed" | tr '\n' ' ')" >&2
exit 1
