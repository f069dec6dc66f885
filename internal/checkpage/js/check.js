// checkBundle checks a bundle and says what `receiver audit check` says of it.
//
// The bundle is bytes, the keys are texts, the others lists of {name, bytes}. The result has the
// exit code of the command, a line for the verdict and lines for what follows, and two tables.
async function checkBundle(bundle, { logKeys, witnessKeys = [], witnesses = 0, signatureKeys = [], bodies = [] }) {
  try {
    return await check(fromArray(bundle), { logKeys: logKeys.map(utf8), witnessKeys: witnessKeys.map(utf8), witnesses, signatureKeys, bodies });
  } catch (fault) {
    if (!(fault instanceof Fault)) throw fault;
    return { code: fault.usage ? 2 : 1, verdict: fault.usage ? "NOT CHECKED" : "NOT PROVED", why: shown(fault.message), lines: [], records: [], dates: [] };
  }
}

const usage = (message) => new Fault(message, { usage: true });

async function check(data, given) {
  if (given.logKeys.length === 0) throw usage("give the public key of the log");
  const read = (texts, witnesses) => readKeys(texts, witnesses).catch((fault) => {
    throw fault instanceof Fault ? usage(fault.message) : fault;
  });
  const logs = await read(given.logKeys), witnesses = await read(given.witnessKeys, true);
  if (!Number.isInteger(given.witnesses) || given.witnesses < 0 || given.witnesses > witnesses.length) {
    throw usage(`${given.witnesses} witnesses must have cosigned: give as many keys of witnesses`);
  }
  const keys = [], bodies = new Map();
  for (const { name, bytes } of given.signatureKeys) keys.push(await signatureKey(utf8(name), fromArray(bytes)));
  for (const { name, bytes } of given.bodies) bodies.set(hex(await sha256(fromArray(bytes))), { name: utf8(name), bytes: fromArray(bytes) });

  const bundle = parseBundle(data);
  const checkpoint = await openCheckpoint(bundle.checkpoint, logs, witnesses);
  const found = [];
  if (bundle.records.length === 0) throw malformed("it has no record");
  for (const [i, r] of bundle.records.entries()) {
    if (i > 0 && r.sequence <= bundle.records[i - 1].sequence) throw malformed(`sequence ${r.sequence} is out of order`);
    if (r.stream === "" || !checkpoint.origin.endsWith("/" + r.stream)) {
      throw new Fault(`record is not in this log: sequence ${r.sequence} is of stream ${quote(r.stream)}, not of the log's`);
    }
    await included(r, bundle, checkpoint);
    found.push(await conclude(r, keys, bodies));
  }
  witnessed(checkpoint, witnesses, given.witnesses);
  const unused = [...bodies.values()].filter((b) => !b.used).map((b) => b.name).sort();
  if (unused.length > 0) throw new Fault(`${unused[0]} is not a body that a record of the bundle names`);
  return proved(bundle, checkpoint, keys, found);
}

// signatureKey reads a key of the platform, from a file that may end in a line break.
async function signatureKey(name, bytes) {
  const key = bytes.endsWith("\r\n") ? bytes.slice(0, -2) : bytes.replace(/\n$/, "");
  const bad = (what) => usage(`the signature key ${name} ${what}`);
  if (isBlank(key)) throw bad("is empty");
  if (/^(\xef\xbb\xbf|\xff\xfe|\xfe\xff)/.test(key) || key.includes("\0")) throw bad("is not the bytes of the key: it has a byte order mark, or NUL bytes");
  if (/^\s*(["'`]).*\1\s*$/s.test(key)) throw bad("has quotes around it, which would be part of the key");
  return { name, bytes: key, fingerprint: "sha256:" + hex((await sha256(key)).slice(0, 4)) };
}

function proved(bundle, checkpoint, keys, found) {
  const n = bundle.records.length;
  const lines = checkpoint.cosignatures.map((c) => `cosigned by ${shown(c.witness)} at ${toSecond(c.at)}`);
  if (keys.length === 0) lines.push("origin: not checked: give --signature-key-file");
  else for (const [i, r] of bundle.records.entries()) lines.push(`origin of ${shown(r.id)}: ${found[i]}`);
  let unknown = "";
  if (keys.length > 0 && found.includes("body not in the bundle")) unknown = "an origin is not known: body not in the bundle; give it with --body";
  else if (keys.length > 0 && found.includes("body encrypted")) {
    unknown = "an origin is not known: body encrypted; give --identity-file with a key for it, or the decrypted body with --body";
  }
  return {
    code: unknown ? 3 : 0, verdict: "PROVED", unknown, lines,
    why: `${n} record${n === 1 ? "" : "s"} stood in ${shown(checkpoint.origin)} when its checkpoint of size ${checkpoint.size} was signed`,
    records: bundle.records.map((r) => entryOf(r).map(shown)), dates: bundle.records.flatMap((r) => datesOf(r, checkpoint.cosignatures)).map((row) => row.map(shown)),
    found: bundle.records,
  };
}
globalThis.receiverCheck = checkBundle;
