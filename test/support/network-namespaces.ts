import { ip, ipInside } from './network-commands.ts';
import { closeDevice, createRouter, INSIDE, OUTSIDE, type Router } from './network-router.ts';
import { createSpaces } from './network-spaces.ts';

export { inside } from './network-commands.ts';

/** Who stands where: the relay and its users outside, the device inside, a router with address translation between. */
export const RELAY_ADDRESS = '198.51.100.2';
export const ROUTER_ADDRESS = '198.51.100.1';
/** An address the router may take outside as well. */
export const OTHER_ROUTER_ADDRESS = '198.51.100.3';
export const DEVICE_ADDRESS = '192.168.77.2';
const ROUTER_INSIDE = '192.168.77.1';
const DEVICE_NET = '192.168.77.0/24';

/** A relay's network, a router and a device's network behind it, each a network namespace. */
export interface TestNetwork extends Disposable, Pick<Router, 'rebind' | 'block' | 'unblock'> {
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
  const spaces = createSpaces(['relay', 'router', 'device']);
  const { relay, router: between, device } = spaces.names;
  try {
    ip(['link', 'add', 'wan', 'netns', relay, 'type', 'veth', 'peer', 'name', OUTSIDE, 'netns', between]);
    ip(['link', 'add', 'lan', 'netns', device, 'type', 'veth', 'peer', 'name', INSIDE, 'netns', between]);
    ipInside(between, [
      `addr add ${ROUTER_ADDRESS}/24 dev ${OUTSIDE}`,
      `addr add ${ROUTER_INSIDE}/24 dev ${INSIDE}`,
      `link set ${OUTSIDE} up`,
      `link set ${INSIDE} up`,
    ]);
    // The way to the device is known on purpose: that nobody comes in must be the doing of the filter.
    ipInside(relay, [`addr add ${RELAY_ADDRESS}/24 dev wan`, 'link set wan up', `route add ${DEVICE_NET} via ${ROUTER_ADDRESS}`]);
    ipInside(device, [`addr add ${DEVICE_ADDRESS}/24 dev lan`, 'link set lan up', `route add default via ${ROUTER_INSIDE}`]);
    const router = createRouter(between, DEVICE_NET);
    return {
      relay,
      router: between,
      device,
      rebind: router.rebind,
      block: router.block,
      unblock: router.unblock,
      closeToTheOutside() {
        router.closeToTheOutside();
        closeDevice(device);
      },
      moveDevice(to) {
        ip(['-n', device, 'addr', 'flush', 'dev', 'lan']);
        ipInside(device, [`addr add ${to}/24 dev lan`, `route replace default via ${ROUTER_INSIDE}`]);
      },
      moveRouter: router.move,
      [Symbol.dispose]: spaces[Symbol.dispose],
    };
  } catch (error) {
    spaces[Symbol.dispose]();
    throw error;
  }
}
