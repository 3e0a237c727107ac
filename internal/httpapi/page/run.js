// One prediction at a time: sends it, follows its events, shows its progress and result.

/** Bytes above which a file is uploaded instead of sent inside the request. */
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

/**
 * Server-sent events of a response as they arrive. Clicks and frames come in between, however many
 * there are.
 */
async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = []; // an event may be large: its pieces are joined once, when it is whole
  let last = "";
  let since = performance.now();
  for (;;) {
    // A broken connection counts as the end.
    const { value, done } = await reader.read().catch(() => ({ done: true }));
    if (done) return;
    rest.push(value);
    const whole = (last + value).includes("\n\n");
    last = value.slice(-1);
    if (!whole) continue;
    const parts = rest.join("").split("\n\n");
    rest = [parts.pop()];
    for (const part of parts) {
      const event = parsed(part);
      if (event.type) yield event;
      if (performance.now() - since < 10) continue;
      await nextTask();
      since = performance.now();
    }
  }
}

function parsed(part) {
  const event = { id: "", type: "", data: "" };
  for (const line of part.split("\n")) {
    if (line.startsWith("id: ")) event.id = line.slice(4);
    else if (line.startsWith("event: ")) event.type = line.slice(7);
    else if (line.startsWith("data: ")) event.data += line.slice(6);
  }
  return event;
}

/** Run is enabled while the page does not follow a prediction and the model can be used. */
const runButton = {
  running: false,
  usable: true,
  set(state) {
    Object.assign(runButton, state);
    $("run").disabled = runButton.running || !runButton.usable;
    $("fields").disabled = !runButton.usable;
  },
};

/** Whether an input is a secret, or a list of them. */
const holdsSecret = (property) =>
  isSecret(property) || Boolean(property.items && holdsSecret(property.items));

class Runner {
  /** `changed()` is called when a prediction starts or finishes, or when the server is busy. */
  constructor(form, schema, recent, changed) {
    this.form = form;
    this.output = schema.components.schemas.Output ?? {};
    this.recent = recent;
    this.changed = changed;
    this.secrets = new Set(
      inputsOf(schema)
        .filter(holdsSecret)
        .map(({ name }) => name),
    );
    this.id = null;
    this.following = null;
    this.shown = null; // the finished prediction that is shown
    this.logs = new LogView((share) => ($("progress").value = share));
    this.raw = new RawView();
    this.kept = new Kept(this.output);
    this.metrics = new Map();
    this.frame = new OnceAFrame(() => this.#drawMetrics());
    this.turn = new Turn(() => this.run());
    $("cancel").addEventListener("click", () => this.cancel());
    $("keep").addEventListener("click", () => this.kept.keep(this.shown));
  }

  /**
   * Send the values of the form, and follow the prediction. The old result stays until the server
   * has accepted it.
   */
  async run() {
    const values = this.form.read();
    if (!values) return this.turn.stop();
    this.form.clear();
    this.#error(this.shown?.error);
    runButton.set({ running: true });
    try {
      const { id, raw } = await this.#send(values);
      if ($("result").getBoundingClientRect().top > innerHeight)
        $("result").scrollIntoView({ block: "start" }); // on a phone
      this.changed();
      await this.follow(id, raw);
    } catch (error) {
      this.refused(error);
    }
  }

  async #send(values) {
    const entries = await Promise.all(
      Object.entries(values).map(async ([name, value]) => [name, await sendable(value)]),
    );
    const headers = { "Content-Type": "application/json", Prefer: "respond-async" };
    const body = (shown) => toJSON({ input: Object.fromEntries(entries.map(shown)) });
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
    const raw = [
      [
        [`POST ${ROOT}/predictions`, ...lines].join("\n"),
        body(([name, value]) => [name, this.secrets.has(name) ? "**********" : value]),
      ],
    ];
    try {
      const response = await ask("/predictions", {
        method: "POST",
        headers,
        body: body((entry) => entry),
      });
      const text = await response.text();
      raw.push([`HTTP ${response.status}`, text]);
      return { id: JSON.parse(text).id, raw };
    } catch (error) {
      if (error.body) this.#showRaw([...raw, [`HTTP ${error.status}`, error.body]]);
      throw error;
    }
  }

  #showRaw(raw) {
    this.raw.clear();
    raw.forEach(([head, body]) => this.raw.add(head, body));
  }

  /** Show a prediction, live or finished. `raw` is its request, if this page has sent it. */
  async follow(id, raw = []) {
    this.following?.abort();
    const following = (this.following = new AbortController());
    this.id = id;
    history.replaceState(null, "", `#${encodeURIComponent(id)}`);
    this.#begin();
    this.#showRaw(raw);
    this.#wait(id, following.signal);
    let last = "";
    this.growing = new GrowingOutput($("output"), this.output);
    for (let attempt = 0; ;) {
      const headers = last ? { "Last-Event-ID": last } : {};
      const asked = ask(`/predictions/${encodeURIComponent(id)}/stream`, {
        headers,
        signal: following.signal,
      });
      const response = await asked.catch((error) => {
        if (following.signal.aborted || error.status === 0) return null;
        throw error;
      });
      for await (const event of response ? events(response) : []) {
        if (following.signal.aborted) return;
        attempt = 0;
        if (event.id) last = event.id;
        this.#apply(event);
        if (event.type === "completed") return;
      }
      if (following.signal.aborted) return;
      if (++attempt > 20) throw new RequestError(0, "The connection was lost.");
      // The connection broke: continue after the last event.
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
  }

  #apply(event) {
    const data = JSON.parse(event.data);
    if (event.type === "start") {
      this.#status("processing");
      this.#worker(data.id);
    }
    if (event.type === "output") this.growing.add(data.chunk);
    if (event.type === "log") this.logs.add(data.data);
    if (event.type === "metric") this.#metric(data.name, data.value);
    if (event.type === "error") this.logs.add(`[${data.skipped} earlier events are not shown]\n`);
    if (event.type === "completed") this.finished(data, event.data);
  }

  /** While the prediction waits for a slot, say how many are before it. */
  async #wait(id, signal) {
    for (;;) {
      await new Promise((resolve) => setTimeout(resolve, 1000));
      if (signal.aborted || $("status").textContent !== "starting") return;
      const place = await this.recent.place(id).catch(() => "");
      if (signal.aborted || $("status").textContent !== "starting") return;
      this.#place(place);
    }
  }

  #place(text) {
    $("place").textContent = text;
    show($("place"), text !== "");
  }

  /** Say which worker of a queue has the prediction. */
  async #worker(id) {
    const worker = await models.worker(id).catch(() => ""); // it may be gone
    if (this.id !== id) return;
    const [host, process = ""] = worker.split("/");
    $("worker").textContent = `on ${host}/${process.slice(0, 6)}`;
    $("worker").title = worker;
    show($("worker"), worker !== "");
  }

  async cancel() {
    if (!this.id) return;
    $("cancel").disabled = true;
    await ask(`/predictions/${encodeURIComponent(this.id)}/cancel`, { method: "POST" }).catch(
      () => {},
    ); // it has finished in the meantime
  }

  #begin() {
    this.turn.stop();
    this.growing?.stop();
    const started = performance.now();
    clearInterval(this.clock);
    this.clock = setInterval(
      () => ($("elapsed").textContent = duration((performance.now() - started) / 1000)),
      100,
    );
    this.shown = null;
    this.logs.clear();
    $("result").scrollTop = 0;
    $("output").replaceChildren();
    this.metrics.clear();
    this.frame.now();
    $("progress").removeAttribute("value");
    for (const id of ["error", "download", "keep", "worker"]) show($(id), false);
    show($("progress"), true);
    show($("cancel"), true);
    $("cancel").disabled = false;
    runButton.set({ running: true });
    this.#status("starting");
  }

  #status(status) {
    $("status").textContent = status;
    $("status").className = statusClass(status);
    show($("status"), true);
    this.#place("");
  }

  #metric(name, value) {
    if (value === null) this.metrics.delete(name);
    else this.metrics.set(name, value);
    this.frame.ask();
  }

  #drawMetrics() {
    const rows = [...this.metrics].map(([name, value]) =>
      el(
        "div",
        {},
        el("dt", { textContent: name }),
        el("dd", { textContent: metricText(name, value) }),
      ),
    );
    $("metrics").replaceChildren(...rows);
  }

  /** Show a finished prediction. `json` is the text of it, in which numbers are not rounded. */
  finished(prediction, json) {
    this.#ended();
    this.#status(prediction.status);
    this.#worker(prediction.id);
    this.shown = prediction;
    this.growing.stop();
    $("output").replaceChildren(resultNode(prediction, this.output));
    this.metrics = new Map(Object.entries(prediction.metrics));
    this.frame.now();
    this.logs.set(prediction.logs);
    this.#error(prediction.error);
    if (prediction.status === "failed") $("logs-box").open = true;
    URL.revokeObjectURL($("download").href);
    $("download").href = URL.createObjectURL(new Blob([json], { type: "application/json" }));
    show($("download"), true);
    show($("keep"), true);
    this.raw.add(`GET ${ROOT}/predictions/${encodeURIComponent(prediction.id)}`, json);
    this.kept.compare(prediction);
    this.changed();
  }

  #ended() {
    clearInterval(this.clock);
    $("elapsed").textContent = "";
    show($("progress"), false);
    show($("cancel"), false);
    runButton.set({ running: false });
  }

  #error(text) {
    $("error").textContent = text ?? "";
    show($("error"), Boolean(text));
  }

  /** Show why a prediction did not start, or can no longer be followed. The old result stays. */
  refused(error) {
    this.#ended();
    if (!this.shown) show($("status"), false);
    this.changed();
    if (error.status === 409 || error.status === 429) return this.turn.offer();
    this.turn.stop();
    if (error.status === 401) return signIn();
    const rest = this.form.explain(error.problems ?? []);
    if (error.problems?.length && !rest.length) return undefined;
    return this.#error([error.message, ...rest].join("\n"));
  }
}

/** The offer to run the values of the form once a slot is free. */
class Turn {
  constructor(run) {
    this.run = run;
    this.waiting = false;
    this.timer = 0;
    $("turn-take").addEventListener("click", () => (this.waiting ? this.stop() : this.#wait()));
  }

  /** Say that the model is busy; a wait that has begun continues. */
  offer() {
    show($("turn"), true);
    if (this.waiting) return this.#wait();
    $("turn-text").textContent = "The model is busy with other predictions.";
    $("turn-take").textContent = "Run when a slot is free";
    return undefined;
  }

  #wait() {
    this.waiting = true;
    $("turn-text").textContent = "The model is busy. This runs when a slot is free.";
    $("turn-take").textContent = "Don't wait";
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.#look(), 1000);
  }

  async #look() {
    const status = await ask("/health-check").then(
      (response) => response.json(),
      () => ({}),
    );
    if (!this.waiting) return;
    if (status.status !== "READY" || $("run").disabled) return this.#wait();
    await this.run();
  }

  stop() {
    clearTimeout(this.timer);
    this.waiting = false;
    show($("turn"), false);
  }
}

/** Durations that are known to be in seconds are shown with the unit. */
function metricText(name, value) {
  if (typeof value !== "number") return jsonText(value);
  return /^predict_time$|_seconds$/.test(name) && value >= 0
    ? duration(value)
    : String(Number(value.toPrecision(6)));
}
