"""From what a model writes to what may be spoken: thoughts, markup, gestures, errors and refusals are taken out.

Works on a stream: the same text comes out whatever the pieces are that it comes in. Pure; director's event loop.
"""

from broadcaster.brain.cleaning.boilerplate import Unspeakable
from broadcaster.brain.cleaning.cleaner import Cleaner

__all__ = ["Cleaner", "Unspeakable"]
