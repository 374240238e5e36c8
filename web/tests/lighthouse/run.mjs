// Runs Lighthouse on the page, five times as a phone and five times as a desktop, each time in a new browser. Fails if
// a median of performance is under 90, or another category is not 100.
// usage: node run.mjs BUNDLE [RUNS]
import { execFileSync } from 'node:child_process';
import { resolve } from 'node:path';
import { join, root, serve, site } from '../support.mjs';

const [bundle, runs = '5'] = process.argv.slice(2);
/** Least median of each category. */
const LEAST = { performance: 90, accessibility: 100, 'best-practices': 100, seo: 100 };
/** Figures that are printed beside the categories. */
const FIGURES = [
  'first-contentful-paint',
  'largest-contentful-paint',
  'total-blocking-time',
  'cumulative-layout-shift',
  'speed-index',
];
const FORMS = { phone: [], desktop: ['--preset=desktop'] };

const CHROME_PATH = execFileSync(join(root, '.ci/browser'), ['chrome'], { encoding: 'utf8' }).trim();
const flags = '--headless --no-sandbox --disable-gpu --disable-dev-shm-usage';

/** The report of one visit. */
function visit(address, form) {
  const options = ['--quiet', '--output=json', `--chrome-flags=${flags}`, ...FORMS[form]];
  const text = execFileSync(join(import.meta.dirname, 'node_modules/.bin/lighthouse'), [address, ...options], {
    encoding: 'utf8',
    env: { ...process.env, CHROME_PATH },
    maxBuffer: 2 ** 28,
  });
  const report = JSON.parse(text);
  if (report.runtimeError) throw new Error(`Lighthouse: ${report.runtimeError.message}`);
  return report;
}

const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1];

/** The audits that lower a category. */
const faults = ({ categories, audits }, category) =>
  categories[category].auditRefs
    .filter(({ id, weight }) => weight > 0 && audits[id].score !== null && audits[id].score < 1)
    .map(({ id }) => `${id} ${audits[id].displayValue ?? ''}`.trim());

const server = await serve(site(resolve(bundle)));
let failed = false;
try {
  for (const form of Object.keys(FORMS)) {
    const reports = Array.from({ length: Number(runs) }, () => visit(server.address, form));
    for (const [category, least] of Object.entries(LEAST)) {
      const scores = reports.map(({ categories }) => Math.round(100 * categories[category].score));
      const low = median(scores) < least;
      failed ||= low;
      console.log(`${form}: ${category} ${median(scores)} of ${scores.join(', ')}${low ? `, should be ${least}` : ''}`);
      if (low) console.log(`  lowered by ${faults(reports[0], category).join('; ')}`);
    }
    const figures = FIGURES.map((id) => `${id} ${median(reports.map(({ audits }) => audits[id].numericValue)).toPrecision(3)}`);
    console.log(`  ${figures.join(', ')}`);
  }
} finally {
  server.stop();
}
if (failed) process.exitCode = 1;
