// Every view in light and dark, wide and narrow, with scripts and without.
import { get } from 'node:http';
import { complaints, frame, mostBytes, open, overflow, sizes } from './browser.mjs';
import { views } from './views.mjs';

export default async function (browser, { base, tokens, scene, check }) {
  const page = await open(browser, base, { token: tokens.operator });
  const bare = await open(browser, base, { token: tokens.operator, script: false, size: sizes.narrow });
  await check('views/the first load', async () => {
    await page.goto(base + '/', { waitUntil: 'load' });
    const paths = new Set(await page.evaluate(() => performance.getEntriesByType('resource').map((r) => new URL(r.name).pathname)));
    paths.delete('/live');
    const sizes = [['/', (await page.content()).length]];
    for (const path of paths) sizes.push([path, await sent(base + path)]);
    const all = sizes.reduce((n, [, size]) => n + size, 0);
    return { problems: all > mostBytes ? [`takes ${all} bytes, want at most ${mostBytes}`] : [], said: `${all} bytes: ${sizes.map((s) => s.join(' ')).join(', ')}` };
  });
  for (const view of views(scene)) {
    await check(`views/${view.name}`, async () => {
      page.problems.length = 0;
      page.expected = view.status ? [new RegExp(`status of ${view.status} `)] : [];
      await page.setViewportSize(sizes.wide);
      await page.emulateMedia({ colorScheme: 'light' });
      const answer = await page.goto(base + view.path, { waitUntil: 'load' });
      const problems = [...missing(view, answer, await page.innerText('body')), ...await frame(page)];
      const html = (await answer.body()).length;
      if (html > mostBytes) problems.push(`is ${html} bytes, want at most ${mostBytes}`);
      for (const [name, size] of Object.entries(sizes)) {
        await page.setViewportSize(size);
        problems.push(...(await overflow(page)).map((p) => `${name}: ${p}`));
        for (const colorScheme of ['light', 'dark']) {
          await page.emulateMedia({ colorScheme });
          problems.push(...(await complaints(page)).map((p) => `${colorScheme}, ${name}: ${p}`));
        }
      }
      return { problems: [...problems, ...page.problems], said: `${html} bytes` };
    });
    await check(`without scripts/${view.name}`, async () => {
      bare.problems.length = 0;
      bare.expected = view.status ? [new RegExp(`status of ${view.status} `)] : [];
      const answer = await bare.goto(base + view.path, { waitUntil: 'load' });
      return [...missing({ ...view, shows: [...view.shows, ...view.bare ?? []] }, answer, await bare.innerText('body')), ...await overflow(bare), ...bare.problems];
    });
  }
  await page.context().close();
  await bare.context().close();
}

// How many bytes an asset is on its way.
const sent = (url) => new Promise((done, failed) => get(url, { headers: { 'accept-encoding': 'gzip' } }, (answer) => {
  let size = 0;
  answer.on('data', (part) => { size += part.length; }).on('end', () => done(size));
}).on('error', failed));

// What a view should show and does not.
function missing(view, answer, text) {
  const faults = [];
  if (answer.status() !== (view.status ?? 200)) faults.push(`is answered ${answer.status()}`);
  for (const want of [view.heading, ...view.shows]) {
    if (!(want instanceof RegExp ? want.test(text) : text.includes(want))) faults.push(`does not show ${want}`);
  }
  return faults;
}
