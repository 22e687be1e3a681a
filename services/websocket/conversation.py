"""What each client frame does: the protocol's verbs over a session and the hub."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, assert_never

from libs.engine.problems import Problem
from libs.messagebus.topic import Topic
from services.websocket import frames
from services.websocket import session as codes
from services.websocket.hub import Hub
from services.websocket.patterns import Pattern, permission_of
from services.websocket.session import Session, Subscription

#: Frames that are none before the connection is closed: a client that does not learn is broken.
MAX_BAD_FRAMES: Final = 10

#: Begins a replay: session, subscription, stream, entry id and index the client has seen last.
Resume = Callable[[Session, Subscription, str, str, int], None]


class Conversation:
    """Answers client frames.

    Args:
        hub: Where sessions and topics are.
        resume: Begins the replay of what a client missed.
    """

    def __init__(self, hub: Hub, resume: Resume) -> None:
        self._hub = hub
        self._resume = resume

    def on_text(self, session: Session, payload: bytes, now_ns: int, server_time_ns: int) -> None:
        """Handle one text frame."""
        if session.is_closed:
            return
        if not session.note_frame(now_ns):
            rate = self._hub.settings.frames_per_second
            self._hub.close(session, codes.TOO_MANY, f"more than {rate} frames a second")
            return
        if len(payload) > self._hub.settings.frame_bytes:
            self._hub.close(session, codes.BAD_FRAMES, f"a frame over {self._hub.settings.frame_bytes} bytes")
            return
        try:
            frame = frames.decode(payload)
        except frames.FrameError as error:
            self._on_bad(session, str(error), now_ns)
            return
        if session.principal is None and not isinstance(frame, frames.Auth):
            self._hub.close(session, codes.UNAUTHENTICATED, "the first frame must be {type: auth, token}")
            return
        self._dispatch(session, frame, now_ns, server_time_ns)

    def _on_bad(self, session: Session, detail: str, now_ns: int) -> None:
        session.bad_frames += 1
        if session.bad_frames >= MAX_BAD_FRAMES:
            self._hub.close(session, codes.BAD_FRAMES, f"{session.bad_frames} frames were none of this dialect")
            return
        remedy = "send JSON text with type auth, subscribe, unsubscribe, ping, heartbeat or stats"
        session.send({"type": "error", "code": "bad-frame", "detail": detail, "remedy": remedy}, now_ns)

    def _dispatch(self, session: Session, frame: frames.ClientFrame, now_ns: int, server_time_ns: int) -> None:
        match frame:
            case frames.Auth():
                self._authenticate(session, frame, now_ns)
            case frames.Subscribe():
                self.subscribe(session, frame, now_ns)
            case frames.Unsubscribe():
                for text in frame.topics:
                    session.subscriptions.pop(text, None)
                self._hub.reroute()
                session.send({"type": "unsubscribed", "id": frame.id, "topics": frame.topics}, now_ns)
            case frames.Ping() | frames.Heartbeat():
                session.send({"type": "pong", "id": frame.id, "server_time_ns": server_time_ns}, now_ns)
            case frames.Stats():
                session.send({"type": "stats", "id": frame.id, **session.describe(now_ns)}, now_ns)
            case _:
                assert_never(frame)

    def _authenticate(self, session: Session, frame: frames.Auth, now_ns: int) -> None:
        try:
            session.principal = self._hub.guard.identify_token(frame.token)
        except Problem as problem:
            self._hub.close(session, codes.UNAUTHENTICATED, f"{problem.code}: {problem.detail}")
            return
        if not session.principal.may("read:system"):
            self._hub.close(session, codes.FORBIDDEN, f"{session.principal.name} may read nothing")
            return
        answer = {"type": "authenticated", "id": frame.id, "user": session.principal.name}
        session.send({**answer, "roles": list(session.principal.roles)}, now_ns)

    # -- subscribing ------------------------------------------------------------------------------

    def subscribe(self, session: Session, frame: frames.Subscribe, now_ns: int) -> None:
        """Take subscriptions in: the answer first, then newest values or what was missed, then live events."""
        accepted: list[tuple[Subscription, tuple[str, str, int] | None]] = []
        rejected: list[dict[str, str]] = []
        for text in dict.fromkeys(frame.topics):
            try:
                subscription = self._admit(session, text, len(accepted))
                begin = self._beginning(subscription, frame.from_[text]) if text in frame.from_ else None
            except _Rejected as reason:
                rejected.append({"topic": text[:200], "code": reason.code, "detail": str(reason)})
                continue
            accepted.append((subscription, begin))
        names = [subscription.pattern.text for subscription, _ in accepted]
        session.send({"type": "subscribed", "id": frame.id, "topics": names, "rejected": rejected}, now_ns)
        for subscription, begin in accepted:
            session.subscriptions[subscription.pattern.text] = subscription
            if begin is not None:
                subscription.is_live = False
                self._resume(session, subscription, *begin)
            elif frame.snapshot:
                for name, data in self._hub.latest(subscription):
                    session.offer(data, name, now_ns)
                session.flush()
        self._hub.reroute()

    def _admit(self, session: Session, text: str, more: int) -> Subscription:
        try:
            subscription = Subscription(Pattern.parse(text))
        except ValueError as error:
            raise _Rejected("bad-topic", str(error)) from None
        if not self._hub.may_exist(subscription):
            raise _Rejected("unknown-topic", f"nothing is published that '{text}' could mean; see /topics")
        limit = self._hub.settings.max_subscriptions
        if text not in session.subscriptions and len(session.subscriptions) + more >= limit:
            raise _Rejected("too-many-subscriptions", f"a client may have {limit} subscriptions")
        for topic in self._meant(subscription):
            permission = permission_of(topic.name)
            if session.principal is None or not session.principal.may(permission):
                raise _Rejected("permission-denied", f"'{topic.name}' needs the permission {permission}")
        return subscription

    def _meant(self, subscription: Subscription) -> list[Topic[Any]]:
        return [topic for topic in self._hub.topics.values() if subscription.pattern.may_match(topic)]

    def _beginning(self, subscription: Subscription, text: str) -> tuple[str, str, int]:
        streams = sorted({topic.stream for topic in self._meant(subscription)})
        if len(streams) != 1:
            detail = f"'{subscription.pattern.text}' spans {len(streams)} streams, and a position belongs to one"
            raise _Rejected("from-needs-one-stream", f"{detail}; subscribe to each topic by itself")
        try:
            return (streams[0], *frames.parse_position(text))
        except ValueError as error:
            raise _Rejected("bad-position", str(error)) from None


class _Rejected(Exception):
    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
