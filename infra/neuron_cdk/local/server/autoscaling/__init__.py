"""EC2 Auto Scaling that acts: groups launch and terminate EC2's instance records, on the clock of the server.

``service`` answers the API, ``engine`` is what AWS does meanwhile: it brings every group from what is to what should
be, step by step, and says when it wants to look again. Everything it needs to know is in ``store``, so that it goes on
after a restart as if nothing had been.
"""
