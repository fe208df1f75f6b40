"""A whole fleet in closed loop: a schedule strikes it, it tells what collectors would read, and does as it is told."""
