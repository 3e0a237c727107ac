// Small helpers for the page. Text of the model only ever becomes text nodes and attributes, never markup.

const $ = (id) => document.getElementById(id);

/** Make an element: properties are set as properties, `aria-…`, `data-…`, `role` and `for` as attributes. */
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

/** Text with its %-escapes resolved, or as it is where they are broken. */
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** A number kept as the text that was typed: JavaScript would round what is beyond 2^53. */
class NumberText {
  constructor(text) {
    this.text = text;
  }
}

/** JSON text of a value that may hold NumberText. `indent` is the white space of one level, empty for none. */
function toJSON(value, indent = "", level = "") {
  if (value instanceof NumberText) return value.text;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  const list = Array.isArray(value);
  const inner = level + indent;
  const parts = list
    ? value.map((item) => toJSON(item, indent, inner))
    : Object.entries(value).map(([key, item]) => JSON.stringify(key) + ":" + (indent && " ") + toJSON(item, indent, inner));
  const [open, close] = list ? "[]" : "{}";
  if (!parts.length) return open + close;
  if (!indent) return open + parts.join(",") + close;
  return `${open}\n${inner}${parts.join(`,\n${inner}`)}\n${level}${close}`;
}

/** A refusal of the server, or none because it was not reached (status 0). */
class RequestError extends Error {
  constructor(status, detail) {
    super(typeof detail === "string" ? detail : "Some inputs are not valid.");
    this.status = status;
    this.problems = Array.isArray(detail) ? detail : [];
  }
}

/** Where the server's paths begin, without a slash at the end. A proxy may have put it below a path, with other servers beside it. */
const ROOT = new URL(".", location.href).href.slice(0, -1);

const token = {
  key: `coggo-token ${ROOT}`,
  get: () => sessionStorage.getItem(token.key),
  set: (value) => sessionStorage.setItem(token.key, value),
};

/** fetch() with the token of the operator; anything but success is a RequestError. `path` is one of the server's. */
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
  const body = await response.json().catch(() => ({}));
  throw new RequestError(response.status, body.detail ?? body.error ?? response.statusText);
}
