import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { checkDeviceConfig, deviceConfigJsonSchema } from '../src/device/index.ts';
import type { JsonSchema } from '../src/reading/json-schema.ts';
import { relayConfigJsonSchema } from '../src/relay/index.ts';
import { RELAY_VARIABLES } from '../src/relay/relay-variables.ts';
import { configOf, GOOD_SECRET } from './relay-fixture.ts';
import { put, scratchFolders } from './scratch-folder.ts';

const scratch = scratchFolders();
const page = readFileSync(join(import.meta.dirname, '../../docs/config.md'), 'utf8');

/** The part of the page under a heading. */
function section(heading: string): string {
  return page.split(/^## /m).find((part) => part.startsWith(`${heading}\n`)) ?? '';
}

/** First cells of the rows of the table whose head begins with a word. */
function firstCells(text: string, head: string): string[] {
  const table = text.split(/\n\n/).find((block) => new RegExp(`^\\| ${head} +\\|`).test(block)) ?? '';
  return [...table.matchAll(/^\| `([^`]+)`/gm)].map((match) => match[1]!);
}

function yamlOf(text: string): string {
  return /```yaml\n([\s\S]*?)```/.exec(text)?.[1] ?? '';
}

/** Dotted names of all keys that hold a value rather than more keys. */
function leaves(schema: JsonSchema, path: readonly string[] = []): string[] {
  const properties = schema.properties as Record<string, JsonSchema> | undefined;
  if (properties === undefined) return [path.join('.')];
  return Object.entries(properties).flatMap(([key, child]) => leaves(child, [...path, key]));
}

describe('the page on configuration', () => {
  test('has a row for every key of the relay, and for no other', () => {
    expect(firstCells(section('The relay'), 'key').sort()).toEqual(leaves(relayConfigJsonSchema()).sort());
  });

  test('has a row for every key of device.yaml, and for no other', () => {
    expect(firstCells(section('The device'), 'key').sort()).toEqual(leaves(deviceConfigJsonSchema()).sort());
  });

  test('has a row for every variable of the relay, with its other name and its key', () => {
    const rows = section('The relay')
      .split('\n')
      .filter((line) => line.startsWith('| `TOWLINE_'));
    expect(rows).toHaveLength(RELAY_VARIABLES.length);
    for (const { name, aliases = [], path, secret = false } of RELAY_VARIABLES) {
      const row = rows.find((line) => line.startsWith(`| \`${name}\``));
      for (const part of [...aliases, path.join('.')]) expect(row).toContain(`\`${part}\``);
      expect(row?.includes('(secret)')).toBe(secret);
    }
  });

  test('shows a configuration of the relay that loads', () => {
    const config = configOf(scratch(), yamlOf(section('The relay')), { env: { RELAY_SECRET: GOOD_SECRET } });
    expect(config).toMatchObject({
      server: { port: 8085 },
      forwardSecrets: [GOOD_SECRET],
      audit: { sinks: [{ use: 'file', required: true }] },
    });
  });

  test('shows a device.yaml that loads', async () => {
    const dir = scratch();
    put(join(dir, 'device.yaml'), yamlOf(section('The device')));
    expect(await checkDeviceConfig({ dir, env: {} })).toMatchObject({ ok: true, config: { name: 'kitchen-pi', runAs: 'pi' } });
  });

  test('shows faults as they are', () => {
    const shown = /```text\n([\s\S]*?)```/.exec(page)?.[1] ?? '';
    expect(shown).toContain('expected a known key; did you mean port?, found an unknown key');
    expect(shown.split('\n').filter((line) => /^(towline.yaml:\d+|environment): \S+: expected .+, found .+$/.test(line))).toHaveLength(3);
  });
});
