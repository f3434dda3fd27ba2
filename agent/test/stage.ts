import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createApiKeyText, publishGrantKeys } from '@towline/protocol';
import { AgentProcess, temporaryFolder } from './agent-process.ts';
import { type RelaySide, testGrantKey } from './relay-side.ts';
import { type Answer, caPem, type TestRegistration, TestRelay } from './test-relay.ts';

/** Whom commands of a test run as: root has to say that it is meant. */
export const asMe: readonly string[] = process.geteuid?.() === 0 ? ['--run-as', 'root'] : [];

/** A relay, a folder, and the runtimes that use them. */
export class Stage {
  readonly dir: string;
  readonly relay: TestRelay;
  readonly #agents: AgentProcess[] = [];

  private constructor(dir: string, relay: TestRelay) {
    this.dir = dir;
    this.relay = relay;
  }

  static async set(): Promise<Stage> {
    const dir = await temporaryFolder();
    await writeFile(join(dir, 'test-ca.pem'), caPem);
    return new Stage(dir, await TestRelay.start());
  }

  /** Starts the program with these words. */
  start(args: readonly string[], env: Record<string, string> = {}): AgentProcess {
    const agent = new AgentProcess(this.dir, args, env);
    this.#agents.push(agent);
    return agent;
  }

  /** `run` with relay and CA, and as whom commands run. */
  run(...more: string[]): string[] {
    return ['run', '--json', ...this.atRelay, ...asMe, ...more];
  }

  get atRelay(): string[] {
    return ['--relay', this.relay.url.origin, '--ca', join(this.dir, 'test-ca.pem')];
  }

  /** Approves each request as the relay does. */
  approve(apiKey?: string): (registration: TestRegistration) => Answer {
    return ({ request }) => ({
      body: {
        state: 'approved',
        api_key: apiKey ?? createApiKeyText('device').text,
        device: { id: request.device_id, name: 'greenhouse' },
        relay: this.relay.id,
        grant_keys: publishGrantKeys([testGrantKey]),
      },
    });
  }

  /** A runtime that enrolled and is online, and its link. */
  async online(...more: string[]): Promise<{ readonly agent: AgentProcess; readonly device: RelaySide }> {
    this.relay.claimAnswer = this.approve();
    const agent = this.start(this.run('--email', 'ada@example.com', ...more));
    const index = this.relay.devices.length;
    await agent.event('online');
    return { agent, device: await this.relay.device(index) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#agents.map((agent) => agent[Symbol.asyncDispose]()));
    await this.relay[Symbol.asyncDispose]();
    await rm(this.dir, { recursive: true });
  }
}
