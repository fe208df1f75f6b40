"""Events to incidents: same fault, same neighbourhood, same time."""
