"""What was heard on air and who was there: the conversation, its summary, and notes about viewers."""

from __future__ import annotations

from broadcaster.brain.memory.conversation import Memory

__all__ = ["Memory"]
