"""What a real cluster's daemon saw, noticed and decided: written as a trace, checked, and played again."""
