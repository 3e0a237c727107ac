// One medium of another host, named after the # of the address, so that it is in nobody's log.
const asked = new URLSearchParams(location.hash.slice(1));
const node = document.createElement({ image: "img", audio: "audio", video: "video" }[asked.get("kind")]);
if (node.localName === "img") node.alt = "Output image";
else node.controls = true;
node.src = asked.get("address");
document.body.append(node);
