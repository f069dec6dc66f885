// Prints one line for every finished job and acknowledges it. With KEY_FILE it checks the
// platform's signature once more, over the body as it was signed: trust in us is not needed.
//
//   NATS_CREDS=consumer-js.creds NATS_INBOX_PREFIX=_INBOX_consumer-js KEY_FILE=signature.key node consumer.mjs --count 1
import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect, credsAuthenticator } from "@nats-io/transport-node";

const { values: args } = parseArgs({
  options: {
    url: { type: "string", default: process.env.NATS_URL || "nats://127.0.0.1:4222" },
    creds: { type: "string", default: process.env.NATS_CREDS || "" }, // what `receiver consumers add` wrote
    "inbox-prefix": { type: "string", default: process.env.NATS_INBOX_PREFIX || "_INBOX" },
    durable: { type: "string", default: "consumer-js" },
    count: { type: "string", default: "0" }, // 0 means never stop
  },
});
// The key is the file's bytes without one line break at the end, as in the receiver's configuration.
const key = process.env.KEY_FILE && readFileSync(process.env.KEY_FILE, "latin1").replace(/\r?\n$/, "");

// bodyOf returns the data of an event, which is in the object store if it was too large for a message; null if it
// is no longer there. It is read chunk by chunk: the embedded server of the receiver allows no consumer for it.
async function bodyOf(jsm, msg) {
  const ref = msg.headers.get("receiver-data-ref");
  if (!ref) return msg.data;
  const name = ref.replace("nats-object:PAYLOADS/", "");
  const entry = "$O.PAYLOADS.M." + Buffer.from(name).toString("base64").replaceAll("+", "-").replaceAll("/", "_");
  const info = (await jsm.direct.getMessage("OBJ_PAYLOADS", { last_by_subj: entry }))?.json();
  if (!info || info.deleted) return null;
  const chunks = [];
  for (let seq = 1, size = 0; size < info.size; ) {
    const chunk = await jsm.direct.getMessage("OBJ_PAYLOADS", { seq, next_by_subj: "$O.PAYLOADS.C." + info.nuid });
    if (!chunk) return null;
    chunks.push(chunk.data);
    size += chunk.data.length;
    seq = chunk.seq + 1;
  }
  const data = Buffer.concat(chunks);
  // The name is the digest and a random word.
  const digest = createHash("sha256").update(data).digest("hex");
  if (digest !== name.split(".")[0]) throw new Error(`the bytes of ${ref} are not those that were stored`);
  return data;
}

// proof says whether the body carries the signature that it came with.
function proof(msg, data) {
  if (!key) return "not checked";
  if (!msg.headers.has("receiver-signature")) return "none, known by " + msg.headers.get("ce-evidence");
  if (msg.headers.has("receiver-encryption")) return "not checked, the body is encrypted";
  if (!data) return "not checked, the body is lost";
  const made = createHmac("sha256", Buffer.from(key, "latin1")).update(data).digest();
  const sent = Buffer.from(msg.headers.get("receiver-signature").trim().replace(/^sha256=/i, ""), "base64");
  return made.length === sent.length && timingSafeEqual(made, sent) ? "verified" : "FORGED";
}

// handle is where the work goes. An event may come again after a crash between the work and
// the acknowledgement: ce-id tells. Hold the work back on `unknown`, and on every result that is
// not known here: the job's conflict event says how it ended as soon as the platform does.
function handle(msg, data) {
  const h = msg.headers;
  const job = JSON.parse(h.get("receiver-job"));
  const result = h.get("ce-result");
  const known = ["succeeded", "partial", "failed", "cancelled"].includes(result);
  console.log(
    `${job.id} ${known ? result : result + " (held back)"} object=${job.object ?? ""} status=${job.status} rows=${job.records ?? "?"}` +
      ` failed=${job.failed ?? "?"} source=${h.get("ce-source")} id=${h.get("ce-id")} signature=${proof(msg, data)}`,
  );
}

const nc = await connect({
  servers: args.url,
  name: args.durable,
  inboxPrefix: args["inbox-prefix"],
  authenticator: args.creds ? credsAuthenticator(readFileSync(args.creds)) : undefined,
});
// checkAPI would ask after the account, which is not ours to know.
const jsm = await jetstreamManager(nc, { checkAPI: false });
// The durable consumer, which `receiver consumers add` made, survives us: the server keeps our place, and gives again
// what we did not acknowledge.
// One at a time: what is fetched and not acknowledged comes again only after half a minute.
const events = await (await jetstream(nc).consumers.get("JOBS", args.durable)).consume({ max_messages: 1 });
for (const end of ["SIGINT", "SIGTERM"]) process.once(end, () => events.stop());
let left = Number(args.count);
for await (const msg of events) {
  // Somebody else's stream may deliver a message of any subject; acknowledging it would go to them.
  if (msg.info.stream !== "JOBS" || msg.info.consumer !== args.durable) {
    throw new Error(`refused: a message of the stream ${JSON.stringify(msg.info.stream)}, not JOBS`);
  }
  handle(msg, await bodyOf(jsm, msg));
  await msg.ackAck(); // waits until the server has noted it, so that leaving now loses nothing
  if (--left === 0) break;
}
await nc.drain();
