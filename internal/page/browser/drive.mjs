// Drives the page of a receiver, and prints what came of each check as a line of JSON. It reads
// {base, tokens, parts, scene} from standard input; browser_test.go starts it.
import { text } from 'node:stream/consumers';
import { launch } from './browser.mjs';

const given = JSON.parse(await text(process.stdin));
const browser = await launch();
// check reports the problems that run returns or throws under a name.
given.check = async (name, run) => {
  const began = Date.now();
  let problems, said;
  try {
    const got = (await run()) ?? [];
    problems = Array.isArray(got) ? got : got.problems;
    said = got.said;
  } catch (e) {
    problems = [String(e.stack ?? e).split('\n').slice(0, 12).join('\n')];
  }
  console.log(JSON.stringify({ name, problems: [...new Set(problems)], said, ms: Date.now() - began }));
};
for (const part of given.parts) {
  const { default: run } = await import(`./part_${part}.mjs`);
  await run(browser, given);
}
await browser.close();
console.log(JSON.stringify({ name: 'end' }));
