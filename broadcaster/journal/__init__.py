"""The journal: accepted prompts before they are acknowledged, and the as-run log (SQLite, WAL)."""

from broadcaster.journal.reading import asrun_rows
from broadcaster.journal.store import Journal, Line, Unfinished

__all__ = ["Journal", "Line", "Unfinished", "asrun_rows"]
