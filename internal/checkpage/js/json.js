// A reader of JSON that takes and refuses what Go's encoding/json does, with the same words.
// JSON.parse will not do: it reads numbers as floating-point ones and shows no repeated key.

const isWhite = (c) => c === " " || c === "\t" || c === "\r" || c === "\n";
const maxDepth = 10000;

// syntaxError returns why a text is no JSON, and how many bytes show it; null if it is JSON.
function syntaxError(data) {
  const end = data.length, stack = [];
  let i = 0, want = "value"; // or empty-value, key, empty-key, colon, after
  const fail = (context, inside) => {
    if (i >= end && !inside) return { message: "unexpected end of JSON input", offset: end };
    const c = i >= end ? " " : data[i];
    const name = c === "'" ? "'\\''" : c === '"' ? "'\"'" : "'" + quote(utf8(c)).slice(1, -1) + "'";
    return { message: `invalid character ${name} ${context}`, offset: Math.min(i + 1, end) };
  };
  const digits = () => {
    while (data[i] >= "0" && data[i] <= "9") i++;
  };
  const string = () => {
    for (i++; data[i] !== '"'; i++) {
      if (i >= end || data[i] < " ") return fail("in string literal");
      if (data[i] !== "\\") continue;
      i++;
      if (data[i] !== "u") {
        if (i >= end || !'bfnrt\\/"'.includes(data[i])) return fail("in string escape code", true);
        continue;
      }
      for (let n = 0; n < 4; n++) {
        i++;
        if (!/^[0-9a-fA-F]$/.test(data[i] ?? "")) return fail("in \\u hexadecimal character escape", true);
      }
    }
    i++;
    return null;
  };
  const number = () => {
    const isDigit = () => data[i] >= "0" && data[i] <= "9";
    if (data[i] === "-") i++;
    if (!isDigit()) return fail("in numeric literal", true);
    if (data[i] === "0") i++;
    else digits();
    if (data[i] === ".") {
      i++;
      if (!isDigit()) return fail("after decimal point in numeric literal", true);
      digits();
    }
    if (data[i] === "e" || data[i] === "E") {
      i++;
      if (data[i] === "+" || data[i] === "-") i++;
      if (!isDigit()) return fail("in exponent of numeric literal", true);
      digits();
    }
    return null;
  };
  const literal = (word) => {
    for (i++; i - start < word.length; i++) {
      if (data[i] !== word[i - start]) return fail(`in literal ${word} (expecting '${word[i - start]}')`, true);
    }
    return null;
  };
  let start = 0;
  for (;;) {
    while (i < end && isWhite(data[i])) i++;
    const c = data[i];
    start = i;
    if (want === "after") {
      const top = stack[stack.length - 1];
      if (!top) return i < end ? fail("after top-level value") : null;
      if (c === ",") want = top === "{" ? "key" : "value";
      else if (c === (top === "{" ? "}" : "]")) stack.pop();
      else return fail(top === "{" ? "after object key:value pair" : "after array element");
      i++;
      continue;
    }
    if (want === "colon") {
      if (c !== ":") return fail("after object key");
      want = "value";
      i++;
      continue;
    }
    if ((want === "empty-key" && c === "}") || (want === "empty-value" && c === "]")) {
      stack.pop();
      want = "after";
      i++;
      continue;
    }
    const isKey = want === "key" || want === "empty-key";
    if (isKey && c !== '"') return fail("looking for beginning of object key string");
    if (!isKey && (c === "{" || c === "[")) {
      stack.push(c);
      if (stack.length > maxDepth) return fail("exceeded max depth");
      want = c === "{" ? "empty-key" : "empty-value";
      i++;
      continue;
    }
    let wrong;
    if (c === '"') wrong = string();
    else if (c === "-" || (c >= "0" && c <= "9")) wrong = number();
    else if (c === "t") wrong = literal("true");
    else if (c === "f") wrong = literal("false");
    else if (c === "n") wrong = literal("null");
    else return fail("looking for beginning of value");
    if (wrong) return wrong;
    want = isKey ? "colon" : "after";
  }
}

// unquoted returns the bytes of a string literal; what is no character becomes U+FFFD.
function unquoted(literal) {
  if (/^[ -[\]-~]*$/.test(literal)) return literal.slice(1, -1);
  const out = [];
  const end = literal.length - 1, replacement = "\xef\xbf\xbd";
  const escape = (at) => (literal.slice(at, at + 2) === "\\u" ? parseInt(literal.slice(at + 2, at + 6), 16) : -1);
  for (let i = 1; i < end; ) {
    if (literal[i] !== "\\") {
      const [code, size] = rune(literal, i);
      out.push(code < 0 ? replacement : literal.slice(i, i + size));
      i += size;
    } else if (literal[i + 1] !== "u") {
      out.push({ b: "\b", f: "\f", n: "\n", r: "\r", t: "\t" }[literal[i + 1]] ?? literal[i + 1]);
      i += 2;
    } else {
      const first = escape(i), second = escape(i + 6);
      const pair = first >= 0xd800 && first < 0xdc00 && second >= 0xdc00 && second < 0xe000;
      if (pair) out.push(utf8(String.fromCodePoint(((first - 0xd800) << 10) + second - 0xdc00 + 0x10000)));
      else out.push(first >= 0xd800 && first < 0xe000 ? replacement : utf8(String.fromCharCode(first)));
      i += pair ? 12 : 6;
    }
  }
  return out.join("");
}

// Fault is why a text cannot be read.
class Fault extends Error {
  constructor(message, more) {
    super(message);
    Object.assign(this, more);
  }
}
const folded = (key) => key.replaceAll("\xc5\xbf", "s").replaceAll("\xe2\x84\xaa", "k").toLowerCase();

// A Reader reads JSON of which syntaxError found nothing, by a type: a struct is {fields}, a list
// {of}, the others are names. Other keys are passed over, and a later value replaces an earlier.
class Reader {
  constructor(data) {
    this.data = data;
    this.at = 0;
    this.path = [];
    this.saved = null;
  }
  read(type, old) {
    const value = this.value(type, old);
    if (this.saved) throw this.saved;
    return value;
  }
  save(fault) {
    this.saved ??= fault;
  }
  wrong(value, offset) {
    this.save(new Fault("", { type: value, offset, field: this.path.join(".") }));
  }
  space() {
    while (isWhite(this.data[this.at])) this.at++;
  }
  // skip passes over a value and returns its text.
  skip() {
    const start = this.at, c = this.data[this.at];
    if (c !== "{" && c !== "[") return this.literal();
    let depth = 0;
    do {
      const c = this.data[this.at];
      if (c === '"') this.literal();
      else {
        this.at++;
        if (c === "{" || c === "[") depth++;
        if (c === "}" || c === "]") depth--;
      }
    } while (depth > 0);
    return this.data.slice(start, this.at);
  }
  literal() {
    const start = this.at, data = this.data;
    if (data[this.at] === '"') {
      for (this.at++; data[this.at] !== '"'; this.at++) if (data[this.at] === "\\") this.at++;
      this.at++;
    } else while (this.at < data.length && !',]}'.includes(data[this.at]) && !isWhite(data[this.at])) this.at++;
    return data.slice(start, this.at);
  }
  value(type, old) {
    this.space();
    if (readers[type]) {
      const text = this.skip();
      try {
        return readers[type](text, old);
      } catch (fault) {
        if (fault.type) fault.field = [...this.path, fault.field].filter((name) => name !== "").join(".");
        throw fault;
      }
    }
    const c = this.data[this.at];
    if (c === "{") return type.fields ? this.object(type, old) : this.pass("object", old);
    if (c === "[") return type.of || type === "bytes" ? this.list(type, old) : this.pass("array", old);
    const text = this.literal();
    if (c === "n") return type.of ? list() : type === "bytes" ? "" : old;
    if (c === "t" || c === "f") this.wrong("bool", this.at);
    else if (c === '"') return this.string(type, unquoted(text), old);
    else if (type === "uint" || type === "byte") {
      if (/^\d+$/.test(text) && BigInt(text) <= (type === "byte" ? 255n : 0xffffffffffffffffn)) return BigInt(text);
      this.wrong("number " + text, this.at);
    } else this.wrong("number", this.at);
    return old;
  }
  pass(kind, old) {
    this.wrong(kind, this.at + 1);
    this.skip();
    return old;
  }
  string(type, text, old) {
    if (type === "string") return text;
    if (type !== "bytes") {
      this.wrong("string", this.at);
      return old;
    }
    const [bytes, bad] = base64(text);
    if (bad < 0) return bytes;
    this.save(new Fault(`illegal base64 data at input byte ${bad}`));
    return old;
  }
  object(type, old) {
    const depth = this.path.length;
    for (this.at++; ; this.at++) {
      this.space();
      if (this.data[this.at] === "}") break;
      const key = unquoted(this.literal());
      const name = type.fields[key] ? key : Object.keys(type.fields).find((n) => folded(n) === folded(key));
      this.space();
      this.at++; // the colon
      this.space();
      if (name === undefined) this.skip();
      else {
        this.path.push(name);
        old[name] = this.value(type.fields[name], old[name]);
      }
      this.path.length = depth;
      this.space();
      if (this.data[this.at] === "}") break;
    }
    this.at++;
    return old;
  }
  // list reads into the places of the list before, as Go does into its memory.
  list(type, old) {
    const bytes = type === "bytes", places = bytes ? Array.from(old, (c) => BigInt(c.charCodeAt(0))) : old.places;
    let n = 0;
    for (this.at++; ; this.at++) {
      this.space();
      if (this.data[this.at] === "]") break;
      places[n] = this.value(bytes ? "byte" : type.of, places[n] ?? zero(bytes ? "byte" : type.of));
      n++;
      this.space();
      if (this.data[this.at] === "]") break;
    }
    this.at++;
    if (bytes) return places.slice(0, n).map((b) => String.fromCharCode(Number(b))).join("");
    return n === 0 ? list() : { places, n };
  }
}
const list = () => ({ places: [], n: 0 });
const items = (l) => l.places.slice(0, l.n);
function zero(type) {
  if (type.fields) return Object.fromEntries(Object.entries(type.fields).map(([name, of]) => [name, zero(of)]));
  return type.of ? list() : type === "uint" || type === "byte" ? 0n : "";
}

// readers read the values that their types read themselves, out of the text of the value.
const readers = {
  // any bytes: a string if they are UTF-8, else {"base64":"…"}
  text: (raw) => (raw[0] === '"' ? unquoted(raw) : new Reader(raw).read({ fields: { base64: "bytes" } }, { base64: "" }).base64),
  hash: (raw) => {
    if (!/^"[A-Za-z0-9+/]{43}="$/.test(raw)) throw new Fault("cannot decode hash");
    return decoded(raw.slice(1, -1));
  },
  time: (raw, old) => {
    const at = raw === "null" ? old : raw[0] === '"' ? readTime(raw.slice(1, -1)) : null;
    if (at === null) throw new Fault("no time");
    return at;
  },
  raw: (raw) => raw,
};

// jsonText returns a string literal in its one form.
function jsonText(bytes) {
  const letters = { 8: "\\b", 9: "\\t", 10: "\\n", 12: "\\f", 13: "\\r", 34: '\\"', 92: "\\\\", 0x2028: "\\u2028", 0x2029: "\\u2029" };
  let out = '"';
  for (const [code, raw] of runes(bytes)) out += letters[code] ?? (code < 0x20 ? "\\u" + code.toString(16).padStart(4, "0") : raw);
  return out + '"';
}
