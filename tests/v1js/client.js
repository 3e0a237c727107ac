// Runs one scenario of the published JavaScript client: node client.js SCENARIO BASE_URL [TOKEN]. It
// prints its results as JSON; tests/http/test_v1_javascript.py knows the right ones.
import Replicate, { validateWebhook } from "replicate";

const [scenario, baseUrl, argument = "any"] = process.argv.slice(2);
const replicate = new Replicate({ baseUrl, auth: argument });
const version = "0".repeat(64);

const message = async (promise) => {
  try {
    return { value: await promise };
  } catch (error) {
    return { error: error.message, status: error.response?.status ?? null };
  }
};

async function streamed(ref, input) {
  const seen = [];
  try {
    for await (const event of replicate.stream(ref, { input })) {
      seen.push([event.event, String(event.data)]);
    }
  } catch (error) {
    seen.push(["thrown", error.message]);
  }
  return seen;
}

const scenarios = {
  run: async () => [
    await replicate.run("acme/thing", { input: { text: "hi ", n: 2 } }),
    await replicate.run(`acme/thing:${version}`, { input: { text: "v" } }),
    await replicate.run("acme/thing", { input: { text: "polled", pause: 0.2 }, wait: { mode: "poll", interval: 20 } }),
    await replicate.run("acme/thing", { input: { text: "slow", pause: 1.3 }, wait: { mode: "block", timeout: 1 } }),
    await replicate.run("acme/thing", { input: { text: "a", n: 2, end: "list" } }),
  ],

  atOnce: async () =>
    Promise.all(["a", "b", "c", "d", "e"].map((text) => replicate.run("acme/thing", { input: { text, pause: 0.05 } }))),

  progress: async () => {
    const seen = [];
    const wait = { mode: "poll", interval: 20 };
    await replicate.run("acme/thing", { input: { pause: 0.2 }, wait }, (p) => seen.push(p.status));
    return [seen[0], seen.at(-1)];
  },

  failing: async () => message(replicate.run("acme/thing", { input: { end: "raise" } })),

  refused: async () => message(replicate.predictions.create({ version, input: { n: "many" } })),

  unknown: async () => message(replicate.predictions.get("unknown")),

  stream: async () => streamed("acme/thing", { text: "a b\nc", pause: 0.05 }),

  streamFailing: async () => streamed(`acme/thing:${version}`, { text: "a b", end: "raise", pause: 0.05 }),

  lifecycle: async () => {
    const made = await replicate.predictions.create({ model: "acme/thing", input: { text: "x", pause: 0.2 } });
    const done = await replicate.wait(made, { interval: 20 });
    const got = await replicate.predictions.get(made.id);
    const listed = await replicate.predictions.list();
    return { made, done, got, listed: listed.results.map((p) => p.id).includes(made.id) };
  },

  waited: async () => replicate.predictions.create({ version, input: { text: "w" }, wait: 10 }),

  deployment: async () => {
    const made = await replicate.deployments.predictions.create("acme", "live", { input: { text: "d" }, wait: true });
    return [made.status, made.output, made.model];
  },

  paginate: async () => {
    const ids = [];
    for await (const page of replicate.paginate(replicate.predictions.list)) ids.push(...page.map((p) => p.id));
    return ids;
  },

  cancel: async () => {
    const made = await replicate.predictions.create({ version, input: { pause: 60 } });
    const canceled = await replicate.predictions.cancel(made.id);
    return (await replicate.wait(canceled, { interval: 20 })).status;
  },

  abort: async () => {
    const stop = new AbortController();
    const wait = { mode: "poll", interval: 20 };
    setTimeout(() => stop.abort(), 300);
    return message(replicate.run("acme/thing", { input: { pause: 60 }, wait, signal: stop.signal }));
  },

  fileInput: async () => {
    const text = (output) => output.text;
    const blob = new Blob(["from a blob"], { type: "text/plain" });
    return [
      text(await replicate.run("acme/thing", { input: { file: blob } })),
      text(await replicate.run("acme/thing", { input: { file: Buffer.from("from a buffer") } })),
    ];
  },

  files: async () => {
    const made = await replicate.files.create(new File(["mine"], "mine.txt", { type: "text/plain" }), { a: 1 });
    const got = await replicate.files.get(made.id);
    const listed = await replicate.files.list();
    const output = await replicate.run("acme/thing", { input: { file: made.urls.get } });
    const deleted = await replicate.files.delete(made.id);
    const after = await message(replicate.files.get(made.id));
    return { made, same: JSON.stringify(made) === JSON.stringify(got), listed: listed.results.length, output, deleted, after };
  },

  fileOutput: async () => {
    const output = await replicate.run("acme/thing", { input: { text: "written", end: "file" } });
    return { text: await (await output.blob()).text(), url: String(output.url()).slice(0, 16) };
  },

  webhook: async () => {
    const events = ["start", "completed"];
    const made = await replicate.predictions.create({ version, input: {}, webhook: argument, webhook_events_filter: events });
    return replicate.wait(made, { interval: 20 });
  },

  validate: async () => {
    const { headers, body, secret } = JSON.parse(argument);
    return [await validateWebhook({ headers, body }, secret), await validateWebhook({ headers, body: `${body} ` }, secret)];
  },

  model: async () => {
    const model = await replicate.models.get("acme", "thing");
    const versions = await replicate.models.versions.list("acme", "thing");
    const one = await replicate.models.versions.get("acme", "thing", versions.results[0].id);
    return [model.name, versions.results.length, one.id === model.latest_version.id, one.openapi_schema.openapi];
  },
};

console.log(JSON.stringify(await scenarios[scenario]()));
