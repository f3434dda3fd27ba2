import { dropTable, inside, ip, ipInside, loadTable, run } from './network-commands.ts';

/** Names of a router's two interfaces. */
export const OUTSIDE = 'outside';
export const INSIDE = 'inside';
/** After a rebinding the router gives out ports from here on, a block for each. Below the range that sockets choose themselves. */
const FIRST_PORT = 20_000;
const PORTS = 1_000;
const BLOCKS = 12;

/** A router with address translation: whoever is inside goes out under the router's address. */
export interface Router {
  readonly namespace: string;
  /** Drops every connection from outside that is not the answer to one from inside. */
  closeToTheOutside(): void;
  /**
   * Forgets every translation, as a router that restarted: the next packet of a flow leaves from another port, and from
   * `address` where it is given; what still comes to the former port is nobody's. No packet is lost by the change itself.
   */
  rebind(to?: { readonly address?: string }): void;
  /** Gives the router another address outside, in place of the present one: what it translated is forgotten. */
  move(to: string): void;
  /** Drops what would pass it, both ways and without a word: UDP only, or everything. A second call replaces the first. */
  block(what: 'udp' | 'everything'): void;
  unblock(): void;
}

/** Makes a router of a namespace that has the interfaces {@link OUTSIDE} and {@link INSIDE}. */
export function createRouter(namespace: string, insideNet: string): Router {
  let rebindings = 0;
  let zone = 0;
  /** Connections are looked up within their zone only: who gets another zone is unknown. It needs no program to empty a table. */
  const translate = (how: string) => {
    zone += 1;
    loadTable(
      namespace,
      'ip translation',
      `chain arriving {
        type filter hook prerouting priority raw
        ct zone set ${zone}
      }
      chain own {
        type filter hook output priority raw
        ct zone set ${zone}
      }
      chain leaving {
        type nat hook postrouting priority srcnat
        ip saddr ${insideNet} oifname "${OUTSIDE}" ${how}
        ip saddr ${insideNet} oifname "${OUTSIDE}" masquerade
      }`,
    );
  };
  run(...inside(namespace, 'sysctl', ['-qw', 'net.ipv4.ip_forward=1']));
  translate('masquerade');
  return {
    namespace,
    closeToTheOutside() {
      loadTable(
        namespace,
        'ip filter',
        `chain forwarded {
          type filter hook forward priority filter; policy drop
          ct state established,related accept
          iifname "${INSIDE}" accept
        }`,
      );
    },
    rebind({ address } = {}) {
      const first = FIRST_PORT + PORTS * (rebindings % BLOCKS);
      rebindings += 1;
      const ports = `:${first}-${first + PORTS - 1}`;
      if (address !== undefined) ipInside(namespace, [`addr replace ${address}/24 dev ${OUTSIDE}`]);
      translate(`meta l4proto { tcp, udp } ${address === undefined ? `masquerade to ${ports}` : `snat to ${address}${ports}`}`);
    },
    move(to) {
      ip(['-n', namespace, 'addr', 'flush', 'dev', OUTSIDE]);
      ip(['-n', namespace, 'addr', 'add', `${to}/24`, 'dev', OUTSIDE]);
      translate('masquerade');
    },
    block(what) {
      loadTable(
        namespace,
        'inet wall',
        `chain passing {
          type filter hook forward priority filter - 10
          ${what === 'udp' ? 'meta l4proto udp drop' : 'drop'}
        }`,
      );
    },
    unblock: () => dropTable(namespace, 'inet wall'),
  };
}

/** Has a device drop whatever is not the answer to something of its own. */
export function closeDevice(namespace: string): void {
  loadTable(
    namespace,
    'inet filter',
    `chain arriving {
      type filter hook input priority filter; policy drop
      ct state established,related accept
      iifname "lo" accept
    }`,
  );
}
