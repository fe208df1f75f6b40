"""Grafana boards, one file each, and what builds them."""
