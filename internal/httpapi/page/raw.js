// The request and the responses as raw text. It is not parsed, because JavaScript would round
// numbers.

/** How much of it is shown. "Save as JSON" saves all of it. */
const RAW = { string: 2000, characters: 100_000 };

/**
 * JSON with a line for each member. Long strings, such as inlined files, are cut, and so is the
 * whole.
 */
function indented(json) {
  const pieces = [];
  let length = 0;
  let level = 0;
  const put = (piece) => {
    pieces.push(piece);
    length += piece.length;
  };
  const line = () => put(`\n${"  ".repeat(Math.min(level, 20))}`);
  for (let i = 0; i < json.length && length < RAW.characters; i++) {
    const letter = json[i];
    if (letter === '"') {
      const end = stringEnd(json, i);
      put(cut(json.slice(i, end), RAW.string, 200));
      i = end - 1;
    } else if (letter === "{" || letter === "[") {
      put(letter);
      const next = /\S/.exec(json.slice(i + 1, i + 20))?.[0];
      level++;
      if (next !== "}" && next !== "]") line();
    } else if (letter === "}" || letter === "]") {
      level--;
      if (!/[{[]$/.test(pieces.at(-1))) line();
      put(letter);
    } else if (letter === ",") {
      put(letter);
      line();
    } else if (letter === ":") {
      put(": ");
    } else if (!/\s/.test(letter)) {
      put(letter);
    }
  }
  return pieces.join("") + (length < RAW.characters ? "" : "…");
}

/** The index behind the string that begins at `start`. */
function stringEnd(json, start) {
  for (let end = json.indexOf('"', start + 1); end >= 0; end = json.indexOf('"', end + 1)) {
    let slashes = 0;
    while (json[end - 1 - slashes] === "\\") slashes++;
    if (slashes % 2 === 0) return end + 1;
  }
  return json.length;
}

/** The box with both; it is drawn only while it is open. */
class RawView {
  constructor() {
    this.parts = [];
    $("raw-box").addEventListener("toggle", () => this.#draw());
  }

  clear() {
    this.parts = [];
    show($("raw-box"), false);
    this.#draw();
  }

  /** Add a request or an answer: its first lines, and a body of JSON or any other text. */
  add(head, body = "") {
    this.parts.push({ head, body });
    show($("raw-box"), true);
    this.#draw();
  }

  #draw() {
    if (!$("raw-box").open) return $("raw").replaceChildren();
    const texts = this.parts.map(
      ({ head, body }) =>
        `${head}${body && `\n\n${/^\s*[{[]/.test(body) ? indented(body) : cut(body, RAW.characters)}`}`,
    );
    return $("raw").replaceChildren(
      ...texts.map((text) =>
        el("pre", { textContent: text, tabIndex: 0, "aria-label": text.split("\n", 1)[0] }),
      ),
    );
  }
}
