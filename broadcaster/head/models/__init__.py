"""Weights that are fetched, not shipped: where they are published, how they come here, and whether they are whole.

    catalogue   which part comes from which repository of which hub, under which licence
    hubs        the two hubs through their own client libraries
    lock        what was fetched, from where, with which sha256
    pulling     hub -> folder: resumable, verified, only what is needed
    linking     a folder that the user has -> folder
    checking    every file's hash, and the names and shapes in it

Runs in the command `broadcaster models`, never in a daemon: a channel on air fetches nothing.
"""
