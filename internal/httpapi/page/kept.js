// A result that stays next to later ones, to compare them.

class Kept {
  /** `output` is the schema of the model's output. */
  constructor(output) {
    this.output = output;
    this.prediction = null;
    $("unkeep").addEventListener("click", () => this.#drop());
  }

  keep(prediction) {
    this.prediction = prediction;
    $("kept-status").textContent = prediction.status;
    $("kept-status").className = statusClass(prediction.status);
    const seconds = prediction.metrics?.predict_time;
    $("kept-facts").textContent = [typeof seconds === "number" && duration(seconds), prediction.id]
      .filter(Boolean)
      .join(" · ");
    $("kept-output").replaceChildren(
      prediction.error ? el("p", { class: "problem", textContent: prediction.error }) : "",
      resultNode(prediction, this.output),
    );
    this.compare(prediction);
    show($("kept"), true);
    document.body.classList.add("comparing");
  }

  #drop() {
    this.prediction = null;
    show($("kept"), false);
    document.body.classList.remove("comparing");
    $("keep").focus();
  }

  /** Show which inputs of a prediction differ from those of the kept one. */
  compare({ id, input }) {
    if (!this.prediction) return;
    const kept = this.prediction.input;
    const names = [...new Set([...Object.keys(kept), ...Object.keys(input)])].filter(
      (name) => toJSON(kept[name]) !== toJSON(input[name]),
    );
    const rows = names.map((name) =>
      el(
        "div",
        {},
        el("dt", {}, el("code", { textContent: name })),
        el("dd", { textContent: inLine(kept[name]) }),
        el("dd", { textContent: inLine(input[name]) }),
      ),
    );
    const head = el(
      "div",
      { class: "quiet" },
      el("dt", { textContent: "Input" }),
      el("dd", { textContent: "kept" }),
      el("dd", { textContent: "shown" }),
    );
    $("kept-inputs").replaceChildren(...(rows.length ? [head, ...rows] : []));
    $("kept-note").textContent =
      id === this.prediction.id
        ? "Run the model again, or open a recent prediction: it is shown beside this one."
        : rows.length
          ? ""
          : "Both had the same inputs.";
    show($("kept-note"), $("kept-note").textContent !== "");
  }
}

const inLine = (value) =>
  value === undefined
    ? "(default)"
    : cut(typeof value === "string" ? value : toJSON(value), 200, 80);
