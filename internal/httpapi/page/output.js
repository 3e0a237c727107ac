// Shows what a model returned: text, media, files, JSON. A model may return anything, so nothing here may fail for a value.
// Nothing is asked of another host before somebody clicks on its name; the page's policy forbids it too.

/** How much of a value is drawn: the rest is in what "Save as JSON" saves. */
const MOST = { items: 1000, characters: 200_000, levels: 4, jsonLevels: 100, jsonText: 2000, address: 8000 };

/** The endings of names by which an address counts as a medium. */
const ENDINGS = new Map(
  Object.entries({
    image: "png jpg jpeg gif webp avif svg bmp",
    audio: "mp3 wav ogg flac m4a opus",
    video: "mp4 webm mov m4v",
  }).flatMap(([kind, endings]) => endings.split(" ").map((ending) => [ending, kind])),
);

/** The endings of files whose media type says something else. */
const SUBTYPES = new Map([["plain", "txt"], ["jpeg", "jpg"], ["svg+xml", "svg"], ["mpeg", "mp3"], ["x-wav", "wav"], ["octet-stream", "bin"]]);

/** The node for an output of any shape; `schema` is what components.schemas.Output says of it. */
function outputNode(value, schema = {}, level = 0) {
  if (value === null || value === undefined) return el("p", { class: "quiet", textContent: "No output." });
  if (typeof value === "string") {
    const file = fileOf(value, schema);
    return file ? fileNode(file) : textNode(value);
  }
  if (typeof value !== "object") return textNode(String(value));
  if (level === MOST.levels) return jsonNode(value);
  return Array.isArray(value) ? listNode(value, schema, level + 1) : objectNode(value, schema);
}

function textNode(text) {
  return el("div", { class: "text", textContent: cut(text, MOST.characters) });
}

function cut(text, most, shown = most) {
  return text.length > most ? `${text.slice(0, shown)}… (${text.length} characters)` : text;
}

/**
 * The file that a text stands for, or null: {address, kind, name, host}. `kind` is image, audio, video or another word, and
 * `host` the one that has to be asked for it, empty for an inlined file and for this server.
 */
function fileOf(text, schema = {}) {
  return text.startsWith("data:") ? inlinedFile(text) : remoteFile(text, schema.format === "uri");
}

function inlinedFile(text) {
  const [, kind, subtype] = /^data:([\w.+-]+)\/([\w.+-]+)[;,]/.exec(text.slice(0, 200)) ?? [];
  if (!kind || !text.includes(",")) return null;
  return { address: text, kind: kind.toLowerCase(), name: `output.${SUBTYPES.get(subtype) ?? subtype}`, host: "" };
}

/** An address counts where the schema says so, or where its name ends like a medium's. One with a user in it only looks like another. */
function remoteFile(text, known) {
  if (text.length > MOST.address || !/^https?:\/\/\S+$/.test(text)) return null;
  let url;
  try {
    url = new URL(text);
  } catch {
    return null;
  }
  const kind = ENDINGS.get(url.pathname.split(".").pop().toLowerCase()) ?? "";
  if (url.username || url.password || !(known || kind)) return null;
  return { address: url.href, kind, name: decoded(url.pathname.split("/").pop()) || "file", host: url.origin === location.origin ? "" : url.host };
}

function fileNode({ address, kind, name, host }) {
  if (!host) {
    return el("figure", {}, player(kind, address), el("figcaption", {}, el("a", { href: address, download: name, textContent: `Save ${name}` })));
  }
  const link = el("a", { href: address, target: "_blank", rel: "noreferrer" }, el("bdi", { textContent: name }));
  return el("figure", {}, asking(kind, address, host), el("figcaption", {}, `From ${host}: `, link));
}

function player(kind, address) {
  if (kind === "image") return el("img", { src: address, alt: "Output image" });
  if (kind === "audio") return el("audio", { src: address, controls: true });
  if (kind === "video") return el("video", { src: address, controls: true, loop: true });
  return null;
}

/** A button that shows a medium of another host: in a frame, which may ask other hosts as the page may not. */
function asking(kind, address, host) {
  if (!["image", "audio", "video"].includes(kind)) return null;
  const button = el("button", { type: "button", textContent: `Show the ${kind} from ${host}` });
  button.addEventListener("click", () => {
    const src = `${ROOT}/docs/media#${new URLSearchParams({ kind, address })}`;
    button.replaceWith(el("iframe", { src, class: kind, title: `The ${kind} from ${host}`, allow: "fullscreen" }));
  });
  return button;
}

function listNode(values, schema, level) {
  if (schema["x-cog-array-display"] === "concatenate") return textNode(values.join(""));
  const items = schema.items ?? {};
  const grid = values.some((value) => typeof value === "string" && fileOf(value, items));
  if (!grid && values.some((value) => value !== null && typeof value === "object")) return jsonNode(values);
  const list = el("div", { class: grid ? "grid" : "" }, ...values.slice(0, MOST.items).map((value) => outputNode(value, items, level)));
  if (values.length > MOST.items) list.append(el("p", { class: "quiet", textContent: `… and ${values.length - MOST.items} more` }));
  return list;
}

function objectNode(value, schema) {
  const files = new Map();
  const rest = [];
  for (const [key, item] of Object.entries(value)) {
    const file = typeof item === "string" && files.size < MOST.items ? fileOf(item, schema.properties?.[key]) : null;
    if (file) files.set(key, file);
    else rest.push([key, item]);
  }
  const figures = [...files].map(([key, file]) => {
    const figure = fileNode(file);
    figure.querySelector("figcaption").prepend(el("bdi", { textContent: key }), ": ");
    return figure;
  });
  return el("div", {}, ...figures, rest.length ? jsonNode(Object.fromEntries(rest)) : null);
}

/** Readable JSON of a value without NumberText; what lies deep in it, and long texts such as inlined files, are cut. */
function jsonText(value) {
  return cut(JSON.stringify(shallow(value, MOST.jsonLevels), null, 2), MOST.characters);
}

function shallow(value, levels) {
  if (typeof value === "string") return cut(value, MOST.jsonText, 200);
  if (value === null || typeof value !== "object") return value;
  if (!levels) return "…";
  if (Array.isArray(value)) return value.map((item) => shallow(item, levels - 1));
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, shallow(item, levels - 1)]));
}

function jsonNode(value) {
  return el("pre", { textContent: jsonText(value), tabIndex: 0 });
}

/** Output that grows while the model runs: text is appended, anything else drawn item by item. */
class GrowingOutput {
  constructor(root, schema) {
    this.root = root;
    this.schema = schema;
    this.joined = schema["x-cog-array-display"] === "concatenate" || (schema.items?.type === "string" && schema.items.format !== "uri");
    this.text = null;
    this.room = MOST.characters;
    this.started = false;
  }

  add(chunk) {
    if (!this.started) this.root.replaceChildren();
    this.started = true;
    if (this.room <= 0) return;
    if (this.joined && typeof chunk === "string" && !fileOf(chunk, this.schema.items)) {
      if (!this.text) this.root.append((this.text = el("div", { class: "text" })));
      if (this.text.firstChild && this.schema["x-cog-array-display"] !== "concatenate") this.text.append("\n");
      this.text.append(cut(chunk, this.room));
      this.room -= chunk.length;
    } else {
      this.text = null;
      this.root.append(outputNode(chunk, this.schema.items));
      this.room -= MOST.characters / MOST.items;
    }
  }
}
