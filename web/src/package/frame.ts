import { DEFAULT_K } from './arguments.js';

/**
 * The list and what stands in its place share one cell of a grid, and the list always has `k` rows, some of them
 * invisible. So its height is the same in every state, and the page below never moves.
 */
export const STYLE = `
:host { display: block }
[hidden] { display: none !important }
.head { display: flex; flex-wrap: wrap; gap: 0 1em; align-items: baseline; justify-content: space-between }
.head > :first-child { margin: 0 0 .5em }
.stack { display: grid; position: relative; grid-template-columns: minmax(0, 1fr) }
.stack > * { grid-area: 1 / 1; align-self: start }
.given { display: block }
.list {
  display: grid; margin: 0; padding: 0; list-style: none; gap: var(--foretaste-gap, .5rem);
  grid-template-columns: var(--foretaste-columns, repeat(auto-fill, minmax(min(14rem, 100%), 1fr)));
  grid-auto-rows: var(--foretaste-item-height, 3.5rem);
}
.item { min-width: 0 }
.filler { visibility: hidden }
.skeleton, .link { background: var(--foretaste-surface, color-mix(in srgb, currentColor 8%, transparent)); border-radius: var(--foretaste-radius, .5rem) }
.link {
  display: grid; align-content: safe center; box-sizing: border-box; width: 100%; height: 100%; overflow: hidden;
  padding: var(--foretaste-padding, .5rem .75rem); border: 1px solid transparent; color: var(--foretaste-color, inherit);
  font: inherit; text-align: start; text-decoration: none; cursor: pointer; overflow-wrap: anywhere;
}
.link:hover { background: var(--foretaste-surface-hover, color-mix(in srgb, currentColor 14%, transparent)) }
.link:focus-visible, .retry:focus-visible { outline: 2px solid var(--foretaste-focus, currentColor); outline-offset: 2px }
.retry { font: inherit; margin-inline-start: .5em }
.quiet { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%) }
.unseen { visibility: hidden }
@media (prefers-reduced-motion: no-preference) {
  .skeleton { animation: pulse 1.6s ease-in-out infinite alternate }
  .link { transition: background .15s }
}
@keyframes pulse { to { opacity: .5 } }
`;

/** An element: its tag, attributes and children. */
export type Tree = [tag: string, attributes: Record<string, string>, ...children: (Tree | string)[]];

/** What stands in the shadow tree, with this many rows. */
export function frame(heading: string, level: string | number | null, label: string | null, rows: number, kind: string): Tree[] {
  const of = /^[1-6]$/.test(String(level)) ? level : 2;
  const named = heading ? { 'aria-labelledby': 'heading' } : { 'aria-label': label || 'Recommendations' };
  const hidden = { hidden: '' };
  return [
    [
      'div',
      { class: 'head' },
      [`h${of}`, { part: 'heading', id: 'heading', ...(!heading && hidden) }, heading],
      ['div', { part: 'note', role: 'status', class: 'unseen' }, ['slot', { name: 'fallback' }]],
    ],
    [
      'div',
      { class: 'stack' },
      ['ul', { class: 'list', part: 'list', role: 'list', 'aria-busy': 'true', ...named }, ...empty(kind, rows)],
      ['slot', { class: 'given' }],
      [
        'div',
        { part: 'status', role: 'status' },
        ['slot', { name: 'loading' }, ['span', { class: 'quiet' }, 'Loading']],
        ['slot', { name: 'empty', ...hidden }, 'Nothing to show yet.'],
        ['slot', { name: 'error', ...hidden }, 'This list could not be loaded.'],
        ['button', { class: 'retry', part: 'retry', type: 'button', ...hidden }, ['slot', { name: 'retry' }, 'Try again']],
      ],
    ],
  ];
}

/** Rows without an item: `skeleton`, or `filler`, which cannot be seen. */
export function empty(kind: string, rows: number): Tree[] {
  return Array.from({ length: rows }, () => ['li', { class: kind, part: kind, 'aria-hidden': 'true' }]);
}

export function nodeOf(tree: Tree | string): Node {
  if (typeof tree === 'string') return document.createTextNode(tree);
  const [tag, attributes, ...children] = tree;
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children.map(nodeOf));
  return element;
}

function markupOf(tree: Tree | string): string {
  if (typeof tree === 'string') return tree.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);
  const [tag, attributes, ...children] = tree;
  const all = Object.entries(attributes).map(([name, value]) => ` ${name}="${markupOf(value)}"`);
  return `<${tag}${all.join('')}>${children.map(markupOf).join('')}</${tag}>`;
}

/** Options of `shell`: what the element's attributes of these names say. */
export interface ShellOptions {
  k?: number;
  heading?: string;
  level?: number;
  /** The nonce with which the page's content security policy allows the inline style. */
  nonce?: string;
}

/**
 * The shadow tree as markup, for a server: `<foretaste-slate k="5">${shell({ k: 5 })}…</foretaste-slate>`. So the space
 * of the list is reserved before any script runs.
 */
export function shell({ k = DEFAULT_K, heading = '', level = 2, nonce = '' }: ShellOptions = {}): string {
  const tree = frame(heading, level, null, k, 'filler').map(markupOf).join('');
  return `<template shadowrootmode="open"><style nonce="${markupOf(nonce)}">${STYLE}</style>${tree}</template>`;
}
