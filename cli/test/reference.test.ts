import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { COMMANDS, DEVICE_VERBS } from '../src/commands/command-table.ts';
import { deviceCommand } from '../src/device/device-command.ts';
import { GLOBAL_OPTION_LINES } from '../src/invocation/global-option-table.ts';
import { createProgram } from '../src/invocation/program.ts';

const page = readFileSync(join(import.meta.dirname, '..', '..', 'docs', 'cli.md'), 'utf8');
const sections = new Map(page.split(/^## /m).map((section) => [section.split('\n', 1)[0]!, section]));
const program = createProgram({
  argv: [],
  env: {},
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  signal: new AbortController().signal,
  now: () => 0,
});

/** Every command that can be typed, with the long names of its options. */
async function typeable(): Promise<Map<string, string[]>> {
  const found = new Map<string, string[]>();
  const walk = (command: Command, name: string) => {
    if (command.commands.length === 0) found.set(name, command.options.map(({ long }) => long!).sort());
    for (const below of command.commands) walk(below, `${name} ${below.name()}`);
  };
  for (const { name, load } of COMMANDS) walk(await load(program), `towline ${name}`);
  for (const { verb } of DEVICE_VERBS) {
    const device = await deviceCommand(program, 'pi', [verb]);
    walk(device.commands.find((command) => command.name() === verb)!, `towline DEVICE ${verb}`);
  }
  return found;
}

describe('the reference of the command line', () => {
  it('has a section with an example for every command, and none for others', async () => {
    const documented = [...sections.keys()].filter((heading) => heading.startsWith('towline '));
    expect(documented.sort()).toEqual([...(await typeable()).keys()].sort());
    for (const heading of documented) {
      const example = new RegExp(`^    .*${heading.replace('DEVICE', 'pi')}|: \`${heading}`, 'm');
      expect(sections.get(heading), heading).toMatch(example);
    }
  });

  it('lists exactly the options that each command takes', async () => {
    for (const [heading, options] of await typeable()) {
      const rows = [...sections.get(heading)!.matchAll(/^\| ([^|]+) \|/gm)].flatMap(([, cell]) => cell!.match(/--[a-z-]+/g) ?? []);
      expect(rows.filter((row) => row !== '---').sort(), heading).toEqual(options);
    }
  });

  it('lists the options of the program', () => {
    for (const [flags] of GLOBAL_OPTION_LINES) expect(sections.get('Options of every command')).toContain(flags.match(/--[a-z-]+/)![0]);
  });
});
