import { ip, ipInside } from './network-commands.ts';
import { closeDevice, createRouter, INSIDE, OUTSIDE, type Router } from './network-router.ts';
import { createSpaces } from './network-spaces.ts';

/** The one address of the relay, whichever way a device comes. */
export const TWO_WAYS_RELAY_ADDRESS = '198.51.100.2';

/** A way from the device to the relay: an interface of the device of that name, and a router behind it. */
export type Way = 'first' | 'second';

interface WayAddresses {
  readonly device: string;
  readonly routerInside: string;
  readonly insideNet: string;
  readonly routerOutside: string;
  readonly relay: string;
  readonly outsideNet: string;
}

/** Addresses along both ways; `routerOutside` is what the relay sees. */
export const WAYS: Readonly<Record<Way, WayAddresses>> = {
  first: {
    device: '192.168.77.2',
    routerInside: '192.168.77.1',
    insideNet: '192.168.77.0/24',
    routerOutside: '198.51.100.1',
    relay: TWO_WAYS_RELAY_ADDRESS,
    outsideNet: '198.51.100.0/24',
  },
  second: {
    device: '192.168.88.2',
    routerInside: '192.168.88.1',
    insideNet: '192.168.88.0/24',
    routerOutside: '203.0.113.1',
    relay: '203.0.113.2',
    outsideNet: '203.0.113.0/24',
  },
};
const NAMES = ['first', 'second'] as const;

/** A device with two interfaces, each behind a router of its own, of which it uses one at a time. Nobody comes in. */
export interface TwoWayNetwork extends Disposable {
  readonly relay: string;
  readonly device: string;
  readonly routers: Readonly<Record<Way, Router>>;
  /** Which way is in use; `first` in the beginning. */
  readonly way: Way;
  /** Takes the present interface down, with its address, and goes on over another, with another address. */
  moveTo(way: Way): void;
  /** Drops what would pass either router: UDP only, or everything. */
  block(what: 'udp' | 'everything'): void;
  unblock(): void;
}

/** Makes the four namespaces. Root only, as {@link import('./network-namespaces.ts').networkFault} tells. */
export function createTwoWayNetwork(): TwoWayNetwork {
  const spaces = createSpaces(['relay', 'first', 'second', 'device']);
  const { relay, device } = spaces.names;
  try {
    const [first, second] = NAMES.map((way) => createWay({ way, relay, device, router: spaces.names[way] })) as [Router, Router];
    // Servers that listen on every address answer from the relay's one, too.
    ipInside(relay, [`route replace ${WAYS.second.outsideNet} dev second src ${TWO_WAYS_RELAY_ADDRESS}`]);
    ipInside(second.namespace, [`route add ${TWO_WAYS_RELAY_ADDRESS}/32 via ${WAYS.second.relay}`]);
    for (const router of [first, second]) router.closeToTheOutside();
    closeDevice(device);
    let way: Way = 'first';
    bringUp(device, way);
    return {
      relay,
      device,
      routers: { first, second },
      get way() {
        return way;
      },
      moveTo(next) {
        for (const other of NAMES) if (other !== next) ipInside(device, [`addr flush dev ${other}`, `link set ${other} down`]);
        bringUp(device, next);
        way = next;
      },
      block(what) {
        for (const router of [first, second]) router.block(what);
      },
      unblock() {
        for (const router of [first, second]) router.unblock();
      },
      [Symbol.dispose]: spaces[Symbol.dispose],
    };
  } catch (error) {
    spaces[Symbol.dispose]();
    throw error;
  }
}

interface WayParts {
  readonly way: Way;
  readonly relay: string;
  readonly device: string;
  readonly router: string;
}

function createWay({ way, relay, device, router }: WayParts): Router {
  const at = WAYS[way];
  ip(['link', 'add', way, 'netns', relay, 'type', 'veth', 'peer', 'name', OUTSIDE, 'netns', router]);
  ip(['link', 'add', way, 'netns', device, 'type', 'veth', 'peer', 'name', INSIDE, 'netns', router]);
  // The way to the device is known on purpose: that nobody comes in must be the doing of the filters.
  ipInside(relay, [`addr add ${at.relay}/24 dev ${way}`, `link set ${way} up`, `route add ${at.insideNet} via ${at.routerOutside}`]);
  ipInside(router, [
    `addr add ${at.routerOutside}/24 dev ${OUTSIDE}`,
    `addr add ${at.routerInside}/24 dev ${INSIDE}`,
    `link set ${OUTSIDE} up`,
    `link set ${INSIDE} up`,
  ]);
  return createRouter(router, at.insideNet);
}

function bringUp(device: string, way: Way): void {
  ipInside(device, [
    `link set ${way} up`,
    `addr replace ${WAYS[way].device}/24 dev ${way}`,
    `route replace default via ${WAYS[way].routerInside} dev ${way}`,
  ]);
}
