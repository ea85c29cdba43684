"""A Douyin live room over the official data push of live mini games.

Douyin posts what happens in the room to an address of ours. Tasks, one for each kind of data, are started over its
API.
"""
