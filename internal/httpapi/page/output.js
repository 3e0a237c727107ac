// Shows what a model returned: text, media, files, JSON.

/** The node for an output of any shape; `schema` is what components.schemas.Output says of it. */
function outputNode(value, schema = {}) {
  if (value === null || value === undefined) return el("p", { class: "quiet", textContent: "No output." });
  if (typeof value === "string") return isFile(value, schema) ? media(value) : el("div", { class: "text", textContent: value });
  if (Array.isArray(value)) return listNode(value, schema);
  if (typeof value === "object") return objectNode(value, schema);
  return el("div", { class: "text", textContent: String(value) });
}

/** An inlined file; an address counts as one where the schema says so, or where its name ends like a medium's. */
function isFile(text, schema = {}) {
  if (/^data:[\w.+-]+\/[\w.+-]+[;,]/.test(text)) return true;
  return /^https?:\/\/\S+$/.test(text) && (schema.format === "uri" || mediaType(text) !== "");
}

function mediaType(address) {
  if (address.startsWith("data:")) return address.slice(5, address.search(/[;,]/)).split("/")[0];
  const ending = address.split(/[?#]/)[0].split(".").pop().toLowerCase();
  if (["png", "jpg", "jpeg", "gif", "webp", "avif", "svg", "bmp"].includes(ending)) return "image";
  if (["mp3", "wav", "ogg", "flac", "m4a", "opus"].includes(ending)) return "audio";
  if (["mp4", "webm", "mov", "m4v"].includes(ending)) return "video";
  return "";
}

function media(address) {
  const type = mediaType(address);
  const link = el("a", { href: address, download: fileName(address), textContent: `Save ${fileName(address)}` });
  const shown = {
    image: () => el("img", { src: address, alt: "Output image" }),
    audio: () => el("audio", { src: address, controls: true }),
    video: () => el("video", { src: address, controls: true, loop: true }),
  }[type];
  return el("figure", {}, shown ? shown() : null, el("figcaption", {}, link));
}

function fileName(address) {
  if (!address.startsWith("data:")) return decodeURIComponent(address.split(/[?#]/)[0].split("/").pop()) || "file";
  const subtype = address.slice(5, address.search(/[;,]/)).split("/")[1] ?? "bin";
  return `output.${{ plain: "txt", jpeg: "jpg", "svg+xml": "svg", mpeg: "mp3", "x-wav": "wav", "octet-stream": "bin" }[subtype] ?? subtype}`;
}

function listNode(values, schema) {
  if (schema["x-cog-array-display"] === "concatenate") return el("div", { class: "text", textContent: values.join("") });
  const items = schema.items ?? {};
  if (!values.some((value) => value !== null && typeof value === "object") || values.some((value) => typeof value === "string" && isFile(value, items))) {
    const grid = values.some((value) => typeof value === "string" && isFile(value, items));
    return el("div", { class: grid ? "grid" : "" }, ...values.map((value) => outputNode(value, items)));
  }
  return jsonNode(values);
}

function objectNode(value, schema) {
  const properties = schema.properties ?? {};
  const files = Object.entries(value).filter(([key, item]) => typeof item === "string" && isFile(item, properties[key]));
  const rest = Object.fromEntries(Object.entries(value).filter(([key]) => !files.some(([name]) => name === key)));
  return el(
    "div",
    {},
    ...files.map(([key, item]) => {
      const figure = media(item);
      figure.querySelector("figcaption").prepend(`${key}: `);
      return figure;
    }),
    Object.keys(rest).length ? jsonNode(rest) : null,
  );
}

/** Readable JSON; long texts, such as inlined files deep inside, are cut. */
function jsonNode(value) {
  const short = (key, item) => (typeof item === "string" && item.length > 2000 ? `${item.slice(0, 200)}… (${item.length} characters)` : item);
  return el("pre", { textContent: JSON.stringify(value, short, 2), tabIndex: 0 });
}

/** Output that grows while the model runs: text is appended, anything else drawn item by item. */
class GrowingOutput {
  constructor(root, schema) {
    this.root = root;
    this.schema = schema;
    this.joined = schema["x-cog-array-display"] === "concatenate" || schema.items?.type === "string" && schema.items.format !== "uri";
    this.text = null;
    this.started = false;
  }

  add(chunk) {
    if (!this.started) this.root.replaceChildren();
    this.started = true;
    if (this.joined && typeof chunk === "string" && !isFile(chunk, this.schema.items)) {
      if (!this.text) this.root.append((this.text = el("div", { class: "text" })));
      if (this.text.firstChild && this.schema["x-cog-array-display"] !== "concatenate") this.text.append("\n");
      this.text.append(chunk);
    } else {
      this.text = null;
      this.root.append(outputNode(chunk, this.schema.items));
    }
  }
}
