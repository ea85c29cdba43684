"""Text to paced, timed speech: how things are read, voice engines, pieces, pacing, and the voice process.

`pipeline` and `client` run in the director's event loop; everything an engine needs (`kokoro`, `g2p`,
`normalise`, `resample`, `loudness`, `process`) runs in the voice process.
"""
