"""What a cluster is: its spec (wanted), its record (existing), its command lines."""
