// The signed note of a checkpoint, and the keys that it is checked with: C2SP signed-note,
// tlog-checkpoint and tlog-cosignature.

const validName = (name) => name !== "" && !name.includes("+") && Array.from(runes(name)).every(([code]) => code >= 0 && !isSpace(code));
const keyID = async (name, key) => hex((await sha256(name + "\n" + key)).slice(0, 4));
const secretHint = (key) => (key.includes("PRIVATE+KEY+") ? "; it is a secret key: `receiver audit keys` prints the public ones" : "");

// readKeys reads the verifier keys of logs or, of type 4, of witnesses. A Fault names a key by its
// place and does not repeat it.
async function readKeys(texts, witnesses) {
  const keys = [];
  for (const [i, text] of texts.entries()) {
    const [name, rest] = cut(text, "+");
    const [id, encoded] = cut(rest, "+");
    const key = decoded(encoded, witnesses);
    let wrong = "";
    if (witnesses) {
      const whole = key !== null && key.length === 33 && key[0] === "\x04" && name !== "" && !/[ \n]/.test(name);
      if (!whole || `${name}+${await keyID(name, key)}+${toBase64(key)}` !== text) {
        wrong = "malformed witness key: want name+hash+base64 with an Ed25519 cosignature key (type 4)";
      }
    } else if (!/^[0-9a-fA-F]{8}$/.test(id) || !key || !validName(name)) wrong = "malformed verifier id";
    else if (id.toLowerCase() !== (await keyID(name, key))) wrong = "invalid verifier hash";
    else if (key[0] !== "\x01") wrong = "unknown verifier algorithm";
    else if (key.length !== 33) wrong = "malformed verifier id";
    if (wrong) throw new Fault(`${witnesses ? "witness" : "log"} key ${i + 1} of ${texts.length} is not a public key: ${wrong}${secretHint(text)}`);
    keys.push({ name, id: id.toLowerCase(), public: key.slice(1), witness: Boolean(witnesses) });
  }
  return keys;
}

async function ed25519(key, message, signature) {
  let imported;
  try {
    imported = await crypto.subtle.importKey("raw", toArray(key), { name: "Ed25519" }, false, ["verify"]);
  } catch (error) {
    if (error.name === "NotSupportedError") throw error;
    return false; // the bytes are no point of the curve
  }
  return crypto.subtle.verify({ name: "Ed25519" }, imported, toArray(signature), toArray(message));
}

async function signed(key, text, signature) {
  if (!key.witness) return signature.length === 64 && ed25519(key.public, text, signature);
  if (signature.length !== 72) return false;
  const seconds = numberOf(signature.slice(0, 8));
  return seconds > 0n && seconds < 1n << 63n && ed25519(key.public, `cosignature/v1\ntime ${seconds}\n${text}`, signature.slice(8));
}

// signatures returns the signature lines of a note: each in its one form, and no two by one key.
// It returns null for other lines.
function signatures(lines) {
  const all = [], seen = new Set();
  if (!lines.endsWith("\n")) return null;
  for (const line of lines.slice(0, -1).split("\n")) {
    const [name, encoded, there] = cut(line.slice(utf8("— ").length), " ");
    const bytes = decoded(encoded, true);
    if (!line.startsWith(utf8("— ")) || !there || bytes === null || bytes.length < 5) return null;
    const id = hex(bytes.slice(0, 4));
    if (seen.has(`${name} ${id}`)) return null;
    seen.add(`${name} ${id}`);
    all.push({ name, id, encoded, signature: bytes.slice(4) });
  }
  return all;
}

// readCheckpoint reads a checkpoint and verifies no signature.
function readCheckpoint(note) {
  const malformed = (what) => new Fault("malformed checkpoint: " + what);
  const [body, rest, split] = cut(note, "\n\n");
  const lines = split ? signatures(rest) : null;
  if (lines === null) throw malformed("it is not a text, a blank line and distinct signature lines");
  const [origin, size, root, ...more] = body.split("\n");
  if (root === undefined || more.length > 0 || origin === "") throw malformed("the text is not three lines");
  const digits = /^([+-]?)(\d+)$/.exec(size);
  const n = digits && BigInt(digits[2]) * (digits[1] === "-" ? -1n : 1n);
  if (!digits || n < 0n || n >= 1n << 63n) throw malformed("bad tree size");
  const hash = decoded(root);
  if (hash === null || hash.length !== 32) throw malformed("bad root hash");
  const text = `${origin}\n${n}\n${toBase64(hash)}\n`;
  if (text !== body + "\n") throw malformed("a number or hash is not in its canonical form");
  return { origin, size: n, root: hash, text, lines, cosignatures: [] };
}

// openCheckpoint reads a checkpoint that a log key named like its origin has signed, and on which
// no signature of a given key is wrong.
async function openCheckpoint(note, logs, witnesses) {
  const checkpoint = readCheckpoint(note);
  const refused = (why) => new Fault("checkpoint is not signed by a configured log key: " + why);
  const form = checkpoint.lines.length <= 100 && checkpoint.lines.every((l) => validName(l.name));
  if (!form || /[\0-\x09\x0b-\x1f]/.test(note) || !validUTF8(note)) throw refused("malformed note");
  let verified = 0, ours = false;
  for (const line of checkpoint.lines) {
    const key = [...logs, ...witnesses].find((k) => k.name === line.name && k.id === line.id);
    if (!key) continue;
    if (!(await signed(key, checkpoint.text, line.signature))) {
      if (!witnesses.some((k) => k.name === line.name && k.id === line.id)) throw refused(`invalid signature for key ${line.name}+${line.id}`);
      throw new Fault(`a cosignature of the checkpoint is wrong: that of witness ${line.name}, key ${line.id}; its line was changed, or the given key is not the witness's`);
    }
    verified++;
    if (logs.some((k) => k.name === line.name && k.id === line.id && k.name === checkpoint.origin)) ours = true;
    else if (line.signature.length === 72) checkpoint.cosignatures.push({ witness: line.name, at: numberOf(line.signature.slice(0, 8)) * second });
  }
  if (verified === 0) throw refused("note has no verifiable signatures");
  if (!ours) throw refused("origin " + quote(checkpoint.origin));
  return checkpoint;
}

// witnessed throws a Fault unless at least so many of the given witnesses have cosigned; 0 means all.
function witnessed(checkpoint, witnesses, least) {
  const given = [...new Set(witnesses.map((w) => w.name))];
  const missing = given.filter((name) => !checkpoint.cosignatures.some((c) => c.witness === name));
  const there = given.length - missing.length;
  if (there < (least || given.length)) {
    throw new Fault(`too few cosignatures: the checkpoint of size ${checkpoint.size} has ${there} of ${least || given.length}, none by ${missing.join(", ")}`);
  }
}
