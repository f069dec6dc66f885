// The bundle: its one form, and the proof that its records are in the tree of the checkpoint.

const format = "receiver-evidence/v1";
const oneForm = "receiver writes it in one form: its keys in its order, numbers in plain decimal, UTF-8 without needless escapes, any white " +
  "space; another program rewrote this one, so use the original file, or restore the form: `jq . FILE` takes out needless escapes";
const recordType = {
  fields: { stream: "text", sequence: "uint", subject: "text", time: "string", header: { of: { of: "text" } }, data: "bytes", proof: { of: "hash" } },
};
const bundleType = { fields: { format: "string", checkpoint: "string", first_sequence: "uint", records: { of: recordType } } };
const malformed = (what) => new Fault("malformed evidence bundle: " + what);

// position names a place in a text for people.
function position(data, offset) {
  const before = data.slice(0, Math.max(offset, 0));
  return `line ${before.split("\n").length}, byte ${before.length - before.lastIndexOf("\n")}`;
}

// compact returns JSON without its white space, and offsetOf the place of a byte of that.
function* tokens(data) {
  let inside = false;
  for (let i = 0; i < data.length; i++) {
    if (!inside && isWhite(data[i])) continue;
    yield i;
    if (inside && data[i] === "\\") yield ++i;
    else if (data[i] === '"') inside = !inside;
  }
}
function compact(data) {
  const out = [];
  let from = 0, inside = false;
  for (let i = 0; i <= data.length; i++) {
    if (i === data.length || (!inside && isWhite(data[i]))) {
      out.push(data.slice(from, i));
      from = i + 1;
    } else if (inside && data[i] === "\\") i++;
    else if (data[i] === '"') inside = !inside;
  }
  return out.join("");
}
function offsetOf(data, index) {
  for (const i of tokens(data)) if (index-- === 0) return i;
  return data.length;
}

// excerpt returns what is around a place, and no part of a character at its ends.
function excerpt(text, at) {
  const rest = (i) => (text.charCodeAt(i) & 0xc0) === 0x80;
  let from = Math.max(at - 16, 0), to = Math.min(at + 16, text.length);
  while (from > 0 && from < at && rest(from)) from++;
  while (to < text.length && to > at && rest(to)) to--;
  return text.slice(from, to);
}

// parseBundle reads a bundle in its one form, and checks no proof.
function parseBundle(data) {
  const wrong = syntaxError(data);
  if (wrong) throw malformed(`${position(data, wrong.offset)}: it is no JSON: ${wrong.message}`);
  let wire;
  try {
    wire = new Reader(data).read(bundleType, zero(bundleType));
  } catch (fault) {
    if (!(fault instanceof Fault)) throw fault;
    if (!fault.type) throw malformed(fault.message);
    throw malformed(`${position(data, fault.offset)}: ${fault.field || "it"} is of another type (${fault.type}); ${oneForm}`);
  }
  if (wire.format !== format) throw malformed(`format ${quote(wire.format)}, want "${format}"`);
  const bundle = { checkpoint: wire.checkpoint, first: wire.first_sequence, records: items(wire.records).map(recordOf) };
  const got = compact(data), want = jsonOf(bundle);
  if (got === want) return bundle;
  let i = 0;
  while (i < Math.min(got.length, want.length) && got[i] === want[i]) i++;
  throw malformed(`${position(data, offsetOf(data, i))}: \`${excerpt(got, i)}\` should be \`${excerpt(want, i)}\`; ${oneForm}`);
}

function recordOf(wire) {
  const at = readBundleTime(wire.time);
  if (at === null) {
    const first = Array.from(runes(wire.time)).slice(0, 40).map(([, raw]) => raw).join("");
    throw malformed(`sequence ${wire.sequence}: time ${quote(first)} is not of the form 2006-01-02T15:04:05.000000000Z`);
  }
  const header = new Map();
  for (const [name, ...values] of items(wire.header).map(items)) {
    if (name === undefined) throw malformed(`sequence ${wire.sequence}: header without a name`);
    header.set(name, values);
  }
  return {
    id: `${wire.stream}/${wire.sequence}`, stream: wire.stream, sequence: wire.sequence, subject: wire.subject, at, data: wire.data, proof: items(wire.proof),
    header: new Map([...header].sort(([a], [b]) => (a < b ? -1 : 1))), // the order of their bytes
  };
}

// jsonOf returns a bundle in its one form, without white space.
function jsonOf(bundle) {
  const text = (bytes) => (validUTF8(bytes) ? jsonText(bytes) : `{"base64":"${toBase64(bytes)}"}`);
  const records = bundle.records.map((r) => {
    const header = [...r.header].map(([name, values]) => `[${[name, ...values].map(text).join(",")}]`);
    const proof = r.proof.map((h) => `"${toBase64(h)}"`);
    return `{"stream":${text(r.stream)},"sequence":${r.sequence},"subject":${text(r.subject)},"time":"${bundleTime(r.at)}",` +
      `"header":[${header.join(",")}],"data":"${toBase64(r.data)}","proof":[${proof.join(",")}]}`;
  });
  return `{"format":"${format}","checkpoint":${jsonText(bundle.checkpoint)},"first_sequence":${bundle.first},` +
    `"records":${records.length > 0 ? `[${records.join(",")}]` : "null"}}`;
}

// leafHash returns the hash of the leaf of a record.
async function leafHash(r) {
  if (BigInt.asIntN(64, r.at) !== r.at) throw new Fault(`sequence ${r.sequence}: time ${goTime(r.at)}: record has no leaf encoding`);
  const header = [...r.header].map(([name, values]) => field(name) + bigEndian(values.length, 4) + values.map(field).join(""));
  return sha256("\0receiver-leaf/v1\nR" + field(r.stream) + bigEndian(r.sequence, 8) + field(r.subject) + bigEndian(r.at, 8) +
    bigEndian(header.length, 4) + header.join("") + field(r.data));
}

// included throws a Fault unless a record is in the tree at the place of its sequence: RFC 9162,
// section 2.1.3.2.
async function included(r, bundle, checkpoint) {
  let index = r.sequence - bundle.first, last = checkpoint.size - 1n;
  if (index < 0n || index > last) {
    throw new Fault(`record is not in this log: sequence ${r.sequence} is outside a tree of size ${checkpoint.size} from ${bundle.first} on`);
  }
  const hash = await leafHash(r), none = new Fault(`record is not in this log: sequence ${r.sequence}`);
  let node = hash;
  for (const sibling of r.proof) {
    if (last === 0n) throw none;
    const right = (index & 1n) === 1n || index === last;
    node = await sha256("\x01" + (right ? sibling + node : node + sibling));
    while (right && (index & 1n) === 0n && index !== 0n) {
      index >>= 1n;
      last >>= 1n;
    }
    index >>= 1n;
    last >>= 1n;
  }
  if (last !== 0n || node !== checkpoint.root || checkpoint.size >= 1n << 62n) throw none;
}
