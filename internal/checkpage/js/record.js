// A record: how it stands with the origin of its body (docs/evidence.md, check 7), and what it says.

const headerOf = (r) => (name) => r.header.get(name)?.[0] ?? "";
const parsed = (text, most) => {
  const found = /^([+-]?)(\d+)$/.exec(text);
  const n = found && BigInt(found[2]) * (found[1] === "-" ? -1n : 1n);
  return found && n >= 0n && n <= most ? n : null;
};
const maxInt = (1n << 63n) - 1n;

// claimOf returns what a record says of its signature, and whether it is a record of receiver.
function claimOf(r) {
  const get = headerOf(r), size = parsed(get("receiver-body-size"), maxInt);
  const claim = { signature: get("receiver-signature"), fingerprint: get("receiver-key-fingerprint"), body: get("receiver-body-sha256"), size: -1n, evidence: "", verdict: "", source: "" };
  if (!r.subject.startsWith("attempts.")) {
    const subject = eventSubject(r.subject);
    return { ...claim, evidence: get("ce-evidence"), size: size ?? -1n, source: subject?.source ?? "", ours: subject !== null && get("ce-evidence") !== "" };
  }
  const subject = attemptSubject(r.subject);
  return subject === null ? { ...claim, ours: false } : { ...claim, ...subject, size: size ?? -1n, ours: size !== null };
}

const validSource = (name) => /^[a-z0-9-]{1,32}$/.test(name);
const kinds = ["submitted", "progress", "finished", "overdue", "lost", "conflict", "errors", "unrecognised"];

function attemptSubject(subject) {
  const [source, verdict] = cut(subject.slice("attempts.".length), ".");
  return (validSource(source) || source === "_") && verdict !== "" && !verdict.includes(".") ? { source, verdict } : null;
}

function eventSubject(subject) {
  const [prefix, source, ...rest] = subject.split(".");
  const kind = rest[rest.length - 1];
  if (prefix !== "jobs" || rest.length < 1 || rest.length > 2 || !validSource(source) || !kinds.includes(kind)) return null;
  if (rest.length === 1) return kind === "unrecognised" ? { source, job: "", kind } : null;
  if (kind === "unrecognised" && !/^[0-9a-f]{64}$/.test(rest[0])) return null;
  const job = jobOf(rest[0]);
  return job === null ? null : { source, job, kind };
}

// jobOf returns the id of a job of which a subject has the token; null for another text.
function jobOf(token) {
  const plain = (id) => /^[A-Za-z0-9_-]+$/.test(id) && !id.includes("Nats-");
  if (!token.startsWith("~")) return plain(token) ? token : null;
  const encoded = token.slice(1).replaceAll("-", "+").replaceAll("_", "/");
  const id = !/^~[A-Za-z0-9_-]*$/.test(token) ? null : decoded(encoded.padEnd(Math.ceil(encoded.length / 4) * 4, "="), true);
  return id === null || id.length > maxID || plain(id) ? null : id;
}
const maxID = 256;

// bodyOf returns the body of a record as it was signed: null if it is not there, with the reason.
function bodyOf(r, claim, bodies) {
  const find = (digest) => {
    const file = bodies.get(digest);
    if (file) file.used = true;
    return file ? file.bytes : null;
  };
  const refers = r.header.get("receiver-data-ref")?.[0];
  let stored = r.data.length > 0 || claim.size <= 0n ? r.data : null;
  if (refers !== undefined) {
    const prefix = "nats-object:PAYLOADS/";
    stored = find(cut(refers.startsWith(prefix) ? refers.slice(prefix.length) : refers, ".")[0]);
  }
  const encrypted = (r.header.get("receiver-encryption") ?? []).length > 0;
  if (stored !== null && !encrypted) return [stored, ""];
  const signed = find(claim.body);
  return [signed, signed !== null ? "" : stored === null ? "body not in the bundle" : "body encrypted"];
}

// conclude returns the conclusion on a record; "" if there is none without a key. It throws a Fault
// if the record contradicts itself or names a key that is not given.
async function conclude(r, keys, bodies) {
  const claim = claimOf(r), [body, unknown] = bodyOf(r, claim, bodies);
  const against = (what, why) => new Fault(`${r.id}: in the log, but ${what}: ${why}`);
  const contradicts = (why) => against("contradicts itself", why);
  if (!unknown && claim.body !== "" && hex(await sha256(body)) !== claim.body) throw contradicts("the SHA-256 of its body differs from its header");
  if (/^[ \t]*$/.test(claim.signature) && claim.fingerprint === "") {
    if (claim.evidence === "callback" || claim.evidence === "late") throw contradicts("it claims a signed callback, and has no signature");
    return "nothing signed";
  }
  if (unknown || keys.length === 0) return unknown;
  const attempt = r.subject.startsWith("attempts.");
  const right = await anySigned(r.header.get("receiver-signature") ?? [], body, keys);
  if (claim.fingerprint === "") {
    if (attempt) return right ? "refused, but signed with the given key" : "refused, and not signed with the given key";
    if (!right) throw contradicts("it names no key that made its signature");
  }
  if (right) return "signed with the given key";
  const named = keys.find((k) => k.fingerprint === claim.fingerprint);
  if (named) throw contradicts(`its signature is not one of key ${named.name} (${named.fingerprint}) over this body`);
  throw against("said to be signed with another key", `it names key ${claim.fingerprint}, which is not among those given`);
}

// anySigned tells whether there is one signature, in its form, by one of the keys.
async function anySigned(given, body, keys) {
  const found = given.length === 1 && /^[ \t]*sha256=([A-Za-z0-9+/]{43}=)[ \t]*$/i.exec(given[0]);
  if (!found) return false;
  for (const k of keys) {
    const key = await crypto.subtle.importKey("raw", toArray(k.bytes), { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
    if (toBase64(fromArray(new Uint8Array(await crypto.subtle.sign("HMAC", key, toArray(body))))) === found[1]) return true;
  }
  return false;
}

// actionOf returns the action that a record is about; null for another record.
function actionOf(r) {
  const what = r.subject.startsWith("actions.") ? r.subject.slice("actions.".length) : "";
  if (!/^[a-z_]{1,32}$/.test(what) || syntaxError(r.data)) return null;
  const type = { fields: { what: "string", time: "time", operator: "string", reason: "string", details: "raw" } };
  try {
    const action = new Reader(r.data).read(type, { ...zero(type), time: zeroTime });
    return action.what === what ? action : null;
  } catch (fault) {
    if (fault instanceof Fault) return null;
    throw fault;
  }
}

// entryOf returns the cells of the table of records.
function entryOf(r) {
  const get = headerOf(r), claim = claimOf(r), action = actionOf(r);
  const row = (...cells) => [r.id, ...cells.map((cell) => (isBlank(cell) ? "-" : cell))];
  const time = (at) => (at === zeroTime ? "-" : toSecond(at));
  if (action) return row(time(action.time), action.operator, "action", action.reason, action.what, "", "", "");
  const received = readTime(get("receiver-received")), event = eventSubject(r.subject);
  const attempt = r.subject.startsWith("attempts.");
  const ours = received !== null && claim.ours && !(claim.verdict === "late" && claim.fingerprint === "");
  if (!ours) return row("", event?.source ?? "", "", "", event?.job ?? "", "", "", "");
  const claimed = get("receiver-claimed-source"), rest = [get("receiver-remote"), claim.fingerprint, claim.body.slice(0, 8)];
  const source = claim.source + (claimed ? ` (${claimed})` : "");
  if (!attempt) {
    const known = event.kind !== "unrecognised";
    return row(time(received), source, known ? "accepted" : event.kind, known ? "" : get("ce-reason"), known ? event.job : "", ...rest);
  }
  const [token, , found] = cut(get("receiver-event"), ".");
  const job = found && token !== "unrecognised" ? jobOf(token) ?? "" : "";
  const answered = ["duplicate", "late", "quarantined", "unconfirmed"].includes(claim.verdict);
  return row(time(received), source, answered ? claim.verdict : "refused", answered ? "" : claim.verdict, job, ...rest);
}

// datesOf returns the rows of the table of dates.
function datesOf(r, cosignatures) {
  const get = headerOf(r), all = [];
  const add = (what, at, by) => {
    if (at !== zeroTime) all.push([r.id, what, toNano(at), by]);
  };
  const { received, time, edge } = namedTimes(r, get) ?? { received: zeroTime, time: zeroTime, edge: zeroTime };
  const here = edge === zeroTime ? "the receiver's clock" : "the edge's clock";
  add("received", received, here);
  if (received === zeroTime) add("happened", time, here);
  add("stored at the edge", edge, here);
  add("stored", r.at, "the NATS server's clock");
  for (const c of cosignatures) add("cosigned", c.at, `the clock of witness ${c.witness}: it was sealed by then`);
  if (cosignatures.length === 0) all.push([r.id, "sealed", "-", "without a witness only this receiver dates it"]);
  return all;
}

// namedTimes returns the times that a record names; null if one cannot be read.
function namedTimes(r, get) {
  const times = { received: zeroTime, time: zeroTime, edge: zeroTime };
  const action = actionOf(r);
  if (r.subject.startsWith("actions.") && !action) return times;
  if (action) times.time = action.time;
  const read = (name, of) => {
    if (get(name) !== "") times[of] = readTime(get(name));
    return times[of] !== null;
  };
  if (!read("receiver-received", "received") || !read("ce-time", "time")) return null;
  if (get("receiver-edge-record") === "") return times;
  const edge = readTime(get("receiver-edge-stored"));
  const number = cut(get("receiver-edge-record"), "/")[1];
  return /^\d+$/.test(number) && BigInt(number) < 1n << 64n && edge !== null ? { ...times, edge } : null;
}
