"""For users of a vendor's websocket SDK: a connection that can be given up, and errors that give no secret away."""
