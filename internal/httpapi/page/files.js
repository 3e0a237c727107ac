// Files that are dropped or pasted.

/** Whether a file matches the `accept` of an input, which is that of HTML. */
function accepts(property, file) {
  const wanted = (property["x-cog-accept"] ?? "")
    .split(",")
    .map((word) => word.trim().toLowerCase())
    .filter(Boolean);
  const [kind] = file.type.toLowerCase().split("/");
  return (
    !wanted.length ||
    wanted.some((word) => {
      if (word.startsWith(".")) return file.name.toLowerCase().endsWith(word);
      return word === "*/*" || word === `${kind}/*` || word === file.type.toLowerCase();
    })
  );
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

/**
 * Take files that are pasted anywhere. In a text box, text wins over the picture of it that some
 * programs add.
 */
function acceptPastes(take) {
  document.addEventListener("paste", (event) => {
    const files = [...event.clipboardData.files];
    const typing =
      event.target.matches?.("input, textarea") && event.clipboardData.types.includes("text/plain");
    if (!files.length || typing) return;
    event.preventDefault();
    take(files);
  });
}
