"""Programs that run as processes of their own, perhaps by another Python: they import nothing of ClusterWatch."""
