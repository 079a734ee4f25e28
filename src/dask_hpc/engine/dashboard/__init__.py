"""Dask's dashboard of a cluster: its pages, ours among them, and the private way to them."""
