// One medium of another host. Its URL stands behind the #, so that it is not in any log.
const asked = new URLSearchParams(location.hash.slice(1));
const node = document.createElement(
  { image: "img", audio: "audio", video: "video" }[asked.get("kind")],
);
if (node.localName === "img") node.alt = "Output image";
else node.controls = true;
node.src = asked.get("address");
document.body.append(node);
