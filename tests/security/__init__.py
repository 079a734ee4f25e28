"""Tests of certificates and of their files."""
