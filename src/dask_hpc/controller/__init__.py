"""Who keeps a cluster alive. It knows no Dask."""
