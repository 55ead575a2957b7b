"""Lambda entry points: the compile path, the controllers of fleets, and what stands around an endpoint's updates.

Each handler module parses its event and logs one line per decision; what is decided lies in modules that know neither
AWS nor the clock; ``aws`` and ``endpoint_aws`` alone speak boto3. Beside boto3, which the runtime has, only the
standard library is used. Every handler may be called twice with the same event, and ends where one call would have.
"""
