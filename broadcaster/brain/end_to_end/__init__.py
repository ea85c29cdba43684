"""Models that answer with sound of their own."""
