"""Shared test bench: a real RTMP server, faulty peers, a puller that analyses a stream, a whole channel."""
