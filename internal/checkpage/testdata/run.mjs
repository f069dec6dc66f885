// Runs the script of the page on cases from standard input, and writes what it says of each:
//   node run.mjs PAGE < cases.json
import { readFileSync } from "node:fs";
import { runInThisContext } from "node:vm";

if (!globalThis.crypto?.subtle) throw new Error(`node ${process.version} has no WebCrypto: this needs version 20 or later`);
const page = readFileSync(process.argv[2], "utf8");
runInThisContext(page.slice(page.indexOf("<script>") + 8, page.lastIndexOf("</script>")));
const bytes = (text) => new Uint8Array(Buffer.from(text ?? "", "base64"));
const files = (all) => (all ?? []).map(({ name, bytes: text }) => ({ name, bytes: bytes(text) }));
const answers = [];
for (const c of JSON.parse(readFileSync(0, "utf8"))) {
  const { found, ...answer } = await globalThis.receiverCheck(bytes(c.bundle), {
    logKeys: c.log_keys ?? [], witnessKeys: c.witness_keys ?? [], witnesses: c.witnesses, signatureKeys: files(c.signature_keys), bodies: files(c.bodies),
  });
  answers.push(answer);
}
process.stdout.write(JSON.stringify(answers));
