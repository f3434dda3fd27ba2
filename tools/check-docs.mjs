// Fails when a document links to a file that does not exist, when a generated part, as the table of errors, is not current, or
// when a method of a store has no row in docs/store.md.
// `node tools/check-docs.mjs --write` writes the generated parts anew.
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { RIGHTS } from '../core/kernel/dist/access/rights.js';
import { ERRORS } from '../core/protocol/dist/index.js';

const root = join(import.meta.dirname, '..');
const faults = [];
const documents = [
  ...readdirSync(root).filter((name) => name.endsWith('.md')),
  ...readdirSync(join(root, 'docs'), { recursive: true })
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
];

for (const document of documents) checkLinks(document);
checkStoreMethods();
checkGenerated('docs/errors.md', errorsPage());
checkGenerated('docs/permissions.md', withPart('docs/permissions.md', 'rights', rightsTable()));
if (faults.length > 0) {
  console.error(faults.join('\n'));
  process.exit(1);
}

/** Links to files, and the paths of sources that docs/data-path.md and others name in backquotes. */
function checkLinks(document) {
  const text = readFileSync(join(root, document), 'utf8').replace(/```[\s\S]*?```/g, '');
  for (const [, target] of text.matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)) {
    if (/^[a-z]+:/.test(target)) continue;
    if (!existsSync(join(root, normalize(join(dirname(document), target))))) faults.push(`${document}: no such file: ${target}`);
  }
  for (const [, path] of text.matchAll(/`((?:core|plugins|agent|cli|config|test|tools|bench|docs)\/[\w./-]+\.(?:ts|mjs|md|json))`/g)) {
    if (!existsSync(join(root, path))) faults.push(`${document}: no such file: ${path}`);
  }
}

/** Every method of a store has a row in docs/store.md, and every row there is of a method. */
function checkStoreMethods() {
  const source = readFileSync(join(root, 'core/contract/src/store.ts'), 'utf8');
  const interfaces = new Map(Array.from(source.matchAll(/^export interface (\w+) \{\n([\s\S]*?)^\}/gm), ([, name, body]) => [name, body]));
  const methodsOf = (name) => Array.from(interfaces.get(name).matchAll(/^ {2}(\w+)\??\(/gm), ([, method]) => method);
  const repositories = Array.from(interfaces.get('Store').matchAll(/^ {2}readonly (\w+): (\w+Repository);/gm));
  const wanted = [
    ...repositories.flatMap(([, place, name]) => methodsOf(name).map((method) => `${place}.${method}`)),
    ...methodsOf('Store'),
  ];
  const [, part] = readFileSync(join(root, 'docs/store.md'), 'utf8').split('## Method by method\n');
  const rows = Array.from(part.split(/^## /m)[0].matchAll(/^\| `([\w.]+)` \|/gm), ([, name]) => name);
  for (const name of wanted) if (!rows.includes(name)) faults.push(`docs/store.md: has no row for the method ${name}`);
  for (const name of rows) if (!wanted.includes(name)) faults.push(`docs/store.md: a store has no method ${name}`);
}

function checkGenerated(path, wanted) {
  const full = join(root, path);
  if (process.argv.includes('--write')) writeFileSync(full, wanted);
  else if (!existsSync(full) || readFileSync(full, 'utf8') !== wanted)
    faults.push(`${path}: not current; run node tools/check-docs.mjs --write`);
}

/** The page with the part between `<!-- NAME: … -->` and `<!-- /NAME -->` made anew. */
function withPart(path, name, part) {
  const text = readFileSync(join(root, path), 'utf8');
  const made = text.replace(new RegExp(`(<!-- ${name}: [^>]*-->\\n)[\\s\\S]*?(<!-- /${name} -->)`), (_, begin, end) => begin + part + end);
  if (!text.includes(`<!-- /${name} -->`)) faults.push(`${path}: has no place for the part ${name}`);
  return made;
}

function rightsTable() {
  const rows = Object.entries(RIGHTS).map(
    ([name, { place, role, text }]) => `| \`${name}\` | ${place} | ${place === 'platform' ? '' : `\`${role}\``} | ${text} |`,
  );
  return ['| right | where | role | to |', '|---|---|---|---|', ...rows, ''].join('\n');
}

function errorsPage() {
  const rows = Object.entries(ERRORS).map(
    ([code, row]) => `| \`${code}\` | ${row.status} | ${row.wire} | ${row.exit} | ${row.text} | ${row.hint.replaceAll('|', '\\|')} |`,
  );
  return [
    '# Errors',
    '',
    'Every error has a literal code that never changes its meaning. This page is generated from the catalogue in',
    '`core/protocol/src/errors/catalogue.ts`. *HTTP* is the status of an answer, *wire* the number in RESET and CLOSE',
    'frames, *exit* the exit code of `towline`, `towline-agent` and `towline-relay` (`exec` and `shell` use 255).',
    '',
    '| code | HTTP | wire | exit | what happened | what to do |',
    '|---|---|---|---|---|---|',
    ...rows,
    '',
  ].join('\n');
}
