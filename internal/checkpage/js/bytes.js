// Bytes are kept in strings whose every character is one byte, because what is checked is bytes.
// A text that is shown is made of them by shown().

const fromArray = (array) => {
  let out = "";
  for (let i = 0; i < array.length; i += 8192) out += String.fromCharCode.apply(null, array.subarray(i, i + 8192));
  return out;
};
function toArray(bytes) {
  const array = new Uint8Array(bytes.length);
  for (let i = 0; i < bytes.length; i++) array[i] = bytes.charCodeAt(i);
  return array;
}
const utf8 = (text) => fromArray(new TextEncoder().encode(text));
const sha256 = async (bytes) => fromArray(new Uint8Array(await crypto.subtle.digest("SHA-256", toArray(bytes))));
const hex = (bytes) => Array.from(bytes, (c) => c.charCodeAt(0).toString(16).padStart(2, "0")).join("");
const bigEndian = (value, size) => {
  let out = "";
  for (let n = BigInt.asUintN(8 * size, BigInt(value)); out.length < size; n >>= 8n) out = String.fromCharCode(Number(n & 255n)) + out;
  return out;
};
const numberOf = (bytes) => BigInt("0x" + hex(bytes));
const field = (bytes) => bigEndian(bytes.length, 4) + bytes;
const cut = (text, sep) => {
  const at = text.indexOf(sep);
  return at < 0 ? [text, "", false] : [text.slice(0, at), text.slice(at + sep.length), true];
};

// rune returns the character at a place and how many bytes it has; -1 and 1 if they are no UTF-8.
function rune(bytes, at) {
  const c = bytes.charCodeAt(at);
  if (c < 0x80) return [c, 1];
  const size = c >= 0xc2 && c < 0xe0 ? 2 : c >= 0xe0 && c < 0xf0 ? 3 : c >= 0xf0 && c < 0xf5 ? 4 : 0;
  if (!size || at + size > bytes.length) return [-1, 1];
  let code = c & (0x7f >> size);
  for (let i = 1; i < size; i++) {
    const next = bytes.charCodeAt(at + i);
    if ((next & 0xc0) !== 0x80) return [-1, 1];
    code = (code << 6) | (next & 0x3f);
  }
  const least = [0, 0, 0x80, 0x800, 0x10000][size];
  return code < least || code > 0x10ffff || (code >= 0xd800 && code < 0xe000) ? [-1, 1] : [code, size];
}

// runes returns the characters of a text with their bytes.
function* runes(bytes) {
  for (let i = 0; i < bytes.length; ) {
    const [code, size] = rune(bytes, i);
    yield [code, bytes.slice(i, i + size)];
    i += size;
  }
}

const isSpace = (code) => /^[\t\n\v\f\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]$/.test(code < 0 ? "x" : String.fromCodePoint(code));
const isBlank = (bytes) => Array.from(runes(bytes)).every(([code]) => isSpace(code));
function validUTF8(bytes) {
  for (const [code] of runes(bytes)) if (code < 0) return false;
  return true;
}
const short = { 7: "\\a", 8: "\\b", 9: "\\t", 10: "\\n", 11: "\\v", 12: "\\f", 13: "\\r" };

// quote returns a text in quotes, with escapes for what is not printed; spaces of all widths are
// printed if wide.
function quote(bytes, wide) {
  let out = '"';
  for (const [code, raw] of runes(bytes)) {
    const printed = code >= 0 && (/^[\p{L}\p{M}\p{N}\p{P}\p{S} ]$/u.test(String.fromCodePoint(code)) || (wide && code !== 0x2028 && code !== 0x2029 && code > 0x9f && isSpace(code)));
    const digits = (n) => code.toString(16).padStart(n, "0");
    if (code < 0) out += "\\x" + hex(raw);
    else if (raw === '"' || raw === "\\") out += "\\" + raw;
    else if (printed) out += raw;
    else if (short[code]) out += short[code];
    else if (code < 0x20 || code === 0x7f) out += "\\x" + digits(2);
    else out += code < 0x10000 ? "\\u" + digits(4) : "\\U" + digits(8);
  }
  return out + '"';
}

// shown returns a text as it may be shown: control characters, marks of direction and characters
// without a width are escapes in it.
const shown = (bytes) => new TextDecoder().decode(toArray(quote(bytes, true).slice(1, -1).replaceAll('\\"', '"')));

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const values = new Map(Array.from(alphabet, (c, i) => [c, i]));

// base64 decodes the padded standard alphabet, with line breaks anywhere and, unless strict, with
// stray bits. The second result is the place of the fault, -1 if there is none.
function base64(text, strict) {
  if (text.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(text) && (!strict || btoa(atob(text)) === text)) return [atob(text), -1];
  const parts = [];
  let si = 0;
  const breaks = () => {
    while (text[si] === "\n" || text[si] === "\r") si++;
  };
  for (;;) {
    const group = [];
    let padded = false;
    while (group.length < 4 && !padded) {
      if (si === text.length) {
        if (group.length === 0) return [parts.join(""), -1];
        return ["", si - group.length];
      }
      const c = text[si++];
      if (values.has(c)) group.push(values.get(c));
      else if (c !== "\n" && c !== "\r") {
        if (c !== "=" || group.length < 2) return ["", si - 1];
        if (group.length === 2) {
          breaks();
          if (si === text.length) return ["", si];
          if (text[si] !== "=") return ["", si - 1];
          si++;
        }
        breaks();
        if (si < text.length) return ["", si];
        padded = true;
      }
    }
    const n = group.length - 1;
    while (group.length < 4) group.push(0);
    const all = (group[0] << 18) | (group[1] << 12) | (group[2] << 6) | group[3];
    const bytes = [all >> 16, (all >> 8) & 255, all & 255];
    if (strict && bytes.slice(n).some((b) => b !== 0)) return ["", si - 1];
    parts.push(String.fromCharCode(...bytes.slice(0, n)));
  }
}
const decoded = (text, strict) => {
  const [bytes, bad] = base64(text, strict);
  return bad < 0 ? bytes : null;
};

const toBase64 = (bytes) => btoa(bytes);
