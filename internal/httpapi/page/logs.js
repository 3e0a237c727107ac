// The logs of a model while it runs. Because it may write faster than a browser can draw, lines are
// drawn once a frame, and the page has only the last of them until the user asks for all.

/**
 * How much of the logs is in the page. The browser lays out one block at a time, and skips the
 * blocks that are out of sight.
 */
const LOGS = { lines: 2000, block: 100, line: 10_000, progress: 2000 };

class LogView {
  /** `progress(share)` is called when the logs contain the percentage of a progress bar. */
  constructor(progress) {
    this.progress = progress;
    this.box = $("logs");
    this.frame = new OnceAFrame(() => this.#draw());
    $("logs-box").addEventListener("toggle", () => (this.box.scrollTop = this.box.scrollHeight));
    $("logs-all").addEventListener("click", () => this.#all());
    $("logs-save").addEventListener("click", () => save(this.pieces.join(""), "logs.txt"));
    this.clear();
  }

  clear() {
    this.frame.drop();
    this.pieces = []; // in the order of arrival
    this.#empty();
    this.most = LOGS.lines;
    this.box.classList.remove("all");
    show($("logs-box"), false);
    show($("logs-more"), false);
  }

  #empty() {
    this.drawn = 0; // pieces
    this.open = ""; // the last line, while it has no end
    this.lines = 0;
    this.hidden = 0;
    this.box.replaceChildren();
    this.tail = null;
  }

  add(text) {
    if (!text) return;
    this.pieces.push(text);
    this.frame.ask();
  }

  /** Show the logs of a finished prediction; while it ran, the page may have skipped some. */
  set(text) {
    this.pieces = text ? [text] : [];
    this.#empty();
    this.frame.now();
  }

  #all() {
    this.most = Infinity;
    this.box.classList.add("all");
    this.#empty();
    this.frame.now();
  }

  #draw() {
    const text = this.pieces.slice(this.drawn).join("");
    this.drawn = this.pieces.length;
    if (!text) return;
    const atEnd = this.box.scrollHeight - this.box.scrollTop - this.box.clientHeight < 40;
    show($("logs-box"), true);
    this.#percent(text);
    const lines = (this.open + text).split("\n");
    this.open = overwritten(lines.pop());
    this.#append(lines);
    this.#trim();
    this.#drawOpen();
    $("logs-hidden").textContent =
      `${this.hidden.toLocaleString("en")} earlier lines are not shown.`;
    show($("logs-more"), this.hidden > 0);
    if (atEnd) this.box.scrollTop = this.box.scrollHeight;
  }

  #append(lines) {
    const passed = Math.max(0, lines.length - this.most);
    this.hidden += passed;
    for (let i = passed; i < lines.length;) {
      if (!this.block || this.block.count === LOGS.block || !this.block.node.isConnected) {
        this.block = { node: el("div", { class: "lines" }), count: 0 };
        this.box.insertBefore(this.block.node, this.tail);
      }
      const some = lines.slice(i, i + LOGS.block - this.block.count);
      this.block.node.append(some.map((line) => `${shortened(overwritten(line))}\n`).join(""));
      this.block.count += some.length;
      this.block.node.dataset.lines = this.block.count;
      this.lines += some.length;
      i += some.length;
    }
  }

  /** Remove whole blocks from the top. */
  #trim() {
    for (;;) {
      const first = this.box.firstElementChild;
      const count = Number(first?.dataset.lines ?? Infinity);
      if (this.lines - count < this.most) return;
      first.remove();
      this.lines -= count;
      this.hidden += count;
    }
  }

  #drawOpen() {
    if (!this.tail) this.box.append((this.tail = el("div")));
    const text = shortened(this.open);
    if (this.tail.textContent !== text) this.tail.textContent = text;
  }

  #percent(text) {
    const percent = [...text.slice(-LOGS.progress).matchAll(/(\d{1,3})(?:\.\d+)?%/g)].pop();
    if (percent && Number(percent[1]) <= 100) this.progress(Number(percent[1]) / 100);
  }
}

/**
 * Progress bars return to the start of their line: only their last state is shown. A return at the
 * end has not overwritten anything yet.
 */
const overwritten = (line) => line.slice(line.lastIndexOf("\r", line.length - 2) + 1);

const shortened = (line) => cut(line, LOGS.line);
