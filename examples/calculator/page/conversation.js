// What was sent, and what the robots replied to each.

import { hue } from "./robots.js";

const KEPT = 200; // messages

const log = document.querySelector("#log");
const list = document.querySelector("#messages");
const welcome = document.querySelector("#welcome");
const messageTemplate = document.querySelector("#message");
const replyTemplate = document.querySelector("#reply");

export class Conversation {
  #onSpeech;
  #count = 0; // of this connection
  #open = []; // messages that are not answered to the end

  // `onSpeech(robot)`: this robot has just replied.
  constructor(onSpeech) {
    this.#onSpeech = onSpeech;
  }

  sent(text) {
    const item = messageTemplate.content.firstElementChild.cloneNode(true);
    item.querySelector("code").textContent = text;
    this.#count += 1;
    this.#open.push({ number: this.#count, text, head: null, item });
    welcome.hidden = true;
    list.append(item);
    while (list.children.length > KEPT) list.firstElementChild.remove();
    log.scrollTop = log.scrollHeight;
  }

  reply(text) {
    const found = text.match(/^(\d+) 号机器人 \d+ 处理 /);
    if (found) this.#said(text, found[0], Number(found[1]));
    else this.#told(text);
  }

  // The connection is gone, and every reply that was due with it.
  lost() {
    for (const message of this.#open) {
      this.#write(message, "The connection ended before the answer came.", { failed: true });
    }
    this.#open = [];
    this.#count = 0;
  }

  // A robot's words. They hold the text, which may hold anything: so it is looked for, not parsed.
  #said(text, head, robot) {
    const isFirst = ({ head: known, text: sent }) => !known && text === `${head}${sent} 中...`;
    const first = this.#open.find(isFirst);
    if (first) {
      first.head = head;
      this.#write(first, text, { robot });
    } else {
      const isSecond = ({ head: known, text: sent }) => known === head && text.startsWith(`${head}${sent} `);
      const second = this.#open.find(isSecond);
      if (!second) return;
      const failed = text.startsWith(`${head}${second.text} 出错：`);
      this.#write(second, text, { robot, failed, done: true });
    }
    this.#onSpeech(robot);
  }

  // The gateway's words, when no robot can give any: `message 3: worker 4 ended …`.
  #told(text) {
    const number = Number(text.match(/^message (\d+): /)?.[1]);
    const message = this.#open.find((candidate) => candidate.number === number);
    if (message) this.#write(message, text, { failed: true, done: true });
  }

  #write(message, text, { robot, failed = false, done = false }) {
    const line = replyTemplate.content.firstElementChild.cloneNode(true);
    const badge = line.querySelector(".badge");
    if (robot) {
      badge.textContent = robot;
      badge.style.setProperty("--hue", hue(robot));
    } else {
      badge.textContent = "!";
    }
    line.querySelector(".words").textContent = text;
    line.classList.toggle("failed", failed);
    line.classList.toggle("done", done && !failed);
    message.item.querySelector(".waiting")?.remove();
    const nearEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 80;
    message.item.append(line);
    if (nearEnd) log.scrollTop = log.scrollHeight;
    if (done) this.#open = this.#open.filter((other) => other !== message);
  }
}
