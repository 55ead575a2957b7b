"""Lambda entry points: the compile path, releases, the controllers of fleets, what stands around an endpoint's updates.

Each handler module parses its event and logs one line per decision; what is decided lies in modules that know neither
AWS nor the clock; ``aws`` and the modules called ``…_aws`` alone speak boto3. Beside boto3, which the runtime has, only
the standard library is used. Every handler may be called twice with the same event, and ends where one call would have.

``endpoint_``, ``fleet_`` and ``release_`` say whose a module is; what has no such name is the compile path's, or
everybody's (``aws``, ``cloudformation``, ``log``, ``model_events``, ``registry``, ``settings``).
"""
