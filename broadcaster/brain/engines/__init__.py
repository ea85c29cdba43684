"""Brains behind a network: one file per engine, imported when a channel uses it. Director's event loop."""
