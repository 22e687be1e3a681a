"""All clients together: routing events to sessions, newest values for snapshots, the passing of time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from libs.engine.auth import Guard
from libs.engine.tokens import ANONYMOUS, Principal
from libs.messagebus.envelope import EventEnvelope
from libs.messagebus.topic import Topic, TopicRegistry
from libs.messagebus.transport import entry_order
from services.websocket import session as codes
from services.websocket.frames import data_body, data_frame, encode
from services.websocket.patterns import BROADCAST, full_name
from services.websocket.session import NS, Session, Socket, Subscription
from services.websocket.settings import WebsocketSettings

#: Topics whose receivers are remembered; past it they are found anew.
_ROUTES: Final = 50_000


def public_topics(registry: TopicRegistry) -> list[Topic[Any]]:
    """What clients may see: everything engines publish, no commands on their way to one."""
    return [topic for topic in registry.by_name.values() if not topic.family.startswith("inbox.")]


class Hub:
    """Sessions and what flows to them.

    Args:
        settings: Limits.
        registry: Topics there are.
        guard: Who may connect and read.
        on_dirty: Called when frames begin to wait; the caller arranges for :meth:`flush`.
        observe_latency: Takes the seconds an event waited here before it was written to the last of its receivers.

    Attributes:
        sessions: By connection id.
        handled: Stream to the position (entry order, index) published last.
        published: Events that came from the bus.
    """

    def __init__(
        self,
        settings: WebsocketSettings,
        registry: TopicRegistry,
        guard: Guard,
        on_dirty: Callable[[], None],
        observe_latency: Callable[[float], None] = lambda _: None,
    ) -> None:
        self.settings = settings
        self.guard = guard
        self.topics = {topic.name: topic for topic in public_topics(registry)}
        self.sessions: dict[str, Session] = {}
        self.handled: dict[str, tuple[tuple[int, int], int]] = {}
        self.published = self.opened = self.refused = self.broadcasts = 0
        self.closed: dict[int, int] = {}
        self._sent_before = 0
        self._on_dirty = on_dirty
        self._observe_latency = observe_latency
        self._dirty: dict[str, Session] = {}
        self._latest: dict[str, EventEnvelope] = {}
        self._routes: dict[str, list[tuple[Session, Subscription]]] = {}

    # -- clients ----------------------------------------------------------------------------------

    def open(
        self,
        socket: Socket,
        principal: Principal | None,
        now_ns: int,
        server_time_ns: int,
        token_required: bool = False,
    ) -> Session | None:
        """Take a client in and welcome it; None (and closed with 1013) when there are too many."""
        self.opened += 1
        if principal is None and self.guard.reads_open and not token_required:
            principal = ANONYMOUS
        session = Session(f"ws-{self.opened}", socket, self.settings, principal, now_ns)
        if len(self.sessions) >= self.settings.max_connections:
            self.refused += 1
            self._close(session, codes.FULL, f"{self.settings.max_connections} clients are connected; try again later")
            return None
        self.sessions[session.connection_id] = session
        limits = self.settings
        session.send(
            {
                "type": "welcome",
                "connection_id": session.connection_id,
                "authenticated": session.principal is not None,
                "limits": {
                    "subscriptions": limits.max_subscriptions, "frame_bytes": limits.frame_bytes,
                    "frames_per_second": limits.frames_per_second, "heartbeat_seconds": limits.heartbeat_seconds,
                    "idle_seconds": limits.idle_seconds, "queue": limits.queue,
                },
                "server_time_ns": server_time_ns,
            },
            now_ns,
        )  # fmt: skip
        return session

    def close(self, session: Session, code: int, reason: str) -> None:
        """End a session, telling the client why."""
        self._close(session, code, reason)
        self.forget(session)

    def _close(self, session: Session, code: int, reason: str) -> None:
        if not session.is_closed:
            session.close(code, reason)
        self.closed[code] = self.closed.get(code, 0) + 1

    def forget(self, session: Session) -> None:
        """A connection is gone."""
        if self.sessions.pop(session.connection_id, None) is not None:
            self._sent_before += session.sent
            self._dirty.pop(session.connection_id, None)
            self.reroute()

    def close_all(self, code: int, reason: str) -> None:
        """End every session."""
        for session in list(self.sessions.values()):
            self.close(session, code, reason)

    def reroute(self) -> None:
        """Subscriptions changed: who receives what is found anew."""
        self._routes.clear()

    # -- events -----------------------------------------------------------------------------------

    def publish(self, envelope: EventEnvelope, now_ns: int) -> None:
        """Give an event to everybody who wants it: encoded once, about 1 us more a receiver."""
        topic = self.topics[envelope.topic]
        key = topic.key_of(envelope.event)
        name = full_name(topic.name, key)
        position = (entry_order(envelope.entry_id), envelope.index)
        self.published += 1
        if topic.conflate:
            self._remember(name, envelope)
        receivers = self._routes.get(name)
        if receivers is None:
            receivers = self._find(name, topic.name, key)
        frame = b""
        last = ""
        for session, subscription in receivers:
            if session.connection_id != last and subscription.wants(topic.stream, *_at(envelope)):
                frame = frame or data_frame(data_body(envelope, name))
                self._offer(session, frame, name if topic.conflate else "", now_ns)
                last = session.connection_id
        self.handled[topic.stream] = position

    def broadcast(self, name: str, frame: bytes, now_ns: int) -> int:
        """Send a frame to everybody subscribed to ``name``; returns how many they are."""
        self.broadcasts += 1
        sessions = {one.connection_id: one for one, subscription in self._find(name, name, "") if subscription.is_live}
        for session in sessions.values():
            self._offer(session, frame, "", now_ns)
        return len(sessions)

    def latest(self, subscription: Subscription) -> Iterator[tuple[str, bytes]]:
        """Newest values of conflated topics a subscription means: topics and frames."""
        for name, envelope in list(self._latest.items()):
            topic = self.topics[envelope.topic]
            if subscription.pattern.matches(topic.name, topic.key_of(envelope.event)):
                yield name, data_frame(data_body(envelope, name), "snapshot")

    def _remember(self, name: str, envelope: EventEnvelope) -> None:
        if name not in self._latest and len(self._latest) >= self.settings.latest_values:
            del self._latest[next(iter(self._latest))]
        self._latest[name] = envelope

    def _find(self, name: str, topic: str, key: str) -> list[tuple[Session, Subscription]]:
        if len(self._routes) >= _ROUTES:
            self._routes.clear()
        found = [
            (session, subscription)
            for session in self.sessions.values()
            for subscription in session.subscriptions.values()
            if subscription.pattern.matches(topic, key)
        ]
        self._routes[name] = found
        return found

    def _offer(self, session: Session, frame: bytes, key: str, now_ns: int) -> None:
        if not self._dirty:
            self._on_dirty()
        self._dirty[session.connection_id] = session
        session.offer(frame, key, now_ns)
        if session.is_closed:
            self.closed[codes.SLOW] = self.closed.get(codes.SLOW, 0) + 1
            self.forget(session)

    def flush(self, now_ns: int) -> None:
        """Write what waits: one write a client for everything of a tick."""
        dirty, self._dirty = self._dirty, {}
        for session in dirty.values():
            if session.queued:
                self._observe_latency((now_ns - session.waiting_since_ns) / NS)
            session.flush()

    # -- time -------------------------------------------------------------------------------------

    def tick(self, now_ns: int, server_time_ns: int) -> None:
        """Called about once a second: heartbeats, deadlines, and a second look at who could not be written to."""
        limits = self.settings
        beat = None
        for session in list(self.sessions.values()):
            principal = session.principal
            if principal is None and now_ns - session.opened_ns >= limits.auth_seconds * NS:
                self.close(session, codes.UNAUTHENTICATED, f"no token came within {limits.auth_seconds:g} s")
            elif principal is not None and principal.expires and principal.expires * NS <= server_time_ns:
                self.close(session, codes.UNAUTHENTICATED, "the token has expired; connect with a new one")
            elif now_ns - session.heard_ns >= limits.idle_seconds * NS:
                self.close(session, codes.IDLE, f"no sign of life for {limits.idle_seconds:g} s")
            elif now_ns - session.beat_ns >= limits.heartbeat_seconds * NS:
                session.beat_ns = now_ns
                session.ping()
                beat = beat or encode({"type": "heartbeat", "server_time_ns": server_time_ns})
                # Under a key: a client that reads slowly finds one heartbeat waiting and not a row of them.
                self._offer(session, beat, "heartbeat", now_ns)
        for session in self.sessions.values():
            session.flush()

    def may_exist(self, subscription: Subscription) -> bool:
        """Whether a pattern can mean anything that is published."""
        pattern = subscription.pattern
        return pattern.matches(BROADCAST, "") or any(pattern.may_match(topic) for topic in self.topics.values())

    @property
    def sent(self) -> int:
        """Messages written to clients since the start."""
        return self._sent_before + sum(session.sent for session in self.sessions.values())


def _at(envelope: EventEnvelope) -> tuple[str, int]:
    return envelope.entry_id, envelope.index
