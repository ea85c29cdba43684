"""The room: what the audience sends, on its way into the queue."""

from broadcaster.director.room.room import Room

__all__ = ["Room"]
