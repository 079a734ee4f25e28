"""JupyterLab in the job of a cluster's scheduler, and the way of its user to it."""
