"""The bus on Redis Streams: transport, connection, and a server of our own."""

from libs.messagebus.redis.binary import EmbeddedRedisUnavailable, find_redis_server
from libs.messagebus.redis.server import EmbeddedRedis
from libs.messagebus.redis.transport import RedisTransport

__all__ = ["EmbeddedRedis", "EmbeddedRedisUnavailable", "RedisTransport", "find_redis_server"]
