// The controls of the form, one for each input of the schema. A control is {node, read(),
// write(value)}; read() returns undefined for "not given" and throws an Error for what can't be
// sent. A control of several parts also has
//   focusable    the part that the label names and that gets the focus: node by default
//   group        true if the label is about all of its parts
//   name(title)  gives the parts accessible names
//   offer(file, more)  takes a file from elsewhere on the page if it is empty, or if it may have
//                `more` than one, and returns whether it did

/**
 * The properties of Input in their order, with references and enumerations resolved. `x-cog-exact`
 * says more of some than the component does. The flag is `isRequired`, because `required` of an
 * object is the list of its required members.
 */
function inputsOf(schema) {
  const schemas = schema.components.schemas;
  const input = schema["x-cog-exact"]?.Input ?? schemas.Input;
  const required = new Set(input.required ?? []);
  return Object.entries(input.properties ?? {})
    .map(([name, property]) => ({
      ...resolved(property, schemas),
      name,
      isRequired: required.has(name),
    }))
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

/** A title made of a name, as the others have: enumerations come without one. */
const titled = (name) =>
  name.replaceAll("_", " ").replace(/(^| )\w/g, (letter) => letter.toUpperCase());

/** The control for a property. `id` is for its label. */
function control(property, id) {
  if (property.enum) return selectControl(property, id);
  if (isFile(property)) return fileControl(property, id);
  if (isSecret(property)) return secretControl(id);
  if (property["x-cog-any"]) return jsonControl(property, id);
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
const isText = ({ anyOf }) =>
  anyOf?.length > 0 && anyOf.every((member) => member.type === "string");

/**
 * A value in a text box. It may be of any type, because the inputs of a training are shown in the
 * form of predictions.
 */
const written = (value) =>
  value === undefined || value === null ? "" : typeof value === "string" ? value : toJSON(value);

const simple = (items) =>
  items && (items.enum || ["string", "integer", "number", "boolean"].includes(items.type));

function textControl(property, id) {
  const node = el("textarea", {
    id,
    rows: 1,
    spellcheck: false,
    placeholder: property.nullable ? "none" : "",
  });
  return {
    node,
    // With a default, an empty box means the empty string; without one it means "not given".
    read: () =>
      node.value === "" && (property.nullable || property.default === undefined)
        ? undefined
        : node.value,
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
  const blank = property.nullable || (property.default === undefined && !property.isRequired);
  const node = el("select", { id });
  if (blank || property.default === undefined)
    node.append(el("option", { value: "", textContent: blank ? "none" : "choose…" }));
  property.enum.forEach((value, i) =>
    node.append(el("option", { value: String(i), textContent: String(value) })),
  );
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
  const box = el("input", {
    id,
    type: "text",
    inputMode: property.type === "integer" ? "numeric" : "decimal",
    autocomplete: "off",
  });
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
  const slider = el("input", {
    type: "range",
    min: minimum,
    max: maximum,
    step: whole ? 1 : stepFor(maximum - minimum),
    tabIndex: -1,
    "aria-hidden": "true",
  });
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

const placeholderOf = (property) =>
  property["x-cog-any"] ? "JSON" : ({ array: "[…]", object: "{…}" }[property.type] ?? "JSON");

function jsonControl(property, id) {
  const node = el("textarea", {
    id,
    class: "json",
    rows: 3,
    spellcheck: false,
    placeholder: placeholderOf(property),
  });
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
    write: (value) =>
      (node.value = value === undefined || value === null ? "" : toJSON(value, "  ")),
  };
}

function listControl(property, id) {
  const rows = [];
  let title = "";
  let made = 0;
  const list = el("div", { class: "items" });
  const add = el("button", { id, type: "button", textContent: "Add" });
  const item = {
    default: property.items.type === "string" ? "" : undefined,
    ...property.items,
    isRequired: true,
  };
  const rename = () =>
    rows.forEach(({ inner, remove }, i) => {
      const name = `${title} ${i + 1}`;
      (inner.focusable ?? inner.node).setAttribute("aria-label", name);
      inner.name?.(name);
      remove.setAttribute("aria-label", `Remove ${name}`);
    });
  const append = (value) => {
    const inner = control(item, `${id}-${made++}`);
    inner.write(value === undefined ? item.default : value);
    const remove = el("button", { type: "button", textContent: "Remove" });
    const row = { inner, remove, node: el("div", { class: "row" }, inner.node, remove) };
    remove.addEventListener("click", () => {
      rows.splice(rows.indexOf(row), 1);
      row.node.remove();
      rename();
      add.dispatchEvent(new Event("input", { bubbles: true }));
      add.focus();
    });
    rows.push(row);
    list.append(row.node);
    rename();
    return inner;
  };
  add.addEventListener("click", () => {
    const inner = append();
    (inner.focusable ?? inner.node).focus();
  });
  const node = el("div", {}, list, add);
  const files = isFile(item);
  if (files) acceptDrops(node, (dropped) => dropped.forEach((file) => append(file)));
  return {
    node,
    focusable: add,
    group: true,
    name: (text) => {
      title = text;
      rename();
    },
    offer: (file, more) => {
      if (!files || !accepts(item, file)) return false;
      if (rows.some(({ inner }) => inner.offer(file, more))) return true;
      if (rows.length >= (more ? (property.maxItems ?? Infinity) : 1)) return false;
      append(file);
      return true;
    },
    read: () => {
      const values = rows.map((row) => row.inner.read()).filter((value) => value !== undefined);
      return values.length || property.isRequired || property.default !== undefined
        ? values
        : undefined;
    },
    write: (values) => {
      rows.splice(0).forEach((row) => row.node.remove());
      if (Array.isArray(values)) values.forEach((value) => append(value));
    },
  };
}

/** A file from the disk, or the URL of one. */
function fileControl(property, id) {
  let file = null;
  const picker = el("input", { type: "file", id, accept: property["x-cog-accept"] ?? "" });
  const url = el("input", {
    type: "text",
    inputMode: "url",
    placeholder: "or https://…",
    "aria-label": "Address of the file",
    class: "grow",
  });
  const preview = el("div", { class: "preview" });
  const take = (given) => {
    file = given;
    preview.querySelectorAll("img").forEach(({ src }) => URL.revokeObjectURL(src));
    preview.replaceChildren();
    if (!file) return;
    url.value = "";
    pick(picker, file);
    if (file.type.startsWith("image/"))
      preview.append(el("img", { src: URL.createObjectURL(file), alt: "" }));
    preview.append(
      el("span", { class: "quiet", textContent: `${file.name}, ${bytes(file.size)}` }),
    );
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
    name: (title) => url.setAttribute("aria-label", `Address of ${title}`),
    offer: (given) => {
      if (file || url.value.trim() || !accepts(property, given)) return false;
      take(given);
      return true;
    },
    read: () => file ?? (url.value.trim() || undefined),
    write: (value) => {
      picker.value = "";
      take(value instanceof File ? value : null);
      url.value = typeof value === "string" ? value : "";
    },
  };
}

/** Make a picker show a dropped or pasted file as if it had been chosen there. */
function pick(picker, file) {
  if (picker.files[0] === file) return;
  const transfer = new DataTransfer();
  transfer.items.add(file);
  picker.files = transfer.files;
}

function bytes(n) {
  for (const unit of ["bytes", "kB", "MB"]) {
    if (n === 1) return `1 ${unit.replace(/s$/, "")}`;
    if (n < 1000) return `${unit === "bytes" ? n : n.toFixed(1)} ${unit}`;
    n /= 1000;
  }
  return `${n.toFixed(1)} GB`;
}
