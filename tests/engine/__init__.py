"""Dask's side of a cluster."""
