"""bsub, bjobs, bkill, bqueues and bhist, as LSF and OpenLava have them, for tests."""
