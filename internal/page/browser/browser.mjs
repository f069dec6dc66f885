// A browser for the tests: contexts that note what a page must not do, and the checks of one view.
import { createRequire } from 'node:module';
import { existsSync, readFileSync } from 'node:fs';

export const require = createRequire(import.meta.url);
const { chromium } = require('playwright-core');
const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');

export const sizes = { wide: { width: 1280, height: 900 }, narrow: { width: 360, height: 740 } };
// A page is at most this large, and so is all that the first one loads.
export const mostBytes = 100 << 10;

export function launch() {
  const found = [process.env.CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((p) => p && existsSync(p));
  if (!found) throw new Error('there is no Chromium here: install it (Debian: apt-get install chromium), or name it in CHROMIUM');
  const root = process.getuid?.() === 0; // Chromium has no sandbox for root
  return chromium.launch({ executablePath: found, args: ['--disable-gpu', '--disable-dev-shm-usage', ...(root ? ['--no-sandbox'] : [])] });
}

// A page of a context of its own. Its problems are what it did that no page may do: errors on the
// console, violations of its policy, requests to another host, dialogs, and calls of __xss, which
// the hostile texts call.
export async function open(browser, base, { script = true, scheme = 'light', size = sizes.wide, token } = {}) {
  const context = await browser.newContext({ javaScriptEnabled: script, colorScheme: scheme, viewport: size, reducedMotion: 'reduce', acceptDownloads: true });
  context.setDefaultTimeout(10_000);
  const page = await context.newPage();
  const problems = [];
  page.problems = problems;
  page.expected = []; // patterns of problems that a step means to cause
  const add = (text) => {
    if (!page.expected.some((e) => e.test(text))) problems.push(text);
  };
  await context.exposeBinding('__noted', (_, text) => add(text));
  await context.addInitScript(() => {
    const noted = globalThis.__noted;
    globalThis.__xss = (from) => noted(`a text from outside ran as a script: ${from}`);
    document.addEventListener('securitypolicyviolation', (e) => noted(`violates the policy: ${e.violatedDirective} ${e.blockedURI} ${e.sample}`));
  });
  page.on('console', (m) => {
    if (['error', 'warning'].includes(m.type())) add(`console: ${m.text()} (${m.location().url})`);
  });
  page.on('pageerror', (e) => add(`a script failed: ${e.message}`));
  page.on('dialog', (d) => {
    add(`a dialog: ${d.message()}`);
    d.dismiss();
  });
  page.on('request', (r) => {
    if (new URL(r.url()).origin !== new URL(base).origin && !/^(data|blob):/.test(r.url())) add(`a request to another origin: ${r.url()}`);
  });
  context.on('page', (p) => p !== page && add(`a new window: ${p.url()}`));
  if (token) await signIn(page, base, token);
  return page;
}

export async function signIn(page, base, token) {
  await page.goto(base + '/signin', { waitUntil: 'domcontentloaded' });
  await page.fill('#token', token);
  await page.click('main button');
  await page.waitForURL((u) => u.pathname !== '/signin');
}

// The names of the elements that axe complains about. It runs in a world of its own, so that the
// page sees nothing of it. Without scripts it cannot run.
export async function complaints(page) {
  const session = await page.context().newCDPSession(page);
  try {
    const { frameTree } = await session.send('Page.getFrameTree');
    const { executionContextId: contextId } = await session.send('Page.createIsolatedWorld', { frameId: frameTree.frame.id, worldName: 'axe' });
    await session.send('Runtime.evaluate', { expression: axe + ';0', contextId });
    const { result, exceptionDetails } = await session.send('Runtime.evaluate', {
      contextId, awaitPromise: true, returnByValue: true, expression: `axe.run(document, {
        resultTypes: ['violations'], rules: { 'target-size': { enabled: true } },
      }).then((r) => r.violations.flatMap((v) => v.nodes.slice(0, 3).map((n) =>
        'axe ' + v.id + ': ' + n.target.join(' ') + ' — ' + (n.any[0] ?? n.all[0] ?? n.none[0])?.message)))`,
    });
    return exceptionDetails ? [`axe failed: ${exceptionDetails.exception?.description}`] : result.value;
  } finally {
    await session.detach();
  }
}

// What is wider than the window. The elements of a region that scrolls by itself may be.
export function overflow(page) {
  return page.evaluate(() => {
    const wide = document.scrollingElement.scrollWidth, room = document.documentElement.clientWidth;
    if (wide <= room) return [];
    const name = (e) => e.tagName.toLowerCase() + (e.id ? '#' + e.id : '') + (e.classList.length ? '.' + [...e.classList].join('.') : '');
    const scrolls = (e) => e && (/auto|scroll|hidden/.test(getComputedStyle(e).overflowX) && e !== document.body && e !== document.documentElement || scrolls(e.parentElement));
    const out = [...document.body.querySelectorAll('*')].filter((e) => e.getBoundingClientRect().right > room + 0.5 && !scrolls(e.parentElement));
    return [`is ${wide} px wide in a window of ${room}: ${out.slice(-3).map((e) => name(e) + ' ' + (e.textContent ?? '').trim().slice(0, 40)).join(', ')}`];
  });
}

// What every view must have, whatever it shows.
export function frame(page) {
  return page.evaluate(() => {
    const faults = [], all = (s) => [...document.querySelectorAll(s)];
    if (all('h1').length !== 1) faults.push(`has ${all('h1').length} h1, want one`);
    let last = 0;
    for (const h of all('h1,h2,h3,h4,h5,h6')) {
      const level = Number(h.tagName[1]);
      if (level > last + 1) faults.push(`the heading ${h.textContent.trim()} skips a level`);
      last = level;
    }
    if (!/\S · receiver$/.test(document.title)) faults.push(`its title is ${document.title}`);
    // The file for checking bundles stands alone.
    if (document.querySelector('body > header') && !/^\/assets\/icon-(ok|warning|error|none)\.svg$/.test(document.querySelector('link[rel=icon]')?.getAttribute('href'))) faults.push('has no icon of the state');
    for (const e of all('*')) {
      for (const a of e.attributes) {
        if (/^on|^style$|^(data-)?hx-on/i.test(a.name)) faults.push(`${e.tagName} has ${a.name}=${a.value.slice(0, 40)}`);
        if (/^(href|src|action|formaction|(data-)?hx-(get|post|put|delete|patch))$/i.test(a.name) && !/^(\/(?!\/)|#|\?|https:\/\/)/.test(a.value)) faults.push(`${e.tagName} has ${a.name}=${a.value.slice(0, 60)}`);
      }
    }
    for (const f of all('form[method=post]')) if (!f.querySelector('input[name=csrf]') && f.getAttribute('action') !== '/signin') faults.push(`a form to ${f.action} has no CSRF token`);
    for (const t of all('time')) if (Number.isNaN(Date.parse(t.dateTime)) || !t.title) faults.push(`a time without its exact time: ${t.outerHTML.slice(0, 80)}`);
    return faults;
  });
}

// The element with the focus, and what is wrong with how it shows that it has it.
export function focused(page) {
  return page.evaluate(() => {
    const e = document.activeElement, s = getComputedStyle(e), box = e.getBoundingClientRect();
    const text = (e.labels?.[0]?.textContent || e.getAttribute('aria-label') || e.innerText || e.value || '').trim().replace(/\s+/g, ' ');
    const name = `${e.tagName.toLowerCase()} ${text.slice(0, 40)}`;
    const faults = [];
    if (e !== document.body && e.tagName !== 'MAIN') {
      if (s.outlineStyle === 'none' || parseFloat(s.outlineWidth) < 1) faults.push(`the focus on ${name} is not visible`);
      if (box.width === 0 || box.height === 0) faults.push(`the focus is on ${name}, which is not visible`);
      else if (box.bottom < 0 || box.top > innerHeight || box.right < 0 || box.left > innerWidth) faults.push(`the focus is on ${name}, which is out of view`);
      else {
        const on = document.elementFromPoint(Math.min(innerWidth - 1, Math.max(0, box.left + Math.min(box.width, 40) / 2)), Math.min(innerHeight - 1, Math.max(0, box.top + Math.min(box.height, 20) / 2)));
        if (on && !e.contains(on) && !on.contains(e) && !e.labels?.[0]?.contains(on)) faults.push(`${name} has the focus and is covered by ${on.tagName}`);
      }
    }
    return { text, tag: e.tagName, name: e.getAttribute('name'), href: e.getAttribute('href'), faults };
  });
}

// Goes from focus to focus by Tab until one is wanted, and notes what is wrong with any.
export async function tabTo(page, what, wanted, most = 150) {
  const seen = [];
  for (let i = 0; i < most; i++) {
    await page.keyboard.press('Tab');
    const f = await focused(page);
    for (const fault of f.faults) if (!page.problems.includes(fault)) page.problems.push(fault);
    if (wanted(f)) return f;
    seen.push(f.text || f.tag);
  }
  throw new Error(`Tab does not reach ${what} in ${most} steps; it reaches ${[...new Set(seen)].slice(0, 30).join(' | ')}`);
}
