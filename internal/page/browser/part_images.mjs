// Takes pictures of the views: those of the documentation into the folder images, and with the
// folder looks all of them, in light and dark, wide and narrow, to be looked at.
import { open, sizes } from './browser.mjs';
import { views } from './views.mjs';

export default async function (browser, { base, tokens, scene, images, looks, check }) {
  const page = await open(browser, base, { token: tokens.operator });
  for (const view of views(scene)) {
    if (!looks && !view.image) continue;
    await check(`images/${view.name}`, async () => {
      await page.setViewportSize(sizes.wide);
      await page.emulateMedia({ colorScheme: 'light' });
      await page.goto(base + view.path, { waitUntil: 'load' });
      if (images && view.image) {
        if (view.press) {
          await page.getByRole('button', { name: view.press }).click();
          await page.waitForLoadState('load');
        }
        const whole = await page.evaluate(() => document.documentElement.scrollHeight), y = view.from ?? 0;
        await page.screenshot({ path: `${images}/${view.image}.png`, fullPage: true, clip: { x: 0, y, width: 1280, height: Math.min(view.height ?? 900, whole - y) } });
      }
      if (!looks) return [];
      for (const [name, size] of Object.entries(sizes)) {
        await page.setViewportSize(size);
        for (const colorScheme of ['light', 'dark']) {
          await page.emulateMedia({ colorScheme });
          await page.screenshot({ path: `${looks}/${view.name.replace(/\W+/g, '-')}-${name}-${colorScheme}.png`, fullPage: true });
        }
      }
      return [];
    });
  }
  await page.context().close();
}
