// The robots, as the event stream tells of them.

const FADE = 1400; // ms, how long one that is gone is still seen; the style sheet fades it
const SPEECH = 900; // ms
const RETRY = 2000; // ms

const WORDS = {
  starting: "is starting",
  ready: "ready",
  held: "does not answer",
  leaving: "on its way out",
  gone: "gone",
};

const list = document.querySelector("#robots");
const nobody = document.querySelector("#nobody");
const summary = document.querySelector("#summary");
const arrivals = document.querySelector("#arrivals");
const template = document.querySelector("#robot");

// A colour for each robot; neighbours in number differ much.
export function hue(robot) {
  return Math.round((215 + robot * 137.5) % 360);
}

export class Robots {
  #shown = new Map(); // number -> its element

  // Follows the stream, and comes back to it when it ends.
  watch(address) {
    const stream = new EventSource(address);
    // First all of them, then each that has changed.
    stream.addEventListener("workers", ({ data }) => {
      const told = JSON.parse(data);
      if (Array.isArray(told)) this.#all(told);
      else this.#changed(told);
    });
    stream.addEventListener("open", () => list.classList.remove("stale"));
    stream.addEventListener("error", () => {
      // What is shown may be wrong by now.
      list.classList.add("stale");
      if (stream.readyState === EventSource.CLOSED) setTimeout(() => this.watch(address), RETRY);
    });
  }

  // This robot has just replied.
  speak(number) {
    const element = this.#shown.get(number);
    if (!element) return;
    element.classList.add("speaking");
    clearTimeout(element.speech);
    element.speech = setTimeout(() => element.classList.remove("speaking"), SPEECH);
  }

  // These are all there are.
  #all(robots) {
    const there = new Set(robots.map(({ worker }) => worker));
    for (const number of this.#shown.keys()) {
      if (!there.has(number)) this.#leave(number);
    }
    robots.forEach((robot) => this.#changed(robot));
    this.#sum();
  }

  #changed(robot) {
    if (robot.state === "gone") {
      this.#leave(robot.worker);
    } else {
      const element = this.#shown.get(robot.worker) ?? this.#enter(robot);
      show(element, robot);
    }
    this.#sum();
  }

  #enter(robot) {
    const element = template.content.firstElementChild.cloneNode(true);
    element.dataset.robot = robot.worker;
    element.style.setProperty("--hue", hue(robot.worker));
    element.querySelector(".chest").textContent = robot.worker;
    element.querySelector(".name").textContent = `Robot ${robot.worker}`;
    this.#shown.set(robot.worker, element);
    // In the order of their numbers, which is that of the rotation; the leaving keep their place.
    const after = [...list.children].find((other) => Number(other.dataset.robot) > robot.worker);
    list.insertBefore(element, after ?? null);
    arrivals.textContent = `Robot ${robot.worker} has come.`;
    return element;
  }

  #leave(number) {
    const element = this.#shown.get(number);
    if (!element) return;
    this.#shown.delete(number);
    element.dataset.state = "gone";
    element.querySelector(".state").textContent = WORDS.gone;
    arrivals.textContent = `Robot ${number} has gone.`;
    setTimeout(() => {
      element.remove();
      this.#sum();
    }, FADE);
  }

  #sum() {
    const states = [...this.#shown.values()].map((element) => element.dataset.state);
    const count = (state) => states.filter((one) => one === state).length;
    const parts = [`${count("ready")} ready`];
    if (count("starting")) parts.push(`${count("starting")} starting`);
    if (count("leaving")) parts.push(`${count("leaving")} leaving`);
    summary.textContent = parts.join(", ");
    nobody.hidden = list.children.length > 0;
  }
}

function show(element, { pid, state, jobs, running }) {
  const busy = running > 0;
  element.dataset.state = state;
  element.classList.toggle("busy", busy);
  element.querySelector(".state").textContent =
    busy && state === "ready" ? "at work" : busy && state === "leaving" ? "last work" : (WORDS[state] ?? state);
  const given = jobs === 1 ? "1 message" : `${jobs} messages`;
  element.querySelector(".pid").textContent = `pid ${pid}`;
  element.querySelector(".tally").textContent = given;
}
