"""What the error replies of Redis mean here, and what the operator can do about each."""

from __future__ import annotations

import re

from libs.messagebus.errors import (
    FencedError,
    MessageBusError,
    StateLostError,
    TransportError,
    TransportRefusedError,
)

#: Replies that go away by themselves or by an operator's hand: the write is kept and sent again.
_REMEDIES = {
    "LOADING": "the server reads its data; it answers when that is done",
    "READONLY": "this server became a replica; point the URL at the primary or wait for the failover to end",
    "MASTERDOWN": "this replica lost its primary; wait for the failover to end",
    "OOM": "the server's memory is full; raise maxmemory or lower the topics' retention",
    "MISCONF": "the server cannot write its disk; free space or repair it",
    "BUSY": "a script holds the server; SCRIPT KILL ends it",
    "CLUSTERDOWN": "the cluster is incomplete; wait or repair it",
    "TRYAGAIN": "the cluster is moving the slot",
    "ASK": "the cluster is moving the slot",
    "UNBLOCKED": "the server became a replica while a read waited; the next one asks for the primary",
}

#: Replies that stay until somebody changes a setting.
_REFUSALS = {
    "NOAUTH": "the server wants a password; put it into the URL",
    "WRONGPASS": "user name or password is wrong; correct the URL",
    "NOPERM": "the user lacks a permission; the bus needs the stream, hash, string and scripting commands",
    "DENIED": "the server is in protected mode; give it a password or bind it to 127.0.0.1",
    "MOVED": "the keys live on another node of the cluster; write redis+cluster:// in the URL",
    "WRONGTYPE": "a key of the bus holds something else; use another prefix or database",
}


#: Codes of our own scripts, and the one that says a script is not loaded.
OWN_CODES = frozenset({"FENCED", "GAP", "LOST", "STALE", "NOSCRIPT"})

#: Redis 6.2 wraps what failed inside a script: "ERR Error running script (call to f_1f...): @user_script:9: -OOM ...".
_WRAPPED = re.compile(r"^ERR Error running script .*?: -([A-Z]+) ")


_AGAIN = "restart this host, which recovers from what is left"


class ReplyError(Exception):
    """An error reply as it came; a value until :func:`meaning_of` says what it means."""

    @property
    def code(self) -> str:
        """The first word: ``NOSCRIPT``, ``LOADING``, ``ERR``; of the inner error where a script failed."""
        wrapped = _WRAPPED.match(str(self))
        return wrapped[1] if wrapped else str(self).partition(" ")[0]

    @property
    def detail(self) -> str:
        """What follows the code."""
        return str(self).partition(" ")[2]


def meaning_of(reply: ReplyError, label: str) -> MessageBusError:
    """The error to raise for an error reply of the server at ``label``.

    Texts of known codes are ours; an unknown reply is quoted. (The login does not come through here: old servers repeat
    the arguments of a command they do not know, and those may be the password.)
    """
    code = reply.code
    if code == "ERR" and "max number of clients" in str(reply):
        return TransportError(f"Redis at {label} must accept a connection, was at its limit; raise maxclients")
    if code in _REMEDIES:
        return TransportError(f"Redis at {label} must accept the command, was {code}: {_REMEDIES[code]}")
    if code in _REFUSALS:
        return TransportRefusedError(f"Redis at {label} must accept the command, was {code}: {_REFUSALS[code]}")
    return TransportRefusedError(f"Redis at {label} must accept the command, was '{reply}'")


def refusal_of(reply: ReplyError, reader: str, epoch: int, number: int) -> MessageBusError:
    """The error to raise when a script refused a commit or a snapshot of ``reader``.

    Args:
        reply: What the script answered.
        reader: Whose commit or snapshot it was.
        epoch: The epoch it carried.
        number: The commit number it carried.
    """
    if reply.code == "FENCED" and 0 < int(reply.detail) < epoch:
        return StateLostError(
            f"epoch of '{reader}' must be {epoch}, was {reply.detail}: the log of the server went backward; {_AGAIN}"
        )
    if reply.code == "FENCED" and reply.detail == "0":
        return FencedError(
            f"epoch of '{reader}' must be {epoch}, was none at all: the log of the server went backward (FLUSHALL, "
            f"restored backup) or never knew it; {_AGAIN}"
        )
    if reply.code == "FENCED":
        return FencedError(
            f"epoch of '{reader}' must be {reply.detail}, was {epoch}: another host of this engine took over; "
            "stop this one"
        )
    if reply.code == "GAP":
        text = f"commit of '{reader}' must be number {reply.detail}, was {number}"
    else:
        text = f"snapshot of '{reader}' must be at commit {reply.detail} or later, was {number}"
    return StateLostError(f"{text}: the log of the server went backward, it lost commits; {_AGAIN}")


def log_lost(reply: ReplyError) -> StateLostError:
    """The error to raise when the server refused a write because its writer knows of something the log has lost."""
    held = "empty" if reply.detail == "0" else "an older one"
    return StateLostError(
        f"the log of the server must hold everything this process has seen in it, was {held}: it went backward (power "
        f"loss, failover, restored backup, FLUSHALL); nothing was written; {_AGAIN}"
    )


def check_not_lost(mark: int, gaps: bytes | None) -> None:
    """Compare what a process knows with what the log says was lost; ``log.lua`` does the same before a write.

    Args:
        mark: Newest stamp the process has seen.
        gaps: The log's own list, ``from-to`` with blanks between; both ends survived.

    Raises:
        StateLostError: If ``mark`` was lost.
    """
    for gap in (gaps or b"").decode().split():
        first, _, last = gap.partition("-")
        if int(first) < mark < int(last):
            raise log_lost(ReplyError(f"LOST {first}"))
