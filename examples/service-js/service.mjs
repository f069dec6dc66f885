// Submits a file by the HTTP API of receiver, waits for the end of its job, and fetches the result, errors and proof.
//
//   SERVICE_URL=http://localhost:8081 SERVICE_TOKEN_FILE=shop.token node service.mjs demo contact contacts.csv order-7
//
// The arguments are source, object, file and a key of yours. Run it again with the same key after a crash: that
// makes no second job. It writes result.csv and proof.json, and ends with 0 only if the job succeeded.
import { createReadStream, openSync, readFileSync, readSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { Readable } from "node:stream";
import { setTimeout as pause } from "node:timers/promises";

/** @typedef {import("./api.gen.d.ts").paths} Paths */
/** @typedef {import("./api.gen.d.ts").components["schemas"]} Schemas */
/** What GET answers, by path. @typedef {{[P in keyof Paths]: Paths[P] extends
 * {get: {responses: {200: {content: {"application/json": infer A}}}}} ? A : never}} Answers */
/** @typedef {{parts?: Record<string, string | number>, query?: Record<string, string>, headers?: Record<string, string>,
 * body?: () => Uint8Array | ReadableStream}} Options */

const base = (process.env.SERVICE_URL ?? "").replace(/\/$/, "");
const token = readFileSync(process.env.SERVICE_TOKEN_FILE ?? "", "ascii").trim();
if (process.argv.length !== 6) throw new Error("usage: node service.mjs SOURCE OBJECT FILE KEY");
const [source, object, file, key] = process.argv.slice(2);

class Refused extends Error {}

/**
 * Repeats a request until its answer is read, for two minutes at most. Each request of this program may be repeated.
 * @template T
 * @param {keyof Paths} path
 * @param {Options} options
 * @param {(answer: Response) => Promise<T>} read
 * @returns {Promise<T>}
 */
async function call(path, { parts = {}, query, headers, body }, read) {
  const giveUp = Date.now() + 120_000;
  const url = new URL(base + path.replace(/{(\w+)}/g, (_, name) => encodeURIComponent(parts[name])));
  url.search = new URLSearchParams(query).toString();
  for (;;) {
    let seconds = 1;
    try {
      const answer = await fetch(url, {
        method: body ? "POST" : "GET",
        headers: { Authorization: `Bearer ${token}`, ...headers },
        body: body?.(),
        duplex: "half",
        redirect: "error",
      });
      if (answer.ok) return await read(answer);
      const problem = /** @type {Schemas["Problem"]} */ (await answer.json());
      const later = ["urn:receiver:problem:busy", "urn:receiver:problem:not-sealed"].includes(problem.type);
      if (![429, 502, 503].includes(answer.status) && !later) throw new Refused(problem.detail);
      seconds = Number(answer.headers.get("Retry-After") ?? seconds);
      if (Date.now() > giveUp) throw new Refused(problem.detail);
    } catch (e) {
      if (e instanceof Refused || Date.now() > giveUp) throw e;
    }
    await pause(seconds * 1000);
  }
}

/**
 * @template {keyof Paths} P
 * @param {P} path
 * @param {Options} options
 * @returns {Promise<Answers[P]>}
 */
const get = (path, options = {}) => call(path, options, (answer) => /** @type {Promise<Answers[P]>} */ (answer.json()));

/** @param {keyof Paths} path @param {Options} options @param {string} to */
const download = (path, options, to) => call(path, options, async (answer) => writeFile(to, answer.body ?? ""));

/** Cuts text at LF or CR LF. It leaves out what the end of the connection cut off. @param {Response} answer */
async function* lines(answer) {
  const reader = /** @type {ReadableStreamDefaultReader<Uint8Array>} */ (answer.body?.getReader());
  // A heartbeat comes every 15 seconds. Of an AbortSignal, Node.js 20 forgets the connection when it collects garbage.
  const stop = () => reader.cancel().catch(() => {}); // it may have failed already
  const timer = setTimeout(stop, 45_000);
  const decoder = new TextDecoder();
  let rest = "";
  try {
    for (let got = await reader.read(); !got.done; got = await reader.read()) {
      timer.refresh();
      const whole = (rest + decoder.decode(got.value, { stream: true })).split("\n");
      rest = whole.pop() ?? "";
      for (const line of whole) yield line.replace(/\r$/, "");
    }
  } finally {
    clearTimeout(timer);
    stop();
  }
}

/** Reads Server-Sent Events. An id that comes without data has the data null. @param {Response} answer */
async function* events(answer) {
  let id = "";
  let kind = "message";
  /** @type {string[]} */
  let data = [];
  for await (const line of lines(answer)) {
    const [, name, value] = /^([^:]*):? ?(.*)$/s.exec(line) ?? [];
    if (name === "id") id = value;
    else if (name === "event") kind = value;
    else if (name === "data") data.push(value);
    else if (line === "") {
      // The end of an event; a comment is a line without a name.
      yield { id, kind, data: data.length ? data.join("\n") : null };
      [kind, data] = ["message", []];
    }
  }
}

/** Gives the end of the job; undefined while it has not ended. @param {string} job */
async function ended(job) {
  const got = await get("/v1/sources/{source}/jobs/{job}", { parts: { source, job } });
  return ["finished", "conflict"].includes(got.state) ? got.job : undefined;
}

/**
 * Waits for the finished event of a job, behind the event last. A service keeps last with its own data.
 * @param {string} job
 * @param {string} last
 */
async function follow(job, last) {
  for (;;) {
    const options = { query: { source, kind: "finished" }, headers: { "Last-Event-ID": last } };
    const answer = await call("/v1/events", options, async (answer) => answer);
    console.log(`events: behind ${last}`);
    try {
      for await (const { id, kind, data } of events(answer)) {
        last = id || last;
        if (kind === "finished" && data) {
          const event = /** @type {Schemas["Event"]} */ (JSON.parse(data));
          if (event.job.id !== job) continue;
          console.log(`event ${last}: job ${job} is finished`);
          return event.job;
        }
        const end = kind === "gap" && (await ended(job)); // older events than the stream keeps
        if (end) return end;
      }
    } catch (e) {
      if (e instanceof Refused) throw e;
    }
    await pause(1000);
  }
}

const at = { source, object };
const { objects } = await get("/v1/sources/{source}/objects", { parts: at });
console.log("objects:", ...objects.map((o) => o.name));
const { fields } = await get("/v1/sources/{source}/objects/{object}", { parts: at });
console.log("fields:", ...fields.map((f) => f.vendor_path));

const head = new Uint8Array(65536);
const size = readSync(openSync(file, "r"), head);
const report = await call(
  "/v1/sources/{source}/objects/{object}/preflight",
  { parts: at, query: { file_name: file }, headers: { "Content-Type": "text/csv" }, body: () => head.subarray(0, size) },
  (answer) => /** @type {Promise<Schemas["Preflight"]>} */ (answer.json()),
);
console.log(`preflight: ${report.rows} rows, ${report.errors} errors`);
if (report.errors) throw new Refused(report.findings.map((f) => f.message).join("\n"));

const { last } = await get("/v1/jobs", { query: { limit: "1" } }); // the events from here on
/** @type {Schemas["Submission"]} */
let made;
do {
  made = await call(
    "/v1/sources/{source}/jobs",
    {
      parts: at,
      query: { object },
      headers: { "Content-Type": "text/csv", "Idempotency-Key": key },
      body: () => Readable.toWeb(createReadStream(file)),
    },
    (answer) => /** @type {Promise<Schemas["Submission"]>} */ (answer.json()),
  );
  while (made.state === "pending" || made.state === "unknown") {
    console.log(`submission ${made.submission}: ${made.state}`); // the receiver asks the platform
    await pause(1000);
    const parts = { source, submission: made.submission };
    made = await get("/v1/sources/{source}/submissions/{submission}", { parts });
  }
} while (!made.job);
const { job } = made;
console.log(`submitted: job ${job}`);

const end = (await ended(job)) ?? (await follow(job, String(last))); // it has ended if an earlier run submitted it
console.log(`job ${job}: ${end.result}, ${end.records ?? "?"} records, ${end.failed ?? "?"} failed`);
if (end.result !== "succeeded") process.exit(1);

await download("/v1/sources/{source}/jobs/{job}/result", { parts: { source, job } }, "result.csv");
console.log("result: result.csv");
const { errors } = await get("/v1/sources/{source}/jobs/{job}/errors", { parts: { source, job } });
console.log("errors:", errors.length, ...errors.map((e) => e.text));
const { callbacks } = await get("/v1/callbacks", { query: { job, verdict: "accepted" } });
const record = callbacks.find((c) => c.kind === "finished");
if (!record) throw new Error("no callback ended the job, so there is no proof: the receiver polled the platform");
const { stream, sequence } = record;
await download("/v1/callbacks/{stream}/{sequence}/bundle", { parts: { stream, sequence } }, "proof.json");
console.log(`proof: proof.json, of ${record.id}`);
