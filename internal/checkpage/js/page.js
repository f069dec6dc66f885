// The page around the checker. All that a bundle says is put in as text, never as markup.

// element makes an element with text or elements in it.
function element(name, className, ...children) {
  const made = document.createElement(name);
  if (className) made.className = className;
  made.append(...children);
  return made;
}

// The words of the command for what is asked for here by a label.
const onPage = (text) => text.replaceAll("give --signature-key-file", "give the signature key under “Who signed the bodies”")
  .replaceAll("give it with --body", "give it under “Who signed the bodies”")
  .replaceAll("give --identity-file with a key for it, or the decrypted body with --body", "give the decrypted body under “Who signed the bodies”, or use `receiver audit check --identity-file`");

const shownRecords = 200; // whole; the verdict is about all
const shownBytes = 1536; // of a body
const recordHead = ["received", "source", "verdict", "reason", "job", "remote", "key", "body"];

function verdictOf(result) {
  const [level, word] = { 0: ["good", ""], 1: ["bad", ""], 2: ["", ""], 3: ["mixed", ", but an origin is not known"] }[result.code];
  const box = element("div", `verdict ${level}`, element("h2", "", result.verdict + word), element("p", "", onPage(result.why)));
  if (result.unknown) box.append(element("p", "", onPage(result.unknown)));
  const lines = result.lines.slice(0, shownRecords).map((line) => element("li", "", onPage(line)));
  if (result.lines.length > lines.length) lines.push(element("li", "", `… and ${result.lines.length - lines.length} more`));
  if (lines.length > 0) box.append(element("ul", "lines", ...lines));
  return box;
}

function cardOf(result, i) {
  const [id, ...cells] = result.records[i], record = result.found[i];
  const facts = element("dl", "");
  for (const [n, cell] of cells.entries()) if (cell !== "-") facts.append(element("dt", "", recordHead[n]), element("dd", "", cell));
  const cell = (text, name = "td") => element(name, "", text);
  const row = ([, what, at, by]) => {
    const head = cell(what, "th");
    head.scope = "row";
    return element("tr", "", head, cell(at), cell(by));
  };
  const heads = ["date", "time", "by"].map((text) => {
    const head = cell(text, "th");
    head.scope = "col";
    return head;
  });
  const dates = result.dates.filter(([of]) => of === id).map(row);
  const table = element("table", "", element("thead", "", element("tr", "", ...heads)), element("tbody", "", ...dates));
  return element("article", "", element("h3", "", id), facts, table, contentOf(record));
}

// contentOf shows subject, headers and the beginning of the data of a record.
function contentOf(record) {
  const facts = element("dl", "mono", element("dt", "", "subject"), element("dd", "", shown(record.subject)));
  for (const [name, values] of record.header) facts.append(element("dt", "", shown(name)), element("dd", "", values.map(shown).join("\n")));
  const data = record.data.slice(0, shownBytes), whole = data.length === record.data.length;
  const text = validUTF8(record.data) ? data.split("\n").map(shown).join("\n") : hex(data).replace(/../g, "$& ");
  const size = `${record.data.length} byte${record.data.length === 1 ? "" : "s"}${whole ? "" : `; the first ${shownBytes}`}`;
  const more = element("details", "", element("summary", "", `Headers and data (${size})`), facts);
  if (data) more.append(element("pre", "", text));
  return more;
}

// signs tells whether the browser can verify Ed25519.
async function signs() {
  try {
    await crypto.subtle.importKey("raw", new Uint8Array(32).fill(1), { name: "Ed25519" }, false, ["verify"]);
    return true;
  } catch (error) {
    return error.name !== "NotSupportedError";
  }
}

async function start() {
  const at = (id) => document.getElementById(id), result = at("result"), records = at("records"), run = at("run");
  const lines = (id) => at(id).value.split("\n").map((line) => line.trim()).filter((line) => line !== "");
  const files = (id) => Promise.all(Array.from(at(id).files, async (f) => ({ name: f.name, bytes: new Uint8Array(await f.arrayBuffer()) })));
  let runs = 0;
  const clear = () => {
    runs++;
    result.replaceChildren();
    records.replaceChildren();
    run.disabled = false;
  };
  const say = (answer) => {
    result.replaceChildren(verdictOf(answer));
    const cards = answer.records.slice(0, shownRecords).map((_, i) => cardOf(answer, i));
    if (cards.length > 0) records.replaceChildren(...cards);
    if (answer.records.length > cards.length) records.append(element("p", "hint", `The first ${cards.length} of ${answer.records.length} records are shown; the verdict is about all.`));
  };
  const notChecked = (why) => say({ code: 2, verdict: "NOT CHECKED", why, lines: [], records: [], dates: [] });
  at("form").addEventListener("input", clear);
  at("file").addEventListener("change", () => { at("text").value = ""; });
  at("text").addEventListener("input", () => { at("file").value = ""; });
  for (const name of ["dragenter", "dragover", "dragleave", "drop"]) {
    document.addEventListener(name, (event) => {
      if (!Array.from(event.dataTransfer?.types ?? []).includes("Files")) return;
      event.preventDefault();
      at("drop").classList.toggle("over", name === "dragenter" || name === "dragover");
      if (name !== "drop" || event.target.type === "file" || event.dataTransfer.files.length === 0) return;
      clear();
      at("file").files = event.dataTransfer.files;
      at("text").value = "";
    });
  }
  at("form").addEventListener("submit", async (event) => {
    event.preventDefault();
    clear();
    const mine = runs;
    run.disabled = true;
    result.replaceChildren(element("p", "hint", "Checking …"));
    try {
      const [bundle] = await files("file");
      const text = at("text").value, secret = at("secret").value;
      const signatureKeys = await files("secrets");
      if (secret) signatureKeys.unshift({ name: "entered above", bytes: new TextEncoder().encode(secret) });
      const answer = !bundle && !text ? null : await checkBundle(bundle ? bundle.bytes : new TextEncoder().encode(text), {
        logKeys: lines("log"), witnessKeys: lines("witness"), witnesses: Number(at("least").value), signatureKeys, bodies: await files("bodies"),
      });
      if (mine !== runs) return;
      if (answer) say(answer);
      else notChecked("choose a bundle, or paste it");
    } catch (error) {
      if (mine === runs) notChecked(`it could not be read: ${error.message}`);
    }
    run.disabled = false;
  });
  if (!globalThis.crypto?.subtle) notChecked("this browser has no WebCrypto for a page from this address: save the page and open the file");
  else if (!(await signs())) notChecked("this browser cannot verify Ed25519: use a newer one, or `receiver audit check`");
  else return;
  run.disabled = true;
}
if (globalThis.document) start();
