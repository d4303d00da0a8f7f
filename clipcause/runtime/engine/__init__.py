"""A function over shards, on whatever there is: this process, many processes, a Ray cluster.

The science says what one shard's result is (a ``Task``); the engine says where it is computed.
Neither knows of the other, and no engine changes a byte of a result.
"""

from clipcause.runtime.engine.mapping import mapped
from clipcause.runtime.engine.shardwise import shardwise
from clipcause.runtime.engine.task import Task

__all__ = ["Task", "mapped", "shardwise"]
