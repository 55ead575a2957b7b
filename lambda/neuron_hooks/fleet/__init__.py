"""How many instances a fleet has, and in which of its pools.

Lambda starts ``controller``, every minute and for events: it looks (``seen``), learns (``events``,
``launch_failures``), takes orders (``requests``), scales (``scaling``, ``scaling_rules``), decides (``capacity``,
``pool_view``), renews instances (``instance_refresh``), tells (``report``) and remembers (``state``).

``settings`` is what it is told of its fleet.
"""
