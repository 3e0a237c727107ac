// Puts the page together: waits for the model, builds the form, keeps health and the list of
// predictions up to date.

function signIn() {
  show($("login"), true);
  show($("token-problem"), token.get() !== null);
  $("token").focus();
  return null;
}

$("login").addEventListener("submit", (event) => {
  event.preventDefault();
  token.set($("token").value);
  location.reload();
});

let modelSeen = () => {};
let nextLook;

const KIND = { READY: "good", BUSY: "busy", STARTING: "busy" };

/** The state of the server; shown at the top. */
async function health() {
  const state = await (await ask("/health-check")).json();
  $("health").textContent = state.status;
  $("health").className = `pill ${KIND[state.status] ?? "bad"}`;
  $("health").title = state.user_healthcheck_error ?? "";
  $("versions").textContent = [
    `Coggo ${state.version?.coggo ?? ""}`,
    state.version?.python && `Python ${state.version.python}`,
  ]
    .filter(Boolean)
    .join(" · ");
  models.depth(state.queue);
  const unset = ["STARTING", "SETUP_FAILED", "DEFUNCT"].includes(state.status);
  show($("setup"), unset);
  runButton.set({ usable: !unset });
  if (unset) {
    const starting = state.status === "STARTING";
    $("setup-title").textContent = starting ? "Setting up the model" : "The model can't be used";
    if (starting && state.queue && !state.queue.workers)
      $("setup-title").textContent = "Waiting for the first worker";
    $("setup-next").replaceChildren(...nextStep(state.status));
    show($("setup").querySelector("progress"), starting);
    $("setup-logs").textContent = state.setup?.logs ?? ""; // not without the token
  }
  await modelSeen(state);
  return state.status;
}

/** What the operator can do about the state of the server. */
function nextStep(status) {
  const command = (text) => el("code", { textContent: text });
  if (status === "SETUP_FAILED") {
    return [
      "Setup failed. Fix the error at the end of the log, then start the server again; with ",
      command("--reload"),
      ", saving the file is enough. ",
      command("coggo-server check"),
      " in the model's directory finds such errors without serving the model.",
    ];
  }
  if (status === "DEFUNCT")
    return [
      "The model's process died too often. The server's log says why: fix that, then start the server again.",
    ];
  return [];
}

/**
 * Poll the server's health: often while it is not ready, else rarely, and never in a hidden tab.
 */
async function watchHealth() {
  let pause = 1000;
  if (!document.hidden) {
    try {
      const status = await health();
      if (status === "READY" || status === "BUSY") pause = 10000;
      show($("notice"), false);
    } catch {
      $("health").textContent = "unreachable";
      $("health").className = "pill bad";
      $("notice").textContent = "The server can't be reached. This page goes on when it is back.";
      show($("notice"), true);
    }
  }
  clearTimeout(nextLook);
  nextLook = setTimeout(watchHealth, pause);
}
addEventListener("focus", watchHealth); // back from the editor: show the state after the save

/**
 * The model's schema once there is one; null if the user has to do something first: sign in, or
 * choose a model.
 */
async function schema() {
  for (;;) {
    try {
      return await (await ask("/openapi.json")).json();
    } catch (error) {
      if (error.status === 401) return signIn();
      if (error.status === 404) return models.choose(error.message).then(() => null);
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
  }
}

/**
 * The typed values, kept while the page is redrawn: neither defaults, which may have changed, nor
 * files.
 */
const typed = {
  keep(form) {
    const values = {};
    for (const { property, inner } of form.fields) {
      try {
        const value = inner.read();
        if (
          ![value].flat().some((item) => item instanceof File) &&
          toJSON(value ?? null) !== toJSON(property.default ?? null)
        )
          values[property.name] = value;
      } catch {} // half typed
    }
    sessionStorage.setItem("coggo-typed", toJSON(values));
  },
  take() {
    const values = sessionStorage.getItem("coggo-typed");
    sessionStorage.removeItem("coggo-typed");
    return values && JSON.parse(values);
  },
};

/**
 * Reload the page when a model with another signature has replaced the one that it shows. `keep()`
 * is called before.
 */
function watchModel(described, keep) {
  const drawn = JSON.stringify(described);
  let seen = null; // the last setup with the signature of this page
  return async (state) => {
    const setup = state.setup?.started_at;
    if (!["READY", "BUSY"].includes(state.status) || setup === seen) return;
    if (JSON.stringify(await (await ask("/openapi.json")).json()) === drawn) seen = setup;
    else {
      keep();
      location.reload();
    }
  };
}

async function start() {
  watchHealth();
  const described = await schema();
  if (!described) return;
  models.show(described).catch(() => {}); // the page works without the others
  $("about").textContent = described.info?.description ?? "";
  show($("about"), $("about").textContent !== "");
  const form = new Form($("fields"), described);
  const code = new CodeBox(() => {
    try {
      return Object.fromEntries(
        form.fields
          .map(({ property, inner }) => [property.name, inner.read()])
          .filter(([, value]) => value !== undefined),
      );
    } catch {
      return null; // half typed
    }
  });
  const recent = new Recent(described, open);
  const changed = () => Promise.all([recent.draw(), health()]).catch(() => {}); // polled again
  const runner = new Runner(form, described, recent, changed);

  async function open(id) {
    try {
      const prediction = await (await ask(`/predictions/${encodeURIComponent(id)}`)).json();
      form.fill(prediction.input);
      code.draw();
      await runner.follow(id);
    } catch (error) {
      runner.refused(error);
    }
  }

  const said = (text) => ($("said").textContent = text);
  $("inputs").addEventListener("submit", (event) => {
    event.preventDefault();
    if ($("run").disabled) return;
    said("");
    runner.run();
  });
  $("inputs").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) $("inputs").requestSubmit();
  });
  $("inputs").addEventListener("input", () => code.draw());
  show($("take-hint"), form.takesFiles);
  showExamples(form, said, () => code.draw()).catch(() => {}); // the form works without them
  acceptPastes((files) => said(form.take(files)));
  acceptDrops(document.documentElement, (files) => said(form.take(files)));
  $("reset").addEventListener("click", () => {
    said("");
    form.reset();
    code.draw();
  });
  const kept = typed.take();
  if (kept) form.fill(kept);
  modelSeen = watchModel(described, () => typed.keep(form));
  show($("main"), true);
  changed();
  if (location.hash.length > 1)
    await (kept
      ? runner.follow(decoded(location.hash.slice(1))).catch((error) => runner.refused(error))
      : open(decoded(location.hash.slice(1)))); // the page was reloaded
}

start();
