"""Attempts, interruptions and progress to where the time went, how often it breaks, and which nodes stand out."""

from clusterwatch.goodput.accounting import account
from clusterwatch.goodput.costs import Cost, began_at, costs, lost_by
from clusterwatch.goodput.ledger import MEANING, WINDOWS, Ledger, Reason, Span, windows_of
from clusterwatch.goodput.saving import SavingMeasured, saving_measured

__all__ = [
    "MEANING",
    "WINDOWS",
    "Cost",
    "Ledger",
    "Reason",
    "SavingMeasured",
    "Span",
    "account",
    "began_at",
    "costs",
    "lost_by",
    "saving_measured",
    "windows_of",
]
