// The same tasks with the mouse, on a small dark screen, and by the keyboard alone.
import { open, sizes } from './browser.mjs';
import { keyboard, mouse } from './hands.mjs';

export default async function (browser, given) {
  const { base, check } = given;
  for (const [name, take, look] of [
    ['keyboard', keyboard, { scheme: 'light', size: sizes.wide }],
    ['mouse', mouse, { scheme: 'dark', size: sizes.narrow }],
  ]) {
    const page = await open(browser, base, look);
    const hand = take(page);
    for (const [task, run] of Object.entries(tasks)) {
      await check(`${name}/${task}`, async () => {
        page.problems.length = 0;
        await run({ ...given, page, hand, jobs: given.scene.jobs });
        return page.problems;
      });
    }
    await page.context().close();
  }
}

// Waits for a text, and for the path of the address.
const see = (page, text) => page.getByText(text).first().waitFor();
const at = (page, path) => page.waitForURL((u) => (path instanceof RegExp ? path.test(u.pathname) : u.pathname === path));

const tasks = {
  'signing in': async ({ page, hand, base, tokens }) => {
    await page.goto(`${base}/jobs`);
    await hand.type('Token', tokens.operator);
    await hand.click('button', 'Sign in');
    await at(page, '/jobs');
  },

  'going through all views': async ({ page, hand, base }) => {
    await page.goto(base);
    const names = await page.$$eval('body > header nav a', (all) => all.map((a) => [a.textContent, a.pathname]));
    for (const [name, path] of names) {
      await hand.click('link', name);
      await at(page, path);
      await page.locator('body > header nav a[aria-current=page]', { hasText: name }).waitFor();
    }
  },

  'finding a job': async ({ page, hand, base, jobs }) => {
    await page.goto(base);
    await hand.click('link', 'Jobs');
    await at(page, '/jobs');
    await hand.choose('Result', 'partial');
    await hand.click('button', 'Search');
    await page.waitForURL(/result=partial/);
    await hand.click('link', jobs.partly);
    await at(page, `/jobs/crm/${jobs.partly}`);
    await hand.click('link', 'Preview');
    await see(page, 'ada12@example.com');
  },

  'polling a job': async ({ page, hand, base, jobs }) => {
    await page.goto(`${base}/jobs/legacy/${jobs.overdue}`);
    await hand.click('button', 'Poll now');
    await page.locator('.done').waitFor();
  },

  'replaying an event': async ({ page, hand, base, jobs }) => {
    await page.goto(`${base}/jobs/crm/${jobs.good}`);
    await hand.click('summary', 'Replay an event…');
    await hand.type('Reason', 'the consumer lost it');
    await hand.click('button', 'Publish it once more');
    await page.locator('.done').waitFor();
  },

  'cancelling a job': async ({ page, hand, base, jobs }) => {
    await page.goto(`${base}/jobs/shop/${jobs.running}`);
    await hand.click('summary', 'Cancel…');
    await hand.type('Reason', 'the wrong file');
    await hand.click('button', 'Cancel at the platform');
    await page.locator('.done').waitFor();
  },

  'submitting a file': async ({ page, hand, base }) => {
    await page.goto(`${base}/submit`);
    await hand.choose('Source', 'crm');
    await hand.click('button', 'Choose');
    await page.waitForURL(/source=crm/);
    await hand.type('Object of the platform', 'contact');
    await page.keyboard.press('Enter');
    await page.waitForURL(/object=contact/);
    await hand.attach('CSV file', { name: 'contacts.csv', mimeType: 'text/csv', buffer: Buffer.from('C_EmailAddress,C_FirstName\nada@example.com,Ada\n') });
    await see(page, 'ada@example.com');
    await hand.click('button', 'Upload');
    await at(page, /^\/jobs\/crm\//);
  },

  'explaining a refusal': async ({ page, hand, base, scene }) => {
    await page.goto(`${base}/callbacks/${scene.callbacks['line feed']}`);
    await hand.click('button', /^Verify again/);
    await see(page, 'has a line feed at its end');
  },

  'signing out': async ({ page, hand, base }) => {
    await page.goto(base);
    await hand.click('button', 'Sign out');
    await at(page, '/signin');
  },
};
