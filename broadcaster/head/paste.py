"""A generated face back into the base picture: resize, colour conversion and blend in the mouth's region only.

Shared by the neural engines. No state but buffers; one thread.
"""
