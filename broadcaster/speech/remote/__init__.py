"""Voices behind a network: one file per engine, each a `VoiceEngine`. Director's event loop."""
