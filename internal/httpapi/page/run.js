// One prediction at a time: sends it, follows its events, shows how it goes.

const TERMINAL = ["succeeded", "failed", "canceled"];

/** Bytes above which a file goes by upload instead of inside the request. */
const INLINE = 1 << 20;

async function sendable(value) {
  if (Array.isArray(value)) return Promise.all(value.map(sendable));
  if (!(value instanceof File)) return value;
  if (value.size <= INLINE) return dataURL(value);
  const form = new FormData();
  form.append("content", value, value.name);
  const response = await ask("/v1/files", { method: "POST", body: form });
  return (await response.json()).urls.get;
}

function dataURL(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(new Error(`${file.name} can't be read: ${reader.error.message}`));
    reader.readAsDataURL(file);
  });
}

/** Server-sent events of a response, as they come. */
async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read().catch(() => ({ done: true })); // a connection that breaks is one that ends
    if (done) return;
    const parts = (rest + value).split("\n\n");
    rest = parts.pop();
    for (const part of parts) {
      const event = { id: "", type: "", data: "" };
      for (const line of part.split("\n")) {
        if (line.startsWith("id: ")) event.id = line.slice(4);
        else if (line.startsWith("event: ")) event.type = line.slice(7);
        else if (line.startsWith("data: ")) event.data += line.slice(6);
      }
      if (event.type) yield event;
    }
  }
}

class Runner {
  /** `changed()` is called when a prediction began or ended. */
  constructor(form, schema, changed) {
    this.form = form;
    this.output = schema.components.schemas.Output ?? {};
    this.changed = changed;
    this.id = null;
    this.following = null;
    $("cancel").addEventListener("click", () => this.cancel());
  }

  /** Send what the form holds, and follow it. */
  async run() {
    const values = this.form.read();
    if (!values) return;
    this.form.clear();
    this.#begin();
    if ($("result").getBoundingClientRect().top > innerHeight) $("result").scrollIntoView({ block: "start" }); // on a phone
    try {
      const entries = await Promise.all(Object.entries(values).map(async ([name, value]) => [name, await sendable(value)]));
      const response = await ask("/predictions", {
        method: "POST",
        headers: { "Content-Type": "application/json", Prefer: "respond-async" },
        body: toJSON({ input: Object.fromEntries(entries) }),
      });
      const { id } = await response.json();
      this.changed();
      await this.follow(id);
    } catch (error) {
      this.refused(error);
    }
  }

  /** Show a prediction, live or finished. */
  async follow(id) {
    this.following?.abort();
    const following = (this.following = new AbortController());
    this.id = id;
    history.replaceState(null, "", `#${encodeURIComponent(id)}`);
    this.#begin();
    let last = "";
    let growing = new GrowingOutput($("output"), this.output);
    for (let attempt = 0; ; ) {
      const headers = last ? { "Last-Event-ID": last } : {};
      const asked = ask(`/predictions/${encodeURIComponent(id)}/stream`, { headers, signal: following.signal });
      const response = await asked.catch((error) => {
        if (following.signal.aborted || error.status === 0) return null;
        throw error;
      });
      for await (const event of response ? events(response) : []) {
        attempt = 0;
        if (event.id) last = event.id;
        this.#apply(event, growing);
        if (event.type === "completed") return;
      }
      if (following.signal.aborted) return;
      if (++attempt > 20) throw new RequestError(0, "The connection was lost.");
      await new Promise((resolve) => setTimeout(resolve, 500)); // the connection broke: go on after the last event
    }
  }

  #apply(event, growing) {
    const data = JSON.parse(event.data);
    if (event.type === "start") this.#status("processing");
    if (event.type === "output") growing.add(data.chunk);
    if (event.type === "log") this.#log(data.data);
    if (event.type === "metric") this.#metric(data.name, data.value);
    if (event.type === "error") this.#log(`[${data.skipped} earlier events are not shown]\n`);
    if (event.type === "completed") this.finished(data, event.data);
  }

  async cancel() {
    if (!this.id) return;
    $("cancel").disabled = true;
    await ask(`/predictions/${encodeURIComponent(this.id)}/cancel`, { method: "POST" }).catch(() => {}); // it has ended meanwhile
  }

  #begin() {
    this.started = performance.now();
    clearInterval(this.clock);
    this.clock = setInterval(() => ($("elapsed").textContent = `${((performance.now() - this.started) / 1000).toFixed(1)} s`), 100);
    this.logs = "";
    $("logs").textContent = "";
    $("output").replaceChildren();
    $("metrics").replaceChildren();
    $("progress").removeAttribute("value");
    for (const id of ["logs-box", "error", "download"]) show($(id), false);
    show($("progress"), true);
    show($("cancel"), true);
    $("cancel").disabled = false;
    $("run").disabled = true;
    this.#status("starting");
  }

  #status(status) {
    $("status").textContent = status;
    $("status").className = `pill ${{ succeeded: "good", failed: "bad", canceled: "busy" }[status] ?? "busy"}`;
    show($("status"), true);
  }

  #log(text) {
    const box = $("logs");
    const atEnd = box.scrollHeight - box.scrollTop - box.clientHeight < 40;
    this.logs = withoutOverwritten(this.logs + text);
    box.textContent = this.logs;
    show($("logs-box"), true);
    if (atEnd) box.scrollTop = box.scrollHeight;
    const percent = [...text.matchAll(/(\d{1,3})(?:\.\d+)?%/g)].pop(); // progress bars print one
    if (percent && Number(percent[1]) <= 100) $("progress").value = Number(percent[1]) / 100;
  }

  #metric(name, value) {
    const known = [...$("metrics").children].find((row) => row.dataset.name === name);
    known?.remove();
    if (value === null) return;
    const text = typeof value === "number" ? String(Number(value.toPrecision(6))) : jsonText(value);
    $("metrics").append(el("div", { "data-name": name }, el("dt", { textContent: name }), el("dd", { textContent: text })));
  }

  /** Show how a prediction ended. `json` is the text that it was read from, in which numbers are not rounded. */
  finished(prediction, json) {
    this.#ended();
    this.#status(prediction.status);
    $("output").replaceChildren(outputNode(prediction.output, this.output));
    $("metrics").replaceChildren();
    Object.entries(prediction.metrics).forEach(([name, value]) => this.#metric(name, value));
    $("elapsed").textContent = "";
    this.logs = "";
    if (prediction.logs) this.#log(prediction.logs);
    if (prediction.error) this.#error(prediction.error);
    if (prediction.status === "failed") $("logs-box").open = true;
    URL.revokeObjectURL($("download").href);
    $("download").href = URL.createObjectURL(new Blob([json], { type: "application/json" }));
    show($("download"), true);
    this.changed();
  }

  #ended() {
    clearInterval(this.clock);
    show($("progress"), false);
    show($("cancel"), false);
    $("run").disabled = false;
  }

  #error(text) {
    $("error").textContent = text;
    show($("error"), true);
  }

  /** Show why a prediction was not begun, or can no longer be followed. */
  refused(error) {
    this.#ended();
    show($("status"), false);
    $("elapsed").textContent = "";
    if (error.status === 401) return signIn();
    const rest = this.form.explain(error.problems ?? []);
    if (error.problems?.length && !rest.length) return undefined;
    const busy = error.status === 409 || error.status === 429;
    return this.#error(busy ? "The model is busy with other predictions. Try again in a moment." : [error.message, ...rest].join("\n"));
  }
}

/** Progress bars go back to the start of their line; only their last state is shown. */
function withoutOverwritten(text) {
  return text
    .split("\n")
    .map((line) => line.slice(line.lastIndexOf("\r", line.length - 2) + 1)) // not one at the end: it has overwritten nothing yet
    .join("\n");
}
