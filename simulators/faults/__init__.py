"""When parts break, which ones, together with which others, and how long it takes to mend them."""
