type Child = Node | string | undefined | false;

/** Makes an element. Strings become text nodes, so nothing from a catalog is ever parsed as HTML. */
export function el<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Record<string, string | (() => void)> = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === 'function') element.addEventListener(name, value);
    // A strict Content-Security-Policy blocks the attribute but not the property.
    else if (name === 'style') element.style.cssText = value;
    else element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== undefined && child !== false));
  return element;
}

/** The element with an id. Throws if the page has none. */
export function byId<T extends HTMLElement>(id: string): T {
  const element = document.getElementById(id);
  if (!element) throw new Error(`the page has no #${id}`);
  return element as T;
}

/**
 * Replaces the rows of a list. Focus in it moves to the button with the same label, or else to the row in the same
 * place; to `otherwise` if no row has a button.
 */
export function replaceRows(list: HTMLElement, rows: HTMLElement[], otherwise: HTMLElement): void {
  const focused = document.activeElement;
  const place = [...list.children].findIndex((row) => row.contains(focused));
  const name = focused?.getAttribute('aria-label');
  list.replaceChildren(...rows);
  list.removeAttribute('aria-busy');
  if (place < 0) return;
  const buttons = [...list.querySelectorAll('button')];
  const same = buttons.find((button) => button.getAttribute('aria-label') === name);
  const near = list.children[Math.min(place, list.children.length - 1)]?.querySelector('button');
  (same ?? near ?? otherwise).focus({ preventScroll: true });
}

/** Makes a toolbar of buttons one tab stop. The left and right arrow, Home and End move between the buttons. */
export function toolbar(label: string, buttons: HTMLButtonElement[], ...children: Child[]): HTMLElement {
  const enter = (button: HTMLButtonElement | undefined) => {
    for (const one of buttons) one.tabIndex = one === button ? 0 : -1;
  };
  enter(buttons[0]);
  for (const [at, button] of buttons.entries()) {
    const places: Record<string, number> = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: buttons.length - 1 };
    button.addEventListener('focus', () => enter(button));
    button.addEventListener('keydown', (event) => {
      const next = buttons[places[event.key] ?? -1];
      if (!next) return;
      event.preventDefault();
      next.focus();
    });
  }
  return el('span', { role: 'toolbar', 'aria-label': label }, ...children);
}

const PATHS = {
  heart: 'M12 20s-7.5-4.6-7.5-10A4.3 4.3 0 0 1 12 7.3 4.3 4.3 0 0 1 19.5 10c0 5.400-7.5 10-7.500 10z',
  star: 'M12 3.500l2.600 5.500 6 .8-4.400 4.200 1.100 6L12 17.100 6.700 20l1.100-6L3.400 9.800l6-.8z',
  near: 'M8.500 12a3.500 3.500 0 1 0 7 0 3.500 3.500 0 1 0-7 0M12 3v2.500M12 18.500V21M3 12h2.500M18.500 12H21',
  cross: 'M6 6l12 12M18 6L6 18',
};

/** A line drawing, 24 by 24 units, hidden from screen readers: the button around it has the label. */
export function icon(name: keyof typeof PATHS): SVGSVGElement {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  svg.setAttribute('viewBox', '0 0 24 24');
  svg.setAttribute('aria-hidden', 'true');
  const path = document.createElementNS('http://www.w3.org/2000/svg', 'path');
  path.setAttribute('d', PATHS[name]);
  svg.append(path);
  return svg;
}

/** A round button with an icon. */
export function iconButton(name: keyof typeof PATHS, label: string, click: () => void): HTMLButtonElement {
  return el('button', { type: 'button', class: 'icon', 'aria-label': label, title: label, click }, icon(name));
}
