"""Events to jobs, attempts, placements and interruptions."""
