// Files that are dropped or pasted.

/** Whether a file is one of those that an input wants, which it says as `accept` does in HTML. */
function accepts(property, file) {
  const wanted = (property["x-cog-accept"] ?? "").split(",").map((word) => word.trim().toLowerCase()).filter(Boolean);
  const [kind] = file.type.toLowerCase().split("/");
  return !wanted.length || wanted.some((word) => {
    if (word.startsWith(".")) return file.name.toLowerCase().endsWith(word);
    return word === "*/*" || word === `${kind}/*` || word === file.type.toLowerCase();
  });
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

/** Take files that are pasted anywhere. Where text is typed, text that comes with a picture of it is what is meant. */
function acceptPastes(take) {
  document.addEventListener("paste", (event) => {
    const files = [...event.clipboardData.files];
    const typing = event.target.matches?.("input, textarea") && event.clipboardData.types.includes("text/plain");
    if (!files.length || typing) return;
    event.preventDefault();
    take(files);
  });
}
