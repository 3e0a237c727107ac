// The models of a queue that servers share: which of them this page shows, and how many predictions
// wait for it. A server with one model has none of this.

const models = {
  /** Whether there may be several. */
  shared: false,
  /** The base of the paths of the server, without the model that the page is about. */
  site: ROOT,

  /** The name that the address of the page has; empty if it has none. */
  chosen: "",

  async list() {
    const { chosen, results } = await (await ask("/models")).json();
    models.chosen = chosen;
    if (chosen) models.site = ROOT.split("/").slice(0, -3).join("/"); // /models/OWNER/NAME
    return results.map(({ name }) => name);
  },

  page: (name) => `${models.site}/models/${name.split("/").map(encodeURIComponent).join("/")}/docs`,

  /** Name the model whose document this is, and offer the others. */
  async show(described) {
    const shown = described["x-coggo-model"] ?? "";
    if (!shown.includes("/")) return; // the server has one model
    models.shared = true;
    document.querySelector("h1").textContent = shown;
    document.title = `${shown} · Coggo`;
    const names = await models.list();
    $("model").replaceChildren(
      ...names.map((name) => el("option", { textContent: name, selected: name === shown })),
    );
    show($("models"), names.length > 1);
    $("model").addEventListener("change", () => location.assign(models.page($("model").value)));
  },

  /** Let the user choose a model, because the path names none that there is. */
  async choose(why) {
    const names = await models.list();
    $("choose-why").textContent = models.chosen ? why : "Several models share this queue.";
    $("choose-list").replaceChildren(
      ...names.map((name) =>
        el("li", {}, el("a", { href: models.page(name), textContent: name })),
      ),
    );
    show($("choose"), true);
  },

  /** Show how the queue is. `queue` is that of a health check. */
  depth(queue) {
    show($("queue"), Boolean(queue?.connected));
    if (!queue?.connected) return;
    const { workers, waiting, running } = queue;
    $("queue").textContent = [
      workers ? `${workers} ${workers === 1 ? "worker" : "workers"}` : "no worker",
      `${waiting} waiting`,
      `${running} running`,
    ].join(" · ");
  },

  /** What a prediction waits for: `ahead` others are before it. */
  place(queue, ahead) {
    const before = ahead ? `${ahead} ${ahead === 1 ? "is" : "are"} before it.` : "";
    if (queue && !queue.workers) return `No worker is there: it runs when one comes. ${before}`.trim();
    return before ? `Waiting for a free slot: ${before}` : "Next when a slot is free.";
  },

  /** The worker that runs a prediction or has run it; empty without one, and on one server. */
  async worker(id) {
    if (!models.shared) return "";
    const response = await ask(`/predictions/${encodeURIComponent(id)}`, { method: "HEAD" });
    return response.headers.get("Coggo-Worker") ?? "";
  },
};
