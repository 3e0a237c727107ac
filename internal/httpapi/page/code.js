// The form's current values as code that asks for the same prediction.

const LANGUAGES = { curl: curlCode, Python: pythonCode, JavaScript: javascriptCode };

const quoteShell = (text) => `'${text.replaceAll("'", `'\\''`)}'`;

/**
 * JSON of the inputs. Each chosen file is replaced by the marker that `file(f, i)` returns: no
 * string contains it.
 */
function withFiles(values, indent, file) {
  const files = [];
  const walk = (value) => {
    if (value instanceof File) {
      files.push(value);
      return new NumberText(file(value, files.length - 1));
    }
    if (Array.isArray(value)) return value.map(walk);
    return value;
  };
  const input = Object.fromEntries(
    Object.entries(values).map(([name, value]) => [name, walk(value)]),
  );
  return toJSON({ input }, indent);
}

const dataPrefix = (file) => `data:${file.type || "application/octet-stream"};base64,`;

function curlCode(values, url, hasToken) {
  const marks = [];
  const body = withFiles(values, "", (file, i) => {
    marks.push(file);
    return `"${dataPrefix(file)}\u0000${i}\u0000"`;
  });
  let text = quoteShell(body);
  marks.forEach(
    (file, i) =>
      (text = text.replace(`\u0000${i}\u0000`, `'"$(base64 -w0 ${quoteShell(file.name)})"'`)),
  );
  const auth = hasToken ? ` \\\n  -H "Authorization: Bearer $TOKEN"` : "";
  if (marks.length)
    return `printf %s ${text} |\ncurl ${quoteShell(url)} \\\n  -H 'Content-Type: application/json'${auth} -d @-`;
  return `curl ${quoteShell(url)} \\\n  -H 'Content-Type: application/json'${auth} \\\n  -d ${text}`;
}

function pythonCode(values, url, hasToken) {
  let files = false;
  const body = withFiles(values, "    ", (file) => {
    files = true;
    return `data_url(${JSON.stringify(file.name)}, ${JSON.stringify(dataPrefix(file))})`;
  });
  // JSON and Python differ in three words; strings stay as they are.
  const literal = body.replace(
    /"(?:[^"\\]|\\.)*"|\b(true|false|null)\b/g,
    (found, word) => ({ true: "True", false: "False", null: "None" })[word] ?? found,
  );
  return [
    files
      ? "import base64\nimport json\nimport pathlib\nimport urllib.request\n"
      : "import json\nimport urllib.request\n",
    files
      ? "\ndef data_url(name, prefix):\n    return prefix + base64.b64encode(pathlib.Path(name).read_bytes()).decode()\n\n"
      : "",
    `body = ${literal}`,
    `request = urllib.request.Request(${JSON.stringify(url)}, json.dumps(body).encode(), {"Content-Type": "application/json"${hasToken ? ', "Authorization": "Bearer …"' : ""}})`,
    `print(json.load(urllib.request.urlopen(request))["output"])`,
  ]
    .filter(Boolean)
    .join("\n");
}

function javascriptCode(values, url, hasToken) {
  let files = false;
  const body = withFiles(values, "  ", (file) => {
    files = true;
    return `${JSON.stringify(dataPrefix(file))} + readFileSync(${JSON.stringify(file.name)}, "base64")`;
  });
  return [
    files ? 'import { readFileSync } from "node:fs";\n' : "",
    `const response = await fetch(${JSON.stringify(url)}, {`,
    `  method: "POST",`,
    `  headers: { "Content-Type": "application/json"${hasToken ? ', Authorization: "Bearer …"' : ""} },`,
    `  body: JSON.stringify(${body.replaceAll("\n", "\n  ")}),`,
    `});`,
    `console.log((await response.json()).output);`,
  ]
    .filter(Boolean)
    .join("\n");
}

/**
 * The tabs, the snippet and the button that copies it. `values()` returns the values of the form,
 * or null.
 */
class CodeBox {
  constructor(values) {
    this.values = values;
    this.language = "curl";
    this.tabs = Object.keys(LANGUAGES).map((name) => {
      const tab = el("button", {
        type: "button",
        role: "tab",
        textContent: name,
        "aria-controls": "snippet",
      });
      tab.addEventListener("click", () => this.choose(name));
      return tab;
    });
    document.querySelector("[role=tablist]").replaceChildren(...this.tabs);
    document
      .querySelector("[role=tablist]")
      .addEventListener("keydown", (event) => this.#arrow(event));
    $("code").addEventListener("toggle", () => this.draw());
    $("copy").addEventListener("click", () => this.copy());
    this.choose("curl");
  }

  #arrow(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const names = Object.keys(LANGUAGES);
    const next = (names.indexOf(this.language) + step + names.length) % names.length;
    this.choose(names[next]);
    this.tabs[next].focus();
  }

  choose(name) {
    this.language = name;
    this.tabs.forEach((tab) => {
      const chosen = tab.textContent === name;
      tab.setAttribute("aria-selected", String(chosen));
      tab.tabIndex = chosen ? 0 : -1;
    });
    this.draw();
  }

  draw() {
    if (!$("code").open) return;
    const values = this.values();
    if (values)
      $("snippet").textContent = LANGUAGES[this.language](
        values,
        `${ROOT}/predictions`,
        token.get() !== null,
      );
  }

  async copy() {
    try {
      await navigator.clipboard.writeText($("snippet").textContent);
      $("copy").textContent = "Copied";
    } catch {
      getSelection().selectAllChildren($("snippet")); // without permission: the user can copy it
      $("copy").textContent = "Selected";
    }
    setTimeout(() => ($("copy").textContent = "Copy"), 1500);
  }
}
