"""Attempts and interruptions to where the time went."""

from clusterwatch.goodput.ledger import Ledger, Reason, Span, account

__all__ = ["Ledger", "Reason", "Span", "account"]
