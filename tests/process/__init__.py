"""Tests of the room that runs commands."""
