import { execFileSync } from 'node:child_process';

/** Who stands where: the relay and its users outside, the device inside, a router with address translation between. */
export const RELAY_ADDRESS = '198.51.100.2';
export const ROUTER_ADDRESS = '198.51.100.1';
export const DEVICE_ADDRESS = '192.168.77.2';
const ROUTER_INSIDE = '192.168.77.1';
const PREFIX = 'towline-test-';

/** A relay's network, a router and a device's network behind it, each a network namespace. */
export interface TestNetwork extends Disposable {
  readonly relay: string;
  readonly router: string;
  readonly device: string;
  /** Has router and device drop every connection that is not the answer to one from inside. */
  closeToTheOutside(): void;
  /** Gives the device another address of its network. */
  moveDevice(to: string): void;
  /** Gives the router another address outside: what it translated is forgotten. */
  moveRouter(to: string): void;
}

/** A program and its arguments, to run in a namespace. */
export function inside(namespace: string, file: string, args: readonly string[] = []): readonly [string, readonly string[]] {
  return ['ip', ['netns', 'exec', namespace, file, ...args]];
}

/** Why networks cannot be made here; null where they can. */
export function networkFault(): string | null {
  if (process.getuid?.() !== 0) return 'this user is not root';
  try {
    createNetwork()[Symbol.dispose]();
    return null;
  } catch (error) {
    return `ip netns or nft does not work here: ${String((error as Error).message)
      .split('\n')
      .slice(0, 2)
      .join(' ')}`;
  }
}

/** Makes the three namespaces. Until {@link TestNetwork.closeToTheOutside} everybody reaches everybody. */
export function createNetwork(): TestNetwork {
  removeLeftOvers();
  const [relay, router, device] = ['relay', 'router', 'device'].map((name) => `${PREFIX}${process.pid}-${name}`) as [
    string,
    string,
    string,
  ];
  const remove = () => {
    for (const namespace of [relay, router, device]) quietly(['netns', 'del', namespace]);
  };
  try {
    for (const namespace of [relay, router, device]) ip(['netns', 'add', namespace]);
    ip(['link', 'add', 'wan', 'netns', relay, 'type', 'veth', 'peer', 'name', 'outside', 'netns', router]);
    ip(['link', 'add', 'lan', 'netns', device, 'type', 'veth', 'peer', 'name', 'inside', 'netns', router]);
    for (const [namespace, link, address] of [
      [relay, 'wan', RELAY_ADDRESS],
      [router, 'outside', ROUTER_ADDRESS],
      [router, 'inside', ROUTER_INSIDE],
      [device, 'lan', DEVICE_ADDRESS],
    ] as const) {
      ip(['-n', namespace, 'addr', 'add', `${address}/24`, 'dev', link]);
      ip(['-n', namespace, 'link', 'set', link, 'up']);
      ip(['-n', namespace, 'link', 'set', 'lo', 'up']);
    }
    run(...inside(router, 'sysctl', ['-qw', 'net.ipv4.ip_forward=1']));
    ip(['-n', device, 'route', 'add', 'default', 'via', ROUTER_INSIDE]);
    // Known on purpose: that nobody comes in must be the doing of the filter.
    ip(['-n', relay, 'route', 'add', '192.168.77.0/24', 'via', ROUTER_ADDRESS]);
    load(router, TRANSLATION);
  } catch (error) {
    remove();
    throw error;
  }
  return {
    relay,
    router,
    device,
    closeToTheOutside() {
      load(router, ROUTER_FILTER);
      load(device, DEVICE_FILTER);
    },
    moveDevice(to) {
      ip(['-n', device, 'addr', 'flush', 'dev', 'lan']);
      ip(['-n', device, 'addr', 'add', `${to}/24`, 'dev', 'lan']);
      ip(['-n', device, 'route', 'replace', 'default', 'via', ROUTER_INSIDE]);
    },
    moveRouter(to) {
      ip(['-n', router, 'addr', 'flush', 'dev', 'outside']);
      ip(['-n', router, 'addr', 'add', `${to}/24`, 'dev', 'outside']);
    },
    [Symbol.dispose]: remove,
  };
}

/** Where the device goes to the relay it wears the router's address. */
const TRANSLATION = `table ip translation {
  chain leaving {
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr 192.168.77.0/24 oifname "outside" masquerade
  }
}`;
const ROUTER_FILTER = `table ip filter {
  chain forwarded {
    type filter hook forward priority filter; policy drop;
    ct state established,related accept
    iifname "inside" accept
  }
}`;
const DEVICE_FILTER = `table inet filter {
  chain arriving {
    type filter hook input priority filter; policy drop;
    ct state established,related accept
    iifname "lo" accept
  }
}`;

/** Namespaces of tests that were killed. */
function removeLeftOvers(): void {
  for (const line of ip(['netns', 'list']).split('\n')) {
    const [name, pid] = new RegExp(`^${PREFIX}(\\d+)-\\w+`).exec(line) ?? [];
    if (name !== undefined && (Number(pid) === process.pid || !isRunning(Number(pid)))) quietly(['netns', 'del', name]);
  }
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

function load(namespace: string, rules: string): void {
  run(...inside(namespace, 'nft', ['-f', '-']), rules);
}

function ip(args: readonly string[]): string {
  return run('ip', args);
}

function quietly(args: readonly string[]): void {
  try {
    ip(args);
  } catch {
    // It is not there.
  }
}

function run(file: string, args: readonly string[], input = ''): string {
  return execFileSync(file, [...args], { input, encoding: 'utf8', stdio: 'pipe', timeout: 10_000 });
}
