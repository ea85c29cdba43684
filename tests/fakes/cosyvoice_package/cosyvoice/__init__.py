"""Stand-in for the official CosyVoice source: see `cli/cosyvoice.py`."""
