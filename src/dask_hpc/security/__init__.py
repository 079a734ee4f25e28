"""Who may talk to a cluster: its certificates, made on the user's side, and their files."""
