// Inputs to try, from examples.json next to the model.

/**
 * A button for each example, which fills the form with it, reports to `said` and calls `changed`.
 */
async function showExamples(form, said, changed) {
  const found = await (await ask("/docs/examples.json")).json();
  const buttons = found.map(({ name, input }) => {
    const button = el("button", { type: "button", textContent: name, title: name });
    button.addEventListener("click", async () => {
      button.disabled = true;
      try {
        form.fill(await withFilesOf(form, input));
        changed();
        said(`${name} is now in the form.`);
      } catch (error) {
        said(`${name} can't be read: ${error.message}`);
      }
      button.disabled = false;
      button.focus();
    });
    return button;
  });
  $("examples").append(...buttons);
  show($("examples"), buttons.length > 0);
}

/**
 * The values of an example. In an input for files, a value other than a URL is a path next to the
 * model.
 */
async function withFilesOf(form, input) {
  const kinds = new Map(form.fields.map(({ property }) => [property.name, property]));
  const read = async (value, kind) => {
    if (Array.isArray(value) && kind?.items)
      return Promise.all(value.map((item) => read(item, kind.items)));
    return kind && isFile(kind) && typeof value === "string" && !value.includes(":")
      ? exampleFile(value)
      : value;
  };
  return Object.fromEntries(
    await Promise.all(
      Object.entries(input).map(async ([name, value]) => [
        name,
        await read(value, kinds.get(name)),
      ]),
    ),
  );
}

async function exampleFile(path) {
  const answer = await ask(`/docs/examples/${path.split("/").map(encodeURIComponent).join("/")}`);
  const contents = await answer.blob();
  return new File([contents], path.split("/").pop(), { type: contents.type });
}
