"""What-if: thousands of runs of one synchronous job, to say what a policy or a change of the fleet is worth.

No signals, no database: diagnoses are drawn from a confusion matrix and latencies from quantiles that a replay
measured, and what is then done comes from the same policy as in the daemon, asked once for every situation.
"""
