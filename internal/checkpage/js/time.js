// Times are nanoseconds since 1970 as a BigInt.

const second = 1000000000n;
const zeroTime = -62135596800n * second; // what Go calls no time: the beginning of the year 1

// days returns the days since 1970 of a date, and date the date of so many days.
function days(y, m, d) {
  y = BigInt(m <= 2 ? y - 1 : y);
  const era = (y >= 0n ? y : y - 399n) / 400n, year = y - era * 400n;
  return era * 146097n + year * 365n + year / 4n - year / 100n + BigInt(Math.floor((153 * (m + (m > 2 ? -3 : 9)) + 2) / 5) + d - 1) - 719468n;
}
function date(n) {
  n += 719468n;
  const era = (n >= 0n ? n : n - 146096n) / 146097n, day = n - era * 146097n;
  const year = (day - day / 1460n + day / 36524n - day / 146096n) / 365n;
  const rest = day - (365n * year + year / 4n - year / 100n), m = (5n * rest + 2n) / 153n;
  const month = m < 10n ? m + 3n : m - 9n;
  return [year + era * 400n + (month <= 2n ? 1n : 0n), month, rest - (153n * m + 2n) / 5n + 1n];
}

// readTime reads a time of RFC 3339 with the freedom of Go's time.Parse; null for another text.
function readTime(text) {
  const found = /^(\d{4})-(\d\d)-(\d\d)T(\d{1,2}):(\d\d):(\d\d)(?:[.,](\d+))?(?:Z|([+-])(\d\d):(\d\d))$/.exec(text);
  if (!found) return null;
  const [fraction, sign, hours, minutes] = found.slice(7);
  const at = instant(found.slice(1, 7), fraction);
  if (at === null || !sign) return at;
  if (Number(hours) > 24 || Number(minutes) > 60) return null;
  const offset = BigInt(Number(hours) * 60 + Number(minutes)) * 60n * second;
  return sign === "+" ? at - offset : at + offset;
}

// readBundleTime reads the time of a record.
function readBundleTime(text) {
  const found = /^(\d{4})-(\d\d)-(\d\d)T(\d{1,2}):(\d\d):(\d\d)[.,](\d{9}|\+\d{8}|-0{8})Z$/.exec(text);
  return found && instant(found.slice(1, 7), found[7].replace(/^[+-]/, "0"));
}

function instant(parts, fraction) {
  const [y, m, d, h, min, s] = parts.map(Number);
  const leap = (y % 4 === 0 && y % 100 !== 0) || y % 400 === 0;
  const last = [31, leap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][m - 1];
  if (!last || d < 1 || d > last || h > 23 || min > 59 || s > 59) return null;
  return (days(y, m, d) * 86400n + BigInt(h * 3600 + min * 60 + s)) * second + BigInt((fraction ?? "").padEnd(9, "0").slice(0, 9));
}

// parts returns date, time of day and nanoseconds of a time, as text.
function parts(at) {
  const floor = (a, b) => (a - (((a % b) + b) % b)) / b;
  const seconds = floor(at, second), day = floor(seconds, 86400n), rest = seconds - day * 86400n;
  const two = (n) => String(n).padStart(2, "0");
  const [y, m, d] = date(day);
  return [`${y < 0n ? "-" : ""}${String(y < 0n ? -y : y).padStart(4, "0")}-${two(m)}-${two(d)}`,
    `${two(rest / 3600n)}:${two((rest / 60n) % 60n)}:${two(rest % 60n)}`, String(at - seconds * second).padStart(9, "0")];
}
const trimmed = (nanos) => (/[1-9]/.test(nanos) ? "." + nanos.replace(/0+$/, "") : "");

// The forms of a time: of a bundle, of RFC 3339 without and with a fraction, and of Go.
const bundleTime = (at) => { const [d, t, n] = parts(at); return `${d}T${t}.${n}Z`; };
const toSecond = (at) => { const [d, t] = parts(at); return `${d}T${t}Z`; };
const toNano = (at) => { const [d, t, n] = parts(at); return `${d}T${t}${trimmed(n)}Z`; };
const goTime = (at) => { const [d, t, n] = parts(at); return `${d} ${t}${trimmed(n)} +0000 UTC`; };
