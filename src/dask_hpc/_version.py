"""The version, in a place that needs no import to be read."""

__version__ = "0.1.0"
