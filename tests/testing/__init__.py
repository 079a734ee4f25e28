"""The stand-ins that tests rest on."""
