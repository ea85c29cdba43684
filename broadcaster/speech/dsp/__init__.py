"""Sound, from an engine's raw samples to speech fit for air: numpy only, no threads, no I/O."""
