"""MuseTalk 1.0 and 1.5 in real time: the published networks (from diffusers and transformers), our own pipeline.

    layout      what the published files are called, and the networks' configurations
    loading     files -> networks on a device; every fault names its file
    features    sound -> whisper features: the whole clip at once, or a window that slides with the stream
    generator   latents and features -> 256x256 faces, in batches, one batch ahead
    faces       who makes faces for one channel: this process, or an engine server that several channels share
    latents     an avatar's tensors, made once
    engine      port `TalkingHead`

The engine server (`broadcaster head serve`), from the channel inwards:

    remote      the channel's side: port `Faces` over a socket (`link`), in `messages`
    server      the sockets (`socketfile`, `peer`)
    workshop    the thread that works the device, for sessions (`seat`) that share avatars (`shelf`)
    batcher     whose faces go into the next batch

Nothing here imports PyAV, pydantic is imported by the configuration alone, and torch is imported when an engine is
loaded: `import broadcaster.head.musetalk.engine` costs nothing.
"""
