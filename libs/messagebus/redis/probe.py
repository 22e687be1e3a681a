"""One blocking question to a Redis server: are you there, and who are you? For launchers, outside any event loop."""

from __future__ import annotations

import socket
from dataclasses import dataclass

import hiredis

from libs.messagebus.redis.connection import pack


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What a server says about itself."""

    pid: int
    version: str


def ask_server(port: int, password: str = "", timeout_s: float = 1.0) -> ServerFacts | None:
    """Ask the server on 127.0.0.1; None when nobody answers, or not yet (it still reads its data).

    Args:
        port: TCP port.
        password: Login, ``""`` for none.
        timeout_s: Limit of each step.
    """
    question = pack(("INFO", "server"))
    if password:
        question = pack(("AUTH", password)) + question
    reader = hiredis.Reader()
    replies: list[object] = []
    try:
        with socket.create_connection(("127.0.0.1", port), timeout_s) as connection:
            connection.settimeout(timeout_s)
            # A server that reads its data answers PING with LOADING; INFO it answers even then.
            connection.sendall(question + pack(("PING",)))
            while len(replies) < (3 if password else 2):
                if not (data := connection.recv(65536)):
                    return None
                reader.feed(data)
                while (reply := reader.gets()) is not False:
                    replies.append(reply)
    except (OSError, hiredis.ProtocolError):
        return None
    information, pong = replies[-2:]
    if pong != b"PONG" or not isinstance(information, bytes):
        return None
    facts = dict(line.split(":", 1) for line in information.decode().splitlines() if ":" in line)
    return ServerFacts(int(facts["process_id"]), facts["redis_version"])
