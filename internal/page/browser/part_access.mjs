// Signing in, by tokens of each scope and none, and out.
import { complaints, frame, open, sizes } from './browser.mjs';
import { views } from './views.mjs';

export default async function (browser, { base, tokens, scene, check }) {
  await check('access/without a token', async () => {
    const problems = [];
    const page = await open(browser, base);
    // One of each kind: an address that asks more often without a token has to wait.
    for (const view of views(scene).filter((v) => /^.\w*$/.test(v.path))) {
      await page.goto(base + view.path);
      const at = new URL(page.url());
      if (at.pathname !== '/signin' || at.searchParams.get('next') !== view.path) problems.push(`${view.path} leads to ${at.pathname}${at.search}`);
    }
    problems.push(...await frame(page), ...await complaints(page));
    await page.setViewportSize(sizes.narrow);
    await page.emulateMedia({ colorScheme: 'dark' });
    problems.push(...await complaints(page), ...page.problems);
    await page.context().close();
    return problems;
  });

  await check('access/a wrong token', async () => {
    const page = await open(browser, base);
    page.expected.push(/401/);
    await page.goto(base + '/signin');
    await page.fill('#token', 'rcv_wrong');
    await page.click('main button');
    const said = await page.innerText('[role=alert]');
    const problems = [...await complaints(page), ...page.problems];
    if (!/no valid token/.test(said)) problems.push(`says ${said}`);
    if ((await page.context().cookies()).length) problems.push('sets a cookie');
    await page.context().close();
    return problems;
  });

  for (const [name, scopes] of Object.entries({ operator: ['submit', 'read', 'audit', 'admin'], reader: ['read'], auditor: ['audit'], submitter: ['read', 'submit'], admin: ['admin'] })) {
    await check(`access/${name}`, async () => {
      const page = await open(browser, base, { token: tokens[name] });
      page.expected.push(/status of 40[034] /);
      const problems = [];
      const [cookie, ...more] = await page.context().cookies();
      if (more.length || !cookie?.httpOnly || cookie.sameSite !== 'Strict' || cookie.path !== '/' || cookie.expires !== -1) problems.push(`the cookies are ${JSON.stringify([cookie, ...more].map((c) => ({ ...c, value: '' })))}`);
      if (await page.evaluate(() => document.cookie)) problems.push('scripts see the cookie');
      for (const view of views(scene)) {
        const want = view.scopes.every((s) => scopes.includes(s)) ? view.status ?? 200 : 403;
        const answer = await page.goto(base + view.path);
        if (answer.status() !== want) problems.push(`${view.path} is answered ${answer.status()}, want ${want}`);
        if (want === 403) problems.push(...await frame(page));
      }
      // Each entry of the navigation leads to what the token opens.
      await page.goto(base + '/');
      for (const href of await page.$$eval('body > header nav a', (all) => all.map((a) => a.getAttribute('href')))) {
        const answer = await page.goto(base + href);
        if (answer.status() !== 200) problems.push(`the navigation leads to ${href}, which is answered ${answer.status()}`);
      }
      problems.push(...page.problems);
      await page.context().close();
      return problems;
    });
  }

  await check('access/signing out', async () => {
    const page = await open(browser, base, { token: tokens.operator });
    await page.click('text=Sign out');
    const problems = [...page.problems];
    if (new URL(page.url()).pathname !== '/signin') problems.push(`leads to ${page.url()}`);
    if ((await page.context().cookies()).length) problems.push('keeps the cookie');
    await page.goto(base + '/');
    if (new URL(page.url()).pathname !== '/signin') problems.push('the page is still open');
    await page.context().close();
    return problems;
  });

  // Every form that changes something, sent without its CSRF token and with that of another.
  await check('access/forms without their token', async () => {
    const page = await open(browser, base, { token: tokens.operator });
    const problems = [], actions = new Set();
    for (const view of views(scene)) {
      await page.goto(base + view.path);
      for (const a of await page.$$eval('form[method=post]', (all) => all.map((f) => f.getAttribute('action')))) actions.add(a);
    }
    const [cookie] = await page.context().cookies();
    const headers = { cookie: `${cookie.name}=${cookie.value}` };
    for (const action of actions) {
      for (const form of [{}, { csrf: '' }, { csrf: 'A'.repeat(43) }]) {
        const parts = new FormData();
        for (const [name, value] of Object.entries(form)) parts.append(name, value);
        for (const body of [new URLSearchParams(form), parts]) {
          const answer = await fetch(base + action, { method: 'POST', headers, body, redirect: 'manual' });
          if (![400, 403].includes(answer.status)) problems.push(`POST ${action} with ${body.constructor.name} ${JSON.stringify(form)} is answered ${answer.status}`);
        }
      }
    }
    await page.context().close();
    return { problems, said: [...actions].join(' ') };
  });
}
