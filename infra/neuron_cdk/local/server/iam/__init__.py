"""IAM: who may do what, checked where the embedded AWS is asked and where it acts in a role's name.

``policies`` and ``conditions`` decide and know no AWS; ``operations`` and ``s3`` say which actions on which resources a
request is; ``sessions`` is who asks; ``authorization`` brings them together, ``refusals`` says no as AWS does,
``accounting`` counts what each role used, and ``gate`` stands in front of ministack's services.
"""
