"""The director: what is said next, who may cut in, and what was heard."""

from broadcaster.director.director import Director

__all__ = ["Director"]
