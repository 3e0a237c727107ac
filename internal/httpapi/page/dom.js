// Small helpers for the page. Text of the model only ever becomes text nodes and attributes, never
// markup.

const $ = (id) => document.getElementById(id);

/**
 * Make an element: properties are set as properties, `aria-…`, `data-…`, `role` and `for` as
 * attributes.
 */
function el(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null) continue;
    if (/^(aria-|data-|role$|for$|class$)/.test(name)) node.setAttribute(name, value);
    else node[name] = value;
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

function show(node, visible) {
  node.hidden = !visible;
}

/** Text with its %-escapes decoded; unchanged if they are broken. */
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** A number as the text that was typed: JavaScript would round numbers beyond 2^53. */
class NumberText {
  constructor(text) {
    this.text = text;
  }
}

/**
 * JSON text of a value that may contain NumberText. `indent` is the white space of one level, or
 * empty.
 */
function toJSON(value, indent = "", level = "") {
  if (value instanceof NumberText) return value.text;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  const list = Array.isArray(value);
  const inner = level + indent;
  const parts = list
    ? value.map((item) => toJSON(item, indent, inner))
    : Object.entries(value).map(
        ([key, item]) => JSON.stringify(key) + ":" + (indent && " ") + toJSON(item, indent, inner),
      );
  const [open, close] = list ? "[]" : "{}";
  if (!parts.length) return open + close;
  if (!indent) return open + parts.join(",") + close;
  return `${open}\n${inner}${parts.join(`,\n${inner}`)}\n${level}${close}`;
}

/**
 * Draws at most once a frame, however often it is asked: `ask()` before the next frame, `now()`
 * at once, and `drop()` not at all. A hidden tab has no frames: it draws when it becomes visible.
 */
class OnceAFrame {
  constructor(draw) {
    this.draw = draw;
    this.frame = 0;
  }

  ask() {
    this.frame ||= requestAnimationFrame(() => this.now());
  }

  now() {
    this.drop();
    this.draw();
  }

  drop() {
    cancelAnimationFrame(this.frame);
    this.frame = 0;
  }
}

/**
 * Resolves in a new task, so that clicks and frames come in between. Timers would be slow in a
 * hidden tab.
 */
function nextTask() {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });
}

/** A duration for people: 16 ms, 1.2 s, 3 min 5 s, 2 h 4 min. */
function duration(seconds) {
  if (seconds < 0.0995) return `${Number((seconds * 1000).toPrecision(2))} ms`;
  if (seconds < 0.9995) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 59.95) return `${seconds.toFixed(1)} s`;
  const [unit, big, small] = seconds < 3599.5 ? [1, "min", "s"] : [60, "h", "min"];
  const count = Math.round(seconds / unit);
  return `${Math.floor(count / 60)} ${big}${count % 60 ? ` ${count % 60} ${small}` : ""}`;
}

/** The CSS class of the status of a prediction. */
const statusClass = (status) => `pill ${{ succeeded: "good", failed: "bad" }[status] ?? "busy"}`;

/** Offer text as a file. */
function save(text, name, type = "text/plain") {
  const address = URL.createObjectURL(new Blob([text], { type }));
  el("a", { href: address, download: name }).click();
  URL.revokeObjectURL(address);
}

/**
 * An error response of the server; status 0 means that the server was not reached. `body` is the
 * raw text.
 */
class RequestError extends Error {
  constructor(status, detail, body = "") {
    super(typeof detail === "string" ? detail : "Some inputs are not valid.");
    this.status = status;
    this.body = body;
    this.problems = Array.isArray(detail) ? detail : [];
  }
}

/**
 * The base of the server's paths, without a slash at the end. A proxy may have put the server below
 * a path, next to other servers.
 */
const ROOT = new URL(".", location.href).href.slice(0, -1);

const token = {
  key: `coggo-token ${ROOT}`,
  get: () => sessionStorage.getItem(token.key),
  set: (value) => sessionStorage.setItem(token.key, value),
};

/** fetch() with the operator's token, for a path of the server. Any failure is a RequestError. */
async function ask(path, options = {}) {
  const headers = { ...options.headers };
  if (token.get()) headers.Authorization = `Bearer ${token.get()}`;
  let response;
  try {
    response = await fetch(ROOT + path, { ...options, headers });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new RequestError(0, "The server can't be reached.");
  }
  if (response.ok) return response;
  const text = await response.text().catch(() => "");
  throw new RequestError(response.status, reasonIn(text) ?? response.statusText, text);
}

function reasonIn(text) {
  try {
    const body = JSON.parse(text);
    return body.detail ?? body.error;
  } catch {
    return undefined; // a proxy may answer with HTML
  }
}
