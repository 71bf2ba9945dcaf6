// The WebSocket, and how it comes back.

const FIRST_PAUSE = 0.5; // seconds
const LONGEST_PAUSE = 8;

export class Connection {
  #on;
  #socket = null;
  #pause = FIRST_PAUSE;
  #timer = 0;

  // `on.onState(state, seconds)`: "connecting", "open", or "waiting" for so long; `on.onText(text)`;
  // `on.onLost()`: no reply will come any more to what was sent.
  constructor(on) {
    this.#on = on;
    window.addEventListener("online", () => this.#hurry());
    document.addEventListener("visibilitychange", () => document.hidden || this.#hurry());
  }

  open() {
    this.#on.onState("connecting");
    const address = new URL(location.href);
    address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
    address.hash = "";
    const socket = new WebSocket(address);
    this.#socket = socket;
    socket.addEventListener("open", () => {
      this.#pause = FIRST_PAUSE;
      this.#on.onState("open");
    });
    socket.addEventListener("message", ({ data }) => this.#on.onText(String(data)));
    socket.addEventListener("close", () => {
      this.#socket = null;
      this.#on.onLost();
      this.#wait();
    });
  }

  // Whether it could be sent.
  send(text) {
    if (this.#socket?.readyState !== WebSocket.OPEN) {
      this.#hurry();
      return false;
    }
    this.#socket.send(text);
    return true;
  }

  #wait() {
    let left = this.#pause;
    this.#pause = Math.min(this.#pause * 2, LONGEST_PAUSE);
    const tick = () => {
      if (left <= 0) {
        this.#timer = 0;
        this.open();
        return;
      }
      this.#on.onState("waiting", Math.ceil(left));
      const step = Math.min(left, 1);
      left -= step;
      this.#timer = setTimeout(tick, step * 1000);
    };
    tick();
  }

  // Somebody is there: no reason to wait out the pause.
  #hurry() {
    if (this.#timer) {
      clearTimeout(this.#timer);
      this.#timer = 0;
      this.open();
    }
  }
}
