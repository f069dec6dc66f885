// Follows every link of every view, and notes what a text from outside brought about.
import { frame, open, overflow, sizes } from './browser.mjs';

// So many addresses of one form are followed, as of the jobs that a list names.
const mostAlike = Number(process.env.PAGES_LINKS ?? 12);

export default async function (browser, { base, tokens, check }) {
  const page = await open(browser, base, { token: tokens.operator, size: sizes.narrow });
  const known = new Set(['/']), left = ['/'], followed = {};
  const form = (path) => path.replace(/\?.*/, '?').split('/').slice(0, 3).map((p, i) => (i < 2 ? p : '*')).join('/');
  while (left.length) {
    const path = left.shift();
    const alike = form(path);
    followed[alike] = (followed[alike] ?? 0) + 1;
    if (followed[alike] > mostAlike) continue;
    await check(`hostile/${alike}/${followed[alike]}`, async () => {
      page.problems.length = 0;
      let answer;
      try {
        answer = await page.goto(base + path, { waitUntil: 'load' });
      } catch (e) {
        if (/Download is starting|ERR_ABORTED/.test(e.message)) return { problems: page.problems, said: `a file: ${path}` };
        throw e;
      }
      const problems = answer.status() < 400 ? [] : [`is answered ${answer.status()}`];
      if (!/text\/html/.test(answer.headers()['content-type'])) return { problems, said: path };
      for (const link of await page.$$eval('body a[href]', (all) => all.filter((a) => a.origin === location.origin).map((a) => a.pathname + a.search))) {
        if (!known.has(link)) {
          known.add(link);
          left.push(link);
        }
      }
      for (const d of await page.$$('main details:not([open]) > summary')) await d.click();
      problems.push(...await frame(page), ...await overflow(page));
      if (await page.$('#live')) { // as if something had changed
        await Promise.all([page.waitForResponse(base + path), page.evaluate(() => document.body.dispatchEvent(new Event('live')))]);
        problems.push(...await frame(page), ...await overflow(page));
      }
      if (page.url() !== base + path) problems.push(`leads to ${page.url()}`);
      const html = (await answer.body()).length;
      if (html > 100 << 10) problems.push(`is ${html} bytes`);
      return { problems: [...problems, ...page.problems].map((p) => `${path.slice(0, 200)}: ${p}`), said: path.slice(0, 200) };
    });
  }
  await check('hostile/all', () => ({ problems: [], said: JSON.stringify(followed) }));
  await page.context().close();
}
