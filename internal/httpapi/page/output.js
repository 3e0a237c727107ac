// Shows the output of a model: text, media, files, JSON. A model may return anything, so this must
// not fail for any value. The page asks another host only after a click on its name; its content
// security policy forbids other requests.

/** How much of a value is drawn. "Save as JSON" saves all of it. */
const MOST = {
  items: 1000,
  characters: 200_000,
  values: 50_000,
  levels: 20,
  jsonLevels: 100,
  jsonText: 2000,
  address: 8000,
  file: 20_000,
};

/** The extensions by which a URL counts as a medium. */
const ENDINGS = new Map(
  Object.entries({
    image: "png jpg jpeg gif webp avif svg bmp",
    audio: "mp3 wav ogg flac m4a opus",
    video: "mp4 webm mov m4v",
  }).flatMap(([kind, endings]) => endings.split(" ").map((ending) => [ending, kind])),
);

/** The extensions of files whose media type has another name. */
const SUBTYPES = new Map([
  ["plain", "txt"],
  ["jpeg", "jpg"],
  ["svg+xml", "svg"],
  ["mpeg", "mp3"],
  ["x-wav", "wav"],
  ["octet-stream", "bin"],
]);

/**
 * The node for an output of any shape. `schema` is that of components.schemas.Output, and `path`
 * its place in the whole. Files come first, each with its path. The rest follows as text or JSON,
 * with the names of files in their places.
 */
function outputNode(value, schema = {}, path = "") {
  if (value === null || value === undefined)
    return el("p", { class: "quiet", textContent: "No output." });
  if (typeof value === "string") {
    const file = fileOf(value, schema, path);
    return file ? fileNode(file, path) : textNode(value);
  }
  if (typeof value !== "object") return textNode(String(value));
  if (schema["x-cog-array-display"] === "concatenate" && Array.isArray(value))
    return textNode(value.join(""));
  const found = new FilesWithin(value, schema, path);
  const plain =
    Array.isArray(value) && !value.some((item) => item !== null && typeof item === "object");
  if (plain && !found.files.length) return listNode(value);
  const figures = found.files.map(({ file, path }) => fileNode(file, path));
  return el(
    "div",
    {},
    figures.length ? el("div", { class: "grid" }, ...figures) : null,
    found.onlyFiles ? null : jsonNode(found.rest),
  );
}

/** The output of a prediction. Next to an error, a missing output is not mentioned. */
function resultNode({ output, error }, schema) {
  return error && output === null ? "" : outputNode(output, schema);
}

/** The files anywhere in a value, and the value with their names in their places. */
class FilesWithin {
  constructor(value, schema, path) {
    this.files = [];
    this.onlyFiles = true;
    this.left = MOST.values;
    this.path = path;
    this.keys = []; // the path of the current value
    this.rest = this.#walk(value, schema);
    this.onlyFiles &&= this.files.length > 0;
  }

  #walk(value, schema) {
    if (--this.left >= 0) {
      if (typeof value === "string") return this.#string(value, schema);
      if (value !== null && typeof value === "object" && this.keys.length < MOST.levels)
        return this.#members(value, schema);
    }
    this.onlyFiles = false;
    return value;
  }

  /** A large value without files is not copied. */
  #members(value, schema) {
    const list = Array.isArray(value);
    const { properties = {}, additionalProperties } = schema;
    const changed = new Map();
    for (const key of list ? value.keys() : Object.keys(value)) {
      const known = list
        ? schema.items
        : Object.hasOwn(properties, key)
          ? properties[key]
          : additionalProperties;
      this.keys.push(key);
      const walked = this.#walk(value[key], known || {});
      this.keys.pop();
      if (walked !== value[key]) changed.set(key, walked);
    }
    if (!changed.size) return value;
    if (list) return value.map((item, i) => (changed.has(i) ? changed.get(i) : item));
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => [key, changed.has(key) ? changed.get(key) : item]),
    );
  }

  #string(text, schema) {
    if (/^(data|https?):/.test(text) && this.files.length < MOST.items) {
      const path = this.keys.reduce(member, this.path);
      const file = fileOf(text, schema, path);
      if (file) {
        this.files.push({ file, path });
        return `‹${file.name}›`;
      }
    }
    this.onlyFiles = false;
    return text;
  }
}

/** The path of a member or an item as in code. */
function member(path, key) {
  if (typeof key === "number") return `${path}[${key}]`;
  const name = cut(key, 100, 60);
  if (!/^[\p{L}_$][\p{L}\p{N}_$]*$/u.test(name)) return `${path}[${JSON.stringify(name)}]`;
  return path ? `${path}.${name}` : name;
}

/** The name under which a file at a path is saved: mask.png, images-0.png. */
function nameAt(path, ending) {
  const name = path.match(/[\p{L}\p{N}_$-]+/gu)?.join("-") ?? "";
  return `${/^\d*$/.test(name) ? ["output", name].filter(Boolean).join("-") : name.slice(0, 80)}.${ending}`;
}

function textNode(text) {
  return el("div", { class: "text", textContent: cut(text, MOST.characters) });
}

function cut(text, most, shown = most) {
  return text.length > most ? `${text.slice(0, shown)}… (${text.length} characters)` : text;
}

/**
 * The file that a string stands for, or null: {address, kind, name, host}. `kind` is image, audio,
 * video or another word. `host` is the one that serves it, empty for an inlined file and for this
 * server.
 */
function fileOf(text, schema = {}, path = "") {
  return text.startsWith("data:")
    ? inlinedFile(text, path)
    : remoteFile(text, schema.format === "uri");
}

function inlinedFile(text, path) {
  const [, kind, subtype] = /^data:([\w.+-]+)\/([\w.+-]+)[;,]/.exec(text.slice(0, 200)) ?? [];
  if (!kind || !text.includes(",")) return null;
  return {
    address: text,
    kind: kind.toLowerCase(),
    name: nameAt(path, SUBTYPES.get(subtype) ?? subtype),
    host: "",
  };
}

/**
 * A URL counts as a file if the schema says so, or if it has the extension of a medium. One with a
 * user in it does not: it may pretend to be of another host.
 */
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
  return {
    address: url.href,
    kind,
    name: decoded(url.pathname.split("/").pop()) || "file",
    host: url.origin === location.origin ? "" : url.host,
  };
}

function fileNode({ address, kind, name, host }, path) {
  const place = path ? [el("bdi", { class: "path", textContent: path }), ": "] : [];
  if (!host) {
    return el(
      "figure",
      {},
      player(kind, address),
      el(
        "figcaption",
        {},
        ...place,
        el("a", { href: address, download: name, textContent: `Save ${name}` }),
      ),
    );
  }
  const link = el(
    "a",
    { href: address, target: "_blank", rel: "noreferrer" },
    el("bdi", { textContent: name }),
  );
  return el(
    "figure",
    {},
    asking(kind, address, host),
    el("figcaption", {}, ...place, `From ${host}: `, link),
  );
}

function player(kind, address) {
  if (kind === "image") return el("img", { src: address, alt: "Output image" });
  if (kind === "audio") return el("audio", { src: address, controls: true });
  if (kind === "video") return el("video", { src: address, controls: true, loop: true });
  if (/^data:(text\/|application\/json[;,])/i.test(address))
    return el("pre", { textContent: beginning(address), tabIndex: 0 });
  return null;
}

/** The beginning of an inlined file of text. */
function beginning(address) {
  const comma = address.indexOf(",");
  const data = address.slice(comma + 1, comma + 1 + MOST.file);
  const more = address.length > comma + 1 + data.length ? "…" : "";
  if (!/;base64$/i.test(address.slice(0, comma))) return decoded(data) + more;
  try {
    const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
    return new TextDecoder().decode(bytes, { stream: more !== "" }) + more;
  } catch {
    return ""; // it is not base64
  }
}

/**
 * A button that shows a medium of another host in a frame, because the page itself may not ask
 * other hosts.
 */
function asking(kind, address, host) {
  if (!["image", "audio", "video"].includes(kind)) return null;
  const button = el("button", { type: "button", textContent: `Show the ${kind} from ${host}` });
  button.addEventListener("click", () => {
    const src = `${ROOT}/docs/media#${new URLSearchParams({ kind, address })}`;
    button.replaceWith(
      el("iframe", { src, class: kind, title: `The ${kind} from ${host}`, allow: "fullscreen" }),
    );
  });
  return button;
}

/** One of several values, for which "No output." would say too much. */
const itemNode = (value, schema, path) =>
  value === null ? textNode("null") : outputNode(value, schema, path);

function listNode(values) {
  const list = el("div", {}, ...values.slice(0, MOST.items).map((value) => itemNode(value)));
  if (values.length > MOST.items)
    list.append(
      el("p", { class: "quiet", textContent: `… and ${values.length - MOST.items} more` }),
    );
  return list;
}

/**
 * Readable JSON of a value without NumberText. Deep parts and long strings such as inlined files
 * are cut.
 */
function jsonText(value) {
  return cut(
    JSON.stringify(shallow(value, MOST.jsonLevels), null, 2).replace(NUMBERS, inOneLine),
    MOST.characters,
  );
}

/** A list of numbers in JSON with a line for each; strings in JSON do not contain line breaks. */
const NUMBERS = /\[\n[^[\]{}"]{1,500}\]/g;

/** Short lists of numbers, such as a box or a colour, get one line; coordinates fill lines. */
const inOneLine = (list) => list.replace(/\s+/g, " ").replace("[ ", "[").replace(" ]", "]");

function shallow(value, levels) {
  if (typeof value === "string") return cut(value, MOST.jsonText, 200);
  if (value === null || typeof value !== "object") return value;
  if (!levels) return "…";
  if (Array.isArray(value)) return value.map((item) => shallow(item, levels - 1));
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key, shallow(item, levels - 1)]),
  );
}

function jsonNode(value) {
  return el("pre", { textContent: jsonText(value), tabIndex: 0 });
}

/**
 * Output that grows while the model runs, drawn once a frame. Strings are joined; other items are
 * drawn one by one.
 */
class GrowingOutput {
  constructor(root, schema) {
    this.root = root;
    this.items = schema.items ?? {};
    this.concatenated = schema["x-cog-array-display"] === "concatenate";
    this.joined =
      this.concatenated || (this.items.type === "string" && this.items.format !== "uri");
    this.text = null;
    this.room = MOST.characters;
    this.count = 0;
    this.waiting = [];
    this.frame = new OnceAFrame(() => this.#draw());
  }

  add(chunk) {
    if (this.room <= 0) return;
    const index = this.count++;
    if (this.joined && typeof chunk === "string" && !fileOf(chunk, this.items)) {
      this.waiting.push(cut(chunk, this.room) + (this.concatenated ? "" : "\n"));
      this.room -= chunk.length;
    } else {
      this.waiting.push({ chunk, path: `[${index}]` });
      this.room -= MOST.characters / MOST.items;
    }
    this.frame.ask();
  }

  /** Drop the items that are not drawn yet: the whole output replaces them. */
  stop() {
    this.frame.drop();
    this.waiting = [];
  }

  #draw() {
    let strings = [];
    const join = () => {
      if (!strings.length) return;
      if (!this.text) this.root.append((this.text = el("div", { class: "text" })));
      this.text.append(strings.join(""));
      strings = [];
    };
    for (const piece of this.waiting.splice(0)) {
      if (typeof piece === "string") {
        strings.push(piece);
        continue;
      }
      join();
      this.text = null;
      this.root.append(itemNode(piece.chunk, this.items, piece.path));
    }
    join();
  }
}
