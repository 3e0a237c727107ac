// The form: one control for each input of the schema. A control is {node, read(), write(value), focusable}; read() returns
// undefined for "not given" and throws an Error for what can't be sent.

/** The properties of Input in their order, with references and enumerations resolved. */
function inputsOf(schema) {
  const schemas = schema.components.schemas;
  const input = schemas.Input;
  const required = new Set(input.required ?? []);
  return Object.entries(input.properties ?? {})
    .map(([name, property]) => ({ name, required: required.has(name), ...resolved(property, schemas) }))
    .sort((a, b) => (a["x-order"] ?? 0) - (b["x-order"] ?? 0));
}

function resolved(property, schemas) {
  const all = { ...property };
  for (const part of [property, ...(property.allOf ?? [])]) {
    if (part.$ref) {
      const { title, description, ...rest } = schemas[part.$ref.split("/").pop()] ?? {};
      Object.assign(all, { ...rest, ...all });
    }
  }
  if (all.items) all.items = resolved(all.items, schemas);
  return all;
}

/** Enumerations have no title: the name becomes one, as it does for the others. */
const titled = (name) => name.replaceAll("_", " ").replace(/(^| )\w/g, (letter) => letter.toUpperCase());

/** The control for a property. `id` is for its label. */
function control(property, id) {
  if (property.enum) return selectControl(property, id);
  if (property.format === "uri") return fileControl(property, id);
  if (property["x-cog-secret"] || property.format === "password") return secretControl(id);
  switch (property.type) {
    case "boolean":
      return booleanControl(property, id);
    case "integer":
    case "number":
      return numberControl(property, id);
    case "string":
      return textControl(property, id);
    case "array":
      return simple(property.items) ? listControl(property, id) : jsonControl(property, id);
    default:
      return isText(property) ? textControl(property, id) : jsonControl(property, id);
  }
}

/** Whether every value is a string, of a file or not. */
const isText = ({ anyOf }) => anyOf?.length > 0 && anyOf.every((member) => member.type === "string");

/** A value in a box of text: the inputs of a training are shown in the form of predictions, so it may be of any kind. */
const written = (value) => (value === undefined || value === null ? "" : typeof value === "string" ? value : toJSON(value));

const simple = (items) => items && (items.enum || ["string", "integer", "number", "boolean"].includes(items.type));

function textControl(property, id) {
  const node = el("textarea", { id, rows: 1, spellcheck: false, placeholder: property.nullable ? "none" : "" });
  return {
    node,
    // Where there is a default, nothing typed means the empty text; elsewhere it means nothing.
    read: () => (node.value === "" && (property.nullable || property.default === undefined) ? undefined : node.value),
    write: (value) => (node.value = written(value)),
  };
}

function secretControl(id) {
  const node = el("input", { id, type: "password", autocomplete: "off" });
  return { node, read: () => node.value || undefined, write: () => (node.value = "") };
}

function booleanControl(property, id) {
  if (property.nullable) return selectControl({ ...property, enum: [true, false] }, id);
  const node = el("input", { id, type: "checkbox" });
  return { node, read: () => node.checked, write: (value) => (node.checked = value === true) };
}

function selectControl(property, id) {
  const blank = property.nullable || (property.default === undefined && !property.required);
  const node = el("select", { id });
  if (blank || property.default === undefined) node.append(el("option", { value: "", textContent: blank ? "none" : "choose…" }));
  property.enum.forEach((value, i) => node.append(el("option", { value: String(i), textContent: String(value) })));
  return {
    node,
    read: () => (node.value === "" ? undefined : property.enum[Number(node.value)]),
    write: (value) => {
      const at = property.enum.indexOf(value);
      node.value = at >= 0 ? String(at) : "";
      if (node.selectedIndex < 0) node.selectedIndex = 0;
    },
  };
}

const NUMBER = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/;

function numberControl(property, id) {
  const box = el("input", { id, type: "text", inputMode: property.type === "integer" ? "numeric" : "decimal", autocomplete: "off" });
  const number = {
    node: box,
    focusable: box,
    read: () => {
      const text = box.value.trim();
      if (text === "") return undefined;
      if (!NUMBER.test(text)) throw new Error(`${text} is not a number`);
      return new NumberText(text);
    },
    write: (value) => (box.value = written(value)),
  };
  const { minimum, maximum } = property;
  if (minimum === undefined || maximum === undefined) return number;
  const whole = property.type === "integer";
  const slider = el("input", { type: "range", min: minimum, max: maximum, step: whole ? 1 : stepFor(maximum - minimum), tabIndex: -1, "aria-hidden": "true" });
  slider.addEventListener("input", () => {
    box.value = slider.value;
    box.dispatchEvent(new Event("input", { bubbles: true }));
  });
  const follow = () => (slider.value = box.value === "" ? String(minimum) : box.value);
  box.addEventListener("input", follow);
  return {
    ...number,
    node: el("div", { class: "row slider" }, slider, box),
    write: (value) => {
      number.write(value);
      follow();
    },
  };
}

/** About a hundred steps over the range, each a power of ten. */
const stepFor = (range) => 10 ** Math.floor(Math.log10(range / 50 || 1));

function jsonControl(property, id) {
  const node = el("textarea", { id, class: "json", rows: 3, spellcheck: false, placeholder: property.type === "array" ? "[…]" : property.type === "object" ? "{…}" : "JSON" });
  return {
    node,
    read: () => {
      const text = node.value.trim();
      if (text === "") return undefined;
      try {
        JSON.parse(text);
      } catch (error) {
        throw new Error(`This is not JSON: ${error.message}`);
      }
      return new NumberText(text); // sent as it was typed
    },
    write: (value) => (node.value = value === undefined || value === null ? "" : toJSON(value, "  ")),
  };
}

function listControl(property, id) {
  const rows = [];
  const list = el("div", { class: "items" });
  const add = el("button", { id, type: "button", textContent: "Add" });
  const item = { default: property.items.type === "string" ? "" : undefined, ...property.items, required: true };
  const append = (value) => {
    const inner = control(item, `${id}-${Date.now()}-${rows.length}`);
    inner.write(value === undefined ? item.default : value);
    const remove = el("button", { type: "button", textContent: "Remove", "aria-label": `Remove item ${rows.length + 1}` });
    const row = { inner, node: el("div", { class: "row" }, inner.node, remove) };
    remove.addEventListener("click", () => {
      rows.splice(rows.indexOf(row), 1);
      row.node.remove();
      add.dispatchEvent(new Event("input", { bubbles: true }));
      add.focus();
    });
    rows.push(row);
    list.append(row.node);
    return inner;
  };
  add.addEventListener("click", () => {
    const inner = append();
    (inner.focusable ?? inner.node).focus();
  });
  const node = el("div", {}, list, add);
  if (item.format === "uri") acceptDrops(node, (files) => files.forEach((file) => append(file)));
  return {
    node,
    focusable: add,
    read: () => {
      const values = rows.map((row) => row.inner.read()).filter((value) => value !== undefined);
      return values.length || property.required || property.default !== undefined ? values : undefined;
    },
    write: (values) => {
      rows.splice(0).forEach((row) => row.node.remove());
      if (Array.isArray(values)) values.forEach((value) => append(value));
    },
  };
}

/** A file from the disk, or the address of one. */
function fileControl(property, id) {
  let file = null;
  const picker = el("input", { type: "file", id, accept: property["x-cog-accept"] ?? "" });
  const url = el("input", { type: "text", inputMode: "url", placeholder: "or https://…", "aria-label": "Address of the file", class: "grow" });
  const preview = el("div");
  const take = (given) => {
    file = given;
    preview.replaceChildren();
    if (!file) return;
    url.value = "";
    preview.append(el("span", { class: "quiet", textContent: `${file.name}, ${bytes(file.size)}` }));
    if (file.type.startsWith("image/")) preview.append(el("img", { src: URL.createObjectURL(file), alt: "" }));
  };
  const node = el("div", { class: "drop" }, el("div", { class: "row" }, picker, url), preview);
  picker.addEventListener("change", () => take(picker.files[0] ?? null));
  url.addEventListener("input", () => {
    if (!url.value) return;
    picker.value = "";
    take(null);
  });
  acceptDrops(node, ([first]) => take(first));
  return {
    node,
    focusable: picker,
    read: () => file ?? (url.value.trim() || undefined),
    write: (value) => {
      picker.value = "";
      take(value instanceof File ? value : null);
      url.value = typeof value === "string" ? value : "";
    },
  };
}

function acceptDrops(node, take) {
  const over = (event) => {
    if (![...event.dataTransfer.types].includes("Files")) return;
    event.preventDefault();
    event.stopPropagation();
    node.classList.toggle("over", event.type === "dragover");
  };
  node.addEventListener("dragover", over);
  node.addEventListener("dragleave", over);
  node.addEventListener("drop", (event) => {
    over(event);
    if (!event.dataTransfer.files.length) return;
    take([...event.dataTransfer.files]);
    node.dispatchEvent(new Event("input", { bubbles: true }));
  });
}

function bytes(n) {
  for (const unit of ["bytes", "kB", "MB"]) {
    if (n < 1000) return `${unit === "bytes" ? n : n.toFixed(1)} ${unit}`;
    n /= 1000;
  }
  return `${n.toFixed(1)} GB`;
}

/** What a value must look like, in a line. */
function hint(property) {
  const item = property.type === "array" ? property.items ?? {} : property;
  const kind = item.enum ? "choice" : item.format === "uri" ? "file" : item.format === "password" ? "secret" : item.type ?? "any JSON";
  const limits = [
    [item.minimum, "at least"],
    [item.maximum, "at most"],
    [item.minLength, "characters at least"],
    [item.maxLength, "characters at most"],
    [property.minItems, "items at least"],
    [property.maxItems, "items at most"],
    [item.pattern, "pattern"],
  ].filter(([value]) => value !== undefined);
  return [
    property.type === "array" ? `list of ${kind}` : kind,
    ...limits.map(([value, text]) => `${text} ${value}`),
    property.nullable ? "may be empty" : null,
    property.deprecated ? "deprecated" : null,
  ].filter(Boolean).join(", ");
}

/** The form over all inputs. */
class Form {
  constructor(root, schema) {
    this.fields = inputsOf(schema).map((property) => this.#field(property));
    root.replaceChildren(...this.fields.map((field) => field.node));
    if (!this.fields.length) root.append(el("p", { class: "quiet", textContent: "This model takes no inputs." }));
    this.reset();
  }

  #field(property) {
    const id = `input-${property.name}`;
    const inner = control(property, id);
    const target = inner.focusable ?? inner.node;
    const problem = el("p", { class: "problem", id: `${id}-problem`, hidden: true });
    const help = el("p", { class: "quiet", id: `${id}-help` });
    help.textContent = [property.description, hint(property)].filter(Boolean).join("\n");
    target.setAttribute("aria-describedby", `${id}-help ${id}-problem`);
    if (property.required) target.setAttribute("aria-required", "true");
    const label = el("label", { for: id }, property.title ?? titled(property.name));
    if (property.required) label.append(el("span", { class: "required", textContent: " *", "aria-hidden": "true" }));
    const node = el("div", { class: "field", "data-name": property.name }, label, help, inner.node, problem);
    node.addEventListener("input", () => show(problem, false));
    return { property, inner, target, problem, node };
  }

  reset() {
    this.fields.forEach(({ property, inner }) => inner.write(property.default));
    this.clear();
  }

  /** Fill in the inputs of an earlier prediction; what it left out has its default. */
  fill(values) {
    this.fields.forEach(({ property, inner }) => inner.write(Object.hasOwn(values, property.name) ? values[property.name] : property.default));
    this.clear();
  }

  clear() {
    this.fields.forEach((field) => this.#mark(field, ""));
  }

  #mark(field, text) {
    field.problem.textContent = text;
    show(field.problem, text !== "");
    if (text) field.target.setAttribute("aria-invalid", "true");
    else field.target.removeAttribute("aria-invalid");
  }

  /** The values that are given, or null when some can't be read; they are marked then. */
  read() {
    const values = Object.create(null); // an input may have any name
    let bad = null;
    for (const field of this.fields) {
      try {
        const value = field.inner.read();
        if (value !== undefined) values[field.property.name] = value;
      } catch (error) {
        this.#mark(field, error.message);
        bad ??= field;
      }
    }
    bad?.target.focus();
    return bad ? null : values;
  }

  /** Show what the server says is wrong with which input; returns what belongs to none. */
  explain(problems) {
    const rest = [];
    for (const { loc, msg } of problems) {
      const field = loc[1] === "input" && this.fields.find(({ property }) => property.name === loc[2]);
      if (!field) {
        rest.push(`${loc.slice(1).join(".")}: ${msg}`);
        continue;
      }
      const within = loc.slice(3).join(".");
      this.#mark(field, within ? `${within}: ${msg}` : msg);
    }
    this.fields.find(({ problem }) => !problem.hidden)?.target.focus();
    return rest;
  }
}
