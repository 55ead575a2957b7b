#!/bin/bash
# Prepares a Neuron instance. Safe to run again: every step writes what it wants and starts what it wrote.
set -euo pipefail

# Collective communication and weights pin far more memory than a login session is allowed.
cat > /etc/security/limits.d/90-neuron.conf <<'LIMITS'
*  soft  memlock  unlimited
*  hard  memlock  unlimited
*  soft  nofile   1048576
*  hard  nofile   1048576
LIMITS

cat > /etc/systemd/system/neuron-metrics.service <<UNIT
[Unit]
Description=NeuronCore utilisation to CloudWatch
After=network-online.target
Wants=network-online.target

[Service]
ExecStart=/bin/bash -o pipefail -c '/opt/aws/neuron/bin/neuron-monitor | /usr/bin/python3 /opt/neuron-cdk/neuron_metrics.py "$FLEET" "$REGION"'
Restart=always
RestartSec=10

[Install]
WantedBy=multi-user.target
UNIT
systemctl daemon-reload
systemctl enable --now neuron-metrics.service
