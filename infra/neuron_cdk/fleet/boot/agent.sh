#!/bin/bash
# Memory and disk of the host, by the CloudWatch agent where the AMI has it.
set -euo pipefail

control=/opt/aws/amazon-cloudwatch-agent/bin/amazon-cloudwatch-agent-ctl
if [[ ! -x $control ]]; then
  echo "agent: this AMI has no CloudWatch agent: no memory and disk metrics"
  exit 0
fi
config=/opt/neuron-cdk/agent.json
new=$(
  cat << JSON
{"agent": {"metrics_collection_interval": 60, "omit_hostname": true},
 "metrics": {"namespace": "NeuronCdk/Fleet", "metrics_collected": {
  "mem": {"measurement": ["mem_used_percent"], "append_dimensions": {"Fleet": "$FLEET"}},
  "disk": {"measurement": ["used_percent"], "resources": ["/", "/mnt/scratch"], "drop_device": true,
           "append_dimensions": {"Fleet": "$FLEET"}}}}}
JSON
)
if [[ -f $config && $(< "$config") == "$new" ]] && systemctl is-active --quiet amazon-cloudwatch-agent; then
  echo "agent: running"
  exit 0
fi
printf '%s\n' "$new" > "$config"
"$control" -a fetch-config -m ec2 -s -c "file:$config" > /dev/null
echo "agent: started"
