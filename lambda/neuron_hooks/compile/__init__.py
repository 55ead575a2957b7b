"""From a model that somebody wants compiled to an artifact in the registry, once for everybody who asks.

Lambda starts, in the order of a compile (``docs/architecture.md`` draws it):

- ``compiled_model``: CloudFormation's ``Custom::NeuronCompiledModel``; starts the request machine;
- ``source_changed``: an upload under a watched prefix; starts it, too;
- ``begin_compile``: is the artifact there, is someone making it, or is it ours to make?
- ``join_parts``, ``register_artifact``: after the job; the artifact is joined, checked and published;
- ``record_failure``: after a try that failed; what to try next, or why there is no more;
- ``answer_cloudformation``: the end of the request machine.

And beside it ``image_mirror``: ``Custom::NeuronImageMirror`` copies an image.

The others decide: the key (``artifact``), what must be there first (``needs``), the job's request (``job``), on which
hosts and how often (``tries``), why it failed (``failure``), what it cost (``cost``), how parts make a whole
(``joining``), when an upload is whole (``watching``).
"""
