// The main job on real processes: relay, device runtime and command line, in a temporary folder, on free ports.
// On a terminal it ends in a shell on the device; without one it prints the transcript and exits 0.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const root = join(import.meta.dirname, '..');
const bin = (name) => join(root, 'node_modules', '.bin', name);
const folder = mkdtempSync(join(tmpdir(), 'towline-demo-'));
const running = [];
/** No step takes longer than this, milliseconds. */
const STEP_DEADLINE_MS = 30_000;

let failed = false;
try {
  await demo();
} catch (error) {
  failed = true;
  console.error(`\ndemo failed: ${error.message}`);
} finally {
  for (const child of running.reverse()) await end(child);
  rmSync(folder, { recursive: true, force: true });
}
process.exit(failed ? 1 : 0);

async function demo() {
  say('A relay on SQLite, with a certificate of its own making.');
  const relay = start('towline-relay', ['start', '--data', join(folder, 'relay'), '--host', '127.0.0.1', '--port', '0'], {});
  const ready = await firstLine(relay, /^ready url=(\S+) fingerprint=(\S+)/);
  console.log(ready[0]);
  const [, url, fingerprint] = ready;
  const user = {
    TOWLINE_RELAY: url,
    TOWLINE_TLS_FINGERPRINT: fingerprint,
    TOWLINE_API_KEY: readFileSync(join(folder, 'relay', 'admin.key'), 'utf8').trim(),
    TOWLINE_CONFIG_DIR: join(folder, 'user'),
  };

  say('A device asks to be enrolled. It only dials out.');
  const args = ['run', '--relay', url, '--fingerprint', fingerprint, '--email', 'admin@example.com', '--name', 'demo-device', '--json'];
  if (process.getuid?.() === 0) args.push('--run-as', 'root');
  const device = start('towline-agent', args, { TOWLINE_CONFIG_DIR: join(folder, 'device') });
  const events = createEvents(device);
  const waiting = await events('waiting');
  console.log(`the device shows: request ${waiting.request}\n                  fingerprint ${waiting.fingerprint}`);

  say('The admin sees the request with the same fingerprint, and approves it.');
  await towline(['devices', 'list', '--pending'], user);
  await towline(['devices', 'approve', waiting.request], user);
  await events('online');

  say('A command on the device: output, error and exit code come back as they are.');
  await towline(['demo-device', 'exec', '--', 'uname', '-sr'], user);
  await towline(['demo-device', 'exec', '--', 'sh', '-c', 'echo out; echo err >&2; exit 7'], user, 7);
  await towline(['demo-device', 'exec', '-i', '--', 'sort'], user, 0, 'pear\napple\n');

  say('A file to the device and back, checked by its hash.');
  const [original, back] = [join(folder, 'report.txt'), join(folder, 'back.txt')];
  writeFileSync(original, 'Copied by towline.\n');
  await towline(['cp', original, `demo-device:${folder}/on-the-device/`], user);
  await towline(['demo-device', 'ls', '-l', `${folder}/on-the-device`], user);
  await towline(['cp', `demo-device:${folder}/on-the-device/report.txt`, back], user);
  if (readFileSync(back, 'utf8') !== readFileSync(original, 'utf8')) throw new Error('the copy is not what was sent');

  say('What was written down.');
  await settled(user);
  await towline(['demo-device', 'audit', '--details'], user);

  if (!process.stdin.isTTY || !process.stdout.isTTY) return;
  say('A shell on the device. Leave it with exit.');
  await once(spawn(bin('towline'), ['demo-device', 'shell'], { stdio: 'inherit', env: { ...process.env, ...user } }), 'exit');
}

function say(text) {
  console.log(`\n# ${text}`);
}

function start(name, args, env) {
  const child = spawn(bin(name), args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env } });
  child.said = '';
  child.stderr.on('data', (bytes) => {
    child.said = (child.said + bytes).slice(-4_000);
  });
  child.on('error', () => {});
  running.push(child);
  return child;
}

async function firstLine(child, pattern) {
  for await (const line of within(createInterface({ input: child.stdout }), child)) {
    const match = pattern.exec(line);
    if (match) return match;
  }
  throw new Error(`the program ended early:\n${child.said}`);
}

/** Waits for events that the runtime prints, one JSON object a line. */
function createEvents(child) {
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return async (wanted) => {
    for (;;) {
      const next = await Promise.race([lines.next(), deadline(child)]);
      if (next.done) throw new Error(`the runtime ended early:\n${child.said}`);
      const event = JSON.parse(next.value);
      if (event.event === wanted) return event;
      if (event.event === 'stopped') throw new Error(event.message);
    }
  };
}

async function* within(lines, child) {
  const iterator = lines[Symbol.asyncIterator]();
  for (;;) {
    const next = await Promise.race([iterator.next(), deadline(child)]);
    if (next.done) return;
    yield next.value;
  }
}

function deadline(child) {
  return new Promise((_resolve, reject) =>
    setTimeout(() => reject(new Error(`no answer in ${STEP_DEADLINE_MS / 1_000} s:\n${child?.said ?? ''}`)), STEP_DEADLINE_MS).unref(),
  );
}

async function towline(args, env, expected = 0, input = undefined) {
  console.log(`$ ${input === undefined ? '' : `printf ${JSON.stringify(input)} | `}towline ${args.map(quote).join(' ')}`);
  const child = spawn(bin('towline'), args, {
    stdio: [input === undefined ? 'ignore' : 'pipe', 'inherit', 'inherit'],
    env: { ...process.env, ...env },
  });
  if (input !== undefined) child.stdin.end(input);
  const [code] = await Promise.race([once(child, 'exit'), deadline()]);
  if (expected !== 0) console.log(`(exit code ${code})`);
  if (code !== expected) throw new Error(`towline ${args.join(' ')} ended with ${code}`);
}

/** Ends of sessions come by the journal of the device, a moment after the command. */
async function settled(env) {
  for (let attempt = 0; attempt < 50; attempt += 1) {
    const child = spawn(bin('towline'), ['demo-device', 'sessions', '--json'], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, ...env },
    });
    const chunks = await child.stdout.toArray();
    if (JSON.parse(Buffer.concat(chunks).toString()).items.length === 0) return;
  }
  throw new Error('the device did not report the end of its sessions');
}

function quote(word) {
  return /^[\w./:@=-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

async function end(child) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGTERM');
  const kill = setTimeout(() => child.kill('SIGKILL'), 10_000);
  await once(child, 'exit');
  clearTimeout(kill);
}
