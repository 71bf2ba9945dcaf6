// The page: one WebSocket for the messages, one event stream for the robots.

import { Connection } from "./connection.js";
import { Conversation } from "./conversation.js";
import { Robots } from "./robots.js";

const WORDS = { connecting: "connecting…", open: "connected", waiting: "offline" };

const form = document.querySelector("#form");
const field = document.querySelector("#expression");
const note = document.querySelector("#note");
const pill = document.querySelector("#connection");
const [word, countdown] = pill.children;

const robots = new Robots();
const conversation = new Conversation((robot) => robots.speak(robot));
const connection = new Connection({
  onState(state, seconds) {
    pill.dataset.state = state;
    // Only a change of the word is read out, not the countdown.
    if (word.textContent !== WORDS[state]) word.textContent = WORDS[state];
    countdown.textContent = seconds ? `, retry in ${seconds} s` : "";
    if (state === "open") tell("");
  },
  onText: (text) => conversation.reply(text),
  onLost: () => conversation.lost(),
});

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const text = field.value.trim();
  if (!text) return;
  if (!connection.send(text)) {
    tell("Not connected: what you typed stays here until the connection is back.");
    return;
  }
  conversation.sent(text);
  history.add(text);
  field.value = "";
  tell("");
  field.focus();
});

// What was sent, as in a shell.
const history = {
  sent: [],
  at: 0,
  draft: "",
  add(text) {
    if (this.sent.at(-1) !== text) this.sent.push(text);
    this.at = this.sent.length;
  },
  move(step) {
    const at = Math.min(Math.max(this.at + step, 0), this.sent.length);
    if (at === this.at) return;
    if (this.at === this.sent.length) this.draft = field.value;
    this.at = at;
    field.value = this.sent[at] ?? this.draft;
    field.setSelectionRange(field.value.length, field.value.length);
  },
};

field.addEventListener("keydown", (event) => {
  if (event.isComposing || event.ctrlKey || event.altKey || event.metaKey || event.shiftKey) return;
  const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
  if (step) {
    event.preventDefault();
    history.move(step);
  }
});

for (const button of document.querySelectorAll("[data-try]")) {
  button.addEventListener("click", () => {
    field.value = button.dataset.try;
    field.focus();
  });
}

function tell(text) {
  note.textContent = text;
  note.hidden = !text;
}

robots.watch("robots");
connection.open();
