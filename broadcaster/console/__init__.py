"""The web console and the control API: HTTP and websockets inside the director's process and event loop."""
