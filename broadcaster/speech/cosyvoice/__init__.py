"""CosyVoice inside the daemon: the official package, driven from the `voice-local` process."""
