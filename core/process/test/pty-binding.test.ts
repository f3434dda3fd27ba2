import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

it('says that no terminal can be opened where node-pty is not installed, and loads without it', () => {
  const folder = mkdtempSync(join(tmpdir(), 'towline-without-pty-'));
  try {
    mkdirSync(join(folder, 'node_modules/@towline'), { recursive: true });
    symlinkSync(fileURLToPath(new URL('../../protocol', import.meta.url)), join(folder, 'node_modules/@towline/protocol'));
    copyFileSync(new URL('../dist/pty-binding.js', import.meta.url), join(folder, 'pty-binding.mjs'));
    writeFileSync(
      join(folder, 'main.mjs'),
      "const { loadPtyBinding } = await import('./pty-binding.mjs'); try { loadPtyBinding(); } catch (error) { console.log(error.code); }",
    );
    expect(execFileSync(process.execPath, [join(folder, 'main.mjs')], { encoding: 'utf8' })).toBe('pty_unavailable\n');
  } finally {
    rmSync(folder, { recursive: true });
  }
});
