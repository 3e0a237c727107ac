// The form over all inputs of the model: labels, help and problems around the controls.

/** The form over all inputs. */
class Form {
  constructor(root, schema) {
    this.fields = inputsOf(schema).map((property) => this.#field(property));
    root.replaceChildren(...this.fields.map((field) => field.node));
    root.addEventListener("focusin", ({ target }) => {
      // A browser scrolls only to the line with the caret.
      if (target.matches(":focus-visible")) target.scrollIntoView({ block: "nearest" });
    });
    this.takesFiles = this.fields.some(({ inner }) => inner.offer);
    if (!this.fields.length)
      root.append(el("p", { class: "quiet", textContent: "This model takes no inputs." }));
    this.reset();
  }

  #field(property) {
    const id = `input-${property.name}`;
    const inner = control(property, id);
    const target = inner.focusable ?? inner.node;
    const title = property.title ?? titled(property.name);
    inner.name?.(title);
    if (inner.group) target.setAttribute("aria-label", `${target.textContent} to ${title}`);
    const label = el(
      inner.group ? "span" : "label",
      { id: `${id}-label`, class: "label", for: inner.group ? undefined : id },
      title,
    );
    if (property.isRequired)
      label.append(
        el("span", { class: "required", textContent: " *", "aria-hidden": "true" }),
        el("span", { class: "unseen", textContent: " (required)" }),
      );
    const problem = el("p", { class: "problem", id: `${id}-problem`, hidden: true });
    const kind = el("span", { class: "quiet", id: `${id}-kind`, textContent: hint(property) });
    const help = el("p", {
      class: "help",
      id: `${id}-help`,
      textContent: property.description ?? "",
    });
    target.setAttribute("aria-describedby", `${kind.id} ${help.id} ${problem.id}`);
    const head = el(
      "div",
      { class: "head" },
      label,
      el("code", { textContent: property.name }),
      kind,
    );
    const about = inner.group ? { role: "group", "aria-labelledby": label.id } : {};
    const node = el(
      "div",
      { class: "field", "data-name": property.name, ...about },
      head,
      help,
      inner.node,
      problem,
    );
    node.addEventListener("input", () => show(problem, false));
    return { property, title, inner, target, problem, node };
  }

  reset() {
    this.fields.forEach(({ property, inner }) => inner.write(property.default));
    this.clear();
  }

  /** Fill in the inputs of an earlier prediction; missing ones get their default. */
  fill(values) {
    this.fields.forEach(({ property, inner }) =>
      inner.write(Object.hasOwn(values, property.name) ? values[property.name] : property.default),
    );
    this.clear();
  }

  /**
   * Give each file to the first empty input that accepts it, else to a list that accepts more.
   * Returns in words where they went.
   */
  take(files) {
    const found = files.map((file) => {
      const field =
        this.fields.find(({ inner }) => inner.offer?.(file, false)) ??
        this.fields.find(({ inner }) => inner.offer?.(file, true));
      if (!field) return `No empty input takes ${file.name}.`;
      field.node.dispatchEvent(new Event("input", { bubbles: true }));
      field.node.scrollIntoView({ block: "nearest" });
      return `${file.name} is now in ${field.title}.`;
    });
    return found.join(" ");
  }

  clear() {
    this.fields.forEach((field) => this.#mark(field, ""));
  }

  #mark(field, text) {
    field.problem.textContent = text;
    show(field.problem, text !== "");
    if (field.inner.group) return; // a button is not invalid
    if (text) field.target.setAttribute("aria-invalid", "true");
    else field.target.removeAttribute("aria-invalid");
  }

  /** The given values. If some can't be read, marks these and returns null. */
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

  /** Show the server's problems at their inputs; returns those that do not belong to an input. */
  explain(problems) {
    const rest = [];
    for (const { loc, msg } of problems) {
      const field =
        loc[1] === "input" && this.fields.find(({ property }) => property.name === loc[2]);
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
