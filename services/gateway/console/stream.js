// The websocket: subscribes, reconnects with growing waits, and knows when data last came.

const FIRST_WAIT = 500;
const LONGEST_WAIT = 15_000;
const PING_EVERY = 20_000;

export class Stream {
  constructor({ topics, onData, onState, onOpen, token }) {
    Object.assign(this, { topics, onData, onState, onOpen, token });
    this.wait = FIRST_WAIT;
    this.state = "connecting";
    this.lastData = null; // wall clock of the last message that carries market or portfolio data
    this.retryAt = null;
    this.reason = "";
  }

  connect() {
    clearTimeout(this.timer);
    this.socket?.close(1000);
    this.become("connecting");
    const address = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws`;
    const socket = (this.socket = new WebSocket(address, "nautilus.v1"));
    socket.onmessage = (message) => socket === this.socket && this.receive(JSON.parse(message.data));
    socket.onclose = (event) => socket === this.socket && this.closed(event);
    clearInterval(this.pings);
    this.pings = setInterval(() => this.send({ type: "ping" }), PING_EVERY);
  }

  send(frame) {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(frame));
  }

  receive(frame) {
    if (frame.type === "welcome") {
      if (frame.authenticated) this.subscribe();
      else if (this.token()) this.send({ type: "auth", token: this.token() });
      else this.become("login");
    } else if (frame.type === "authenticated") {
      this.subscribe();
    } else if (frame.type === "subscribed") {
      this.wait = FIRST_WAIT;
      this.become("live");
      this.onOpen();
    } else if (frame.type === "data") {
      // Heartbeats tell that engines live, not that the market moves; a snapshot may be old.
      if (!frame.snapshot && !frame.topic.startsWith("system.")) this.lastData = Date.now();
      this.onData(frame);
    }
  }

  subscribe() {
    this.send({ type: "subscribe", id: 1, topics: this.topics });
  }

  closed(event) {
    this.reason = event.reason || (event.code === 1006 ? "connection lost" : `closed with ${event.code}`);
    if (event.code === 4001 && !this.token()) {
      this.become("login");
      return;
    }
    const wait = this.wait * (0.75 + Math.random() / 2);
    this.wait = Math.min(this.wait * 2, LONGEST_WAIT);
    this.retryAt = Date.now() + wait;
    this.become("lost");
    this.timer = setTimeout(() => this.connect(), wait);
  }

  become(state) {
    this.state = state;
    this.onState(state);
  }
}
