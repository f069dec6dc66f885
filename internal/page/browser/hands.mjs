// Two ways to do the same: with the mouse, and by the keyboard alone. Both have click, type, choose
// and attach; what they act on is named as a person sees it.
import { tabTo } from './browser.mjs';

const exact = (name) => (name instanceof RegExp ? name : new RegExp(`^\\s*${name.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}\\s*$`));

export function mouse(page) {
  const find = (kind, name) => (kind === 'summary' ? page.locator('summary', { hasText: exact(name) }) : page.getByRole(kind, { name: exact(name) })).first();
  return {
    click: (kind, name) => find(kind, name).click(),
    type: async (label, text) => {
      await page.getByLabel(exact(label)).first().click();
      await page.keyboard.type(text);
    },
    choose: (label, option) => page.getByLabel(exact(label)).first().selectOption({ label: option }),
    attach: async (label, file) => {
      const chooser = page.waitForEvent('filechooser');
      await page.getByLabel(exact(label)).first().click();
      await (await chooser).setFiles(file);
    },
  };
}

const tags = { link: ['A'], button: ['BUTTON', 'INPUT'], summary: ['SUMMARY'] };

export function keyboard(page) {
  const to = (kind, name) => tabTo(page, `${kind} ${name}`, (f) => tags[kind].includes(f.tag) && exact(name).test(f.text));
  const field = (label) => tabTo(page, `the field ${label}`, (f) => ['INPUT', 'SELECT', 'TEXTAREA'].includes(f.tag) && exact(label).test(f.text));
  return {
    click: async (kind, name) => {
      await to(kind, name);
      await page.keyboard.press(kind === 'link' ? 'Enter' : 'Space');
    },
    type: async (label, text) => {
      await field(label);
      await page.keyboard.type(text);
    },
    choose: async (label, option) => {
      await field(label);
      await page.keyboard.type(option);
    },
    attach: async (label, file) => {
      await field(label);
      const chooser = page.waitForEvent('filechooser');
      await page.keyboard.press('Space');
      await (await chooser).setFiles(file);
    },
  };
}
