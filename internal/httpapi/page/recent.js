// The newest predictions and trainings, each a button that shows it.

/** How many are listed, and the largest response that is read for a thumbnail. */
const RECENT = { count: 10, bytes: 8_000_000, pixels: 96 };

class Recent {
  /** `open(id)` shows one. */
  constructor(schema, open) {
    this.open = open;
    this.trains = Boolean(schema.paths?.["/trainings"]);
    this.inputs = inputsOf(schema).map(({ name }) => name);
    this.draws = mayHoldFile(schema.components.schemas.Output ?? {});
    this.rows = new Map(); // by id, with what was drawn
    this.thumbnails = new Map(); // by id: a small picture, or ""
  }

  /**
   * The predictions and trainings that the server has, newest first; trainings have `training` set.
   */
  async all() {
    const [predictions, trainings] = await Promise.all([
      this.#list("/predictions"),
      this.trains ? this.#list("/trainings") : [],
    ]);
    const known = new Set(predictions.map(({ id }) => id));
    const marks = new Set(trainings.map(({ id }) => id));
    const others = trainings.filter(({ id }) => !known.has(id));
    const all = [...predictions, ...others].map((p) => ({ ...p, training: marks.has(p.id) }));
    return others.length
      ? all.sort((a, b) => Date.parse(b.created_at) - Date.parse(a.created_at) || 0)
      : all;
  }

  async #list(path) {
    return (await (await ask(path)).json()).results;
  }

  /** What a prediction waits for, in words; empty if it runs, or is too far down the list. */
  async place(id) {
    const { concurrency, queue } = await (await ask("/health-check")).json();
    models.depth(queue);
    const [taken, slots] = queue
      ? [queue.running, queue.slots]
      : [concurrency?.current, concurrency?.max];
    if (!concurrency || taken < slots) return "";
    const waiting = (await this.all()).filter(({ status }) => status === "starting");
    const place = waiting.findIndex((p) => p.id === id);
    return place < 0 ? "" : models.place(queue, waiting.length - 1 - place);
  }

  async draw() {
    const shown = (await this.all()).slice(0, RECENT.count);
    const rows = new Map(shown.map((p) => [p.id, this.#row(p)]));
    this.rows = rows;
    for (const id of this.thumbnails.keys()) if (!rows.has(id)) this.thumbnails.delete(id);
    const nodes = shown.length
      ? [...rows.values()].map(({ node }) => node)
      : [el("li", { class: "quiet", textContent: "None yet." })];
    if (
      nodes.some((node, i) => node !== $("recent").children[i]) ||
      nodes.length !== $("recent").children.length
    )
      this.#replace(nodes);
    for (const p of shown) await this.#thumbnail(p, rows.get(p.id).node);
  }

  /** A redraw must not take the focus away. */
  #replace(nodes) {
    const focused = document.activeElement;
    $("recent").replaceChildren(...nodes);
    if (focused !== document.activeElement && focused.isConnected)
      focused.focus({ preventScroll: true });
  }

  #row(p) {
    const drawn = JSON.stringify(p);
    const known = this.rows.get(p.id);
    if (known?.drawn === drawn) return known;
    const seconds = p.metrics?.predict_time;
    const began = new Date(p.created_at);
    const time = Number.isNaN(began.getTime())
      ? null
      : el("time", {
          dateTime: began.toISOString(),
          title: began.toLocaleString(),
          textContent: clock(began),
        });
    const facts = [
      el("span", { class: statusClass(p.status), textContent: p.status }),
      p.training ? el("span", { class: "pill", textContent: "training" }) : null,
      time,
      typeof seconds === "number" ? el("span", { textContent: duration(seconds) }) : null,
      el("code", { textContent: p.id }),
    ];
    const button = el(
      "button",
      { type: "button" },
      el("span", { class: "gist", textContent: this.#gist(p) }),
      el("span", { class: "facts quiet" }, ...facts),
    );
    button.addEventListener("click", () => this.open(p.id));
    return { node: el("li", {}, button), drawn };
  }

  /** The first input, in a line; a number says little without its name. */
  #gist({ input }) {
    if (!input) return "(long inputs)"; // the list leaves them out
    const name = [...this.inputs, ...Object.keys(input)].find(
      (name) => Object.hasOwn(input, name) && input[name] !== null,
    );
    if (name === undefined) return "(no inputs)";
    const value = input[name];
    if (typeof value !== "string") return cut(`${name}: ${JSON.stringify(value)}`, 100);
    return value.startsWith("data:") ? "(a file)" : cut(value.trim(), 100) || '""';
  }

  async #thumbnail(p, node) {
    if (p.status !== "succeeded" || !this.draws || p.training) return;
    if (!this.thumbnails.has(p.id))
      this.thumbnails.set(
        p.id,
        this.#picture(p).catch(() => ""),
      ); // not a picture
    const address = await this.thumbnails.get(p.id);
    if (address && !node.querySelector("img"))
      node.firstElementChild.prepend(el("img", { src: address, alt: "" }));
  }

  /** The first picture in the output, small; pictures of other hosts are not loaded. */
  async #picture(p) {
    let { output } = p;
    if (output === null) {
      // it may be long: the list leaves it out then
      const response = await ask(`/predictions/${encodeURIComponent(p.id)}`);
      if (Number(response.headers.get("Content-Length")) > RECENT.bytes) {
        response.body.cancel();
        return "";
      }
      ({ output } = await response.json());
    }
    const { files } = new FilesWithin(output, {}, "");
    const first = files.find(({ file }) => file.kind === "image" && !file.host);
    return first ? small(first.file.address) : "";
  }
}

/** Whether an output of the schema can hold a file. */
function mayHoldFile({ type, format, items, properties, anyOf }) {
  if (anyOf) return anyOf.some(mayHoldFile);
  if (type === "array" && items) return mayHoldFile(items);
  if (properties) return Object.values(properties).some(mayHoldFile);
  return format === "uri" || !["string", "integer", "number", "boolean"].includes(type);
}

async function small(address) {
  const picture = el("img", { src: address });
  await picture.decode();
  const scale = Math.min(
    1,
    RECENT.pixels / Math.max(picture.naturalWidth, picture.naturalHeight, 1),
  );
  const canvas = el("canvas", {
    width: Math.max(1, picture.naturalWidth * scale),
    height: Math.max(1, picture.naturalHeight * scale),
  });
  canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
  return canvas.toDataURL();
}

/** The time of day, with the date unless it is today. */
function clock(date) {
  const time = date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  if (date.toDateString() === new Date().toDateString()) return time;
  return `${date.toLocaleDateString([], { day: "numeric", month: "short" })}, ${time}`;
}
