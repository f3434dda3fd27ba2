import type { TestRelay, TestSystem } from './system.ts';

/** A user who runs a command on a device again and again while others misbehave. */
export interface HonestUser extends AsyncDisposable {
  /** Resolves when a command that began from here on has succeeded. @throws Error when any command so far has failed. */
  unharmed(): Promise<void>;
}

/** Begins to run commands, one after the other, each as a process of its own. */
export function startHonestUser(
  system: TestSystem,
  relay: TestRelay,
  { device, key }: { readonly device: string; readonly key: string },
): HonestUser {
  const failures: string[] = [];
  const waiting = new Set<() => void>();
  let over = false;
  let commands = 0;
  const runOnce = async () => {
    const heard = [...waiting];
    const word = `command-${(commands += 1)}`;
    const { code, stdout, stderr } = await system.towline(relay, [device, 'exec', '--', 'echo', word], { key });
    if (code !== 0 || stdout !== `${word}\n`) failures.push(`${word}: ${code} ${stdout} ${stderr}`);
    for (const resolve of heard) resolve();
  };
  const running = (async () => {
    while (!over) await runOnce().catch((error: unknown) => failures.push(String(error)));
    for (const resolve of waiting) resolve();
  })();
  return {
    async unharmed() {
      await new Promise<void>((resolve) => {
        const done = () => {
          waiting.delete(done);
          resolve();
        };
        waiting.add(done);
      });
      if (failures.length > 0) throw new Error(`The honest user noticed:\n${failures.join('\n')}`);
    },
    async [Symbol.asyncDispose]() {
      over = true;
      await running;
    },
  };
}
