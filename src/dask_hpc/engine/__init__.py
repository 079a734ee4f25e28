"""Dask's side of a cluster: its scheduler, its encryption, its drain, the controller's service."""
