// Prints one line for every finished job and acknowledges it. With KEY_FILE it checks the
// platform's signature once more, over the body as it was signed: trust in us is not needed.
//
//   NATS_URL=nats://127.0.0.1:4222 KEY_FILE=signature.key node consumer.mjs --count 1
import { createHmac, timingSafeEqual } from "node:crypto";
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { AckPolicy, jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";

const { values: args } = parseArgs({
  options: {
    url: { type: "string", default: process.env.NATS_URL || "nats://127.0.0.1:4222" },
    durable: { type: "string", default: "consumer-js" },
    count: { type: "string", default: "0" }, // 0 means never stop
  },
});
// The key is the file's bytes without one line break at the end, as in the receiver's configuration.
const key = process.env.KEY_FILE && readFileSync(process.env.KEY_FILE, "latin1").replace(/\r?\n$/, "");

// proof says whether the body carries the signature that it came with.
function proof(msg) {
  if (!key) return "not checked";
  if (!msg.headers.has("receiver-signature")) return "none, known by " + msg.headers.get("ce-evidence");
  if (msg.headers.has("receiver-encryption")) return "not checked, the body is encrypted";
  if (msg.headers.has("receiver-data-ref")) return "body in the object store";
  const made = createHmac("sha256", Buffer.from(key, "latin1")).update(msg.data).digest();
  const sent = Buffer.from(msg.headers.get("receiver-signature").trim().replace(/^sha256=/i, ""), "base64");
  return made.length === sent.length && timingSafeEqual(made, sent) ? "verified" : "FORGED";
}

// handle is where the work goes. An event may come again after a crash between the work and
// the acknowledgement: ce-id tells.
function handle(msg) {
  const h = msg.headers;
  const job = JSON.parse(h.get("receiver-job"));
  console.log(
    `${job.id} ${h.get("ce-result")} object=${job.object ?? ""} status=${job.status} rows=${job.records ?? "?"}` +
      ` failed=${job.failed ?? "?"} source=${h.get("ce-source")} id=${h.get("ce-id")} signature=${proof(msg)}`,
  );
}

const nc = await connect({ servers: args.url, name: args.durable });
// A durable consumer survives us: the server keeps our place, and gives again what we did not acknowledge.
await (await jetstreamManager(nc)).consumers.add("JOBS", {
  durable_name: args.durable,
  filter_subject: "jobs.*.*.finished",
  ack_policy: AckPolicy.Explicit,
});
// One at a time: what is fetched and not acknowledged comes again only after half a minute.
const events = await (await jetstream(nc).consumers.get("JOBS", args.durable)).consume({ max_messages: 1 });
for (const end of ["SIGINT", "SIGTERM"]) process.once(end, () => events.stop());
let left = Number(args.count);
for await (const msg of events) {
  handle(msg);
  await msg.ackAck(); // waits until the server has noted it, so that leaving now loses nothing
  if (--left === 0) break;
}
await nc.drain();
