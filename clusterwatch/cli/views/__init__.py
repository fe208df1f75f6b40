"""Records to what commands show: one JSON answer and one page for each, as pure functions."""
