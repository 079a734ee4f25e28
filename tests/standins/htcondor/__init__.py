"""A stand-in for HTCondor: five commands over `tests.standins.jobs`, on this machine alone."""
