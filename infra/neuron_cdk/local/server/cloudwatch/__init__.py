"""CloudWatch on the server's clock: metrics in buckets, alarms that are evaluated and act."""
