import type { HostPort, NativeConnection, PathEvent } from '../binding/quiche.ts';
import { RetiredIds } from './retired-ids.ts';

/** Places from which a packet is kept until another comes from there. */
const MAX_KEPT = 4;

/** Both ends of a path, as quiche knows it. */
interface PathEnds {
  readonly local: HostPort;
  readonly peer: HostPort;
}

/** A path whose far end is checked. */
interface Check extends PathEnds {
  /** What quiche measured of it when nothing was sent there. */
  readonly untried: string;
}

/**
 * Where a peer is that may move, and what quiche is told of it.
 *
 * What quiche 0.18 has sent on a path that the peer has left it repeats only when a later packet of that path is
 * acknowledged, which never happens on a way that is dead: streams would wait for ever for what was lost there. So for
 * quiche the peer never leaves its first path, its home; where packets of that path go is decided here. A new address
 * is still checked by quiche, on a path of its own that carries nothing but the check. Quiche makes such a path for a
 * packet from there, and does not take it for a move when it has seen a later packet already: so the first packet from
 * elsewhere is kept until the next one has come home, and shown then. A device whose window is full cannot answer the
 * check, but acknowledges it, which shows as well that it got what was sent there alone.
 */
export class PeerPlaces {
  readonly #native: NativeConnection;
  readonly #home: PathEnds;
  #peer: HostPort;
  /** Paths that quiche made for addresses to be checked. */
  #paths = 0;
  /** Those whose check goes on, the latest last. */
  #checks: Check[] = [];
  readonly #kept = new Map<string, Buffer>();
  /** Whether quiche was seen to fail at the choice of a path. */
  #mayFail = false;
  /** Ids that the peer has given back. */
  readonly retiredIds: RetiredIds;

  constructor(native: NativeConnection, { local, peer }: PathEnds) {
    this.#native = native;
    this.retiredIds = new RetiredIds(native);
    this.#home = { local, peer };
    this.#peer = peer;
  }

  /** Where packets to the peer go. */
  get peer(): HostPort {
    return this.#peer;
  }

  /** How often a new address was checked. Quiche has room for a path for each, and frees none. */
  get paths(): number {
    return this.#paths;
  }

  /** Gives quiche a packet. It is changed. False: it was refused as if it had been lost, or is kept for now. */
  take(packet: Buffer, from: HostPort): boolean {
    if (isSame(from, this.#peer) || this.#checks.some(({ peer }) => isSame(peer, from))) return this.#receive(packet, this.#home);
    const key = `${from.host} ${from.port}`;
    const earlier = this.#kept.get(key);
    if (earlier === undefined) return this.#keep(key, packet);
    const before = this.#native.stats().recv;
    const taken = this.#receive(packet, this.#home);
    // Anybody may send a packet that is none of the peer's, or one that was seen before.
    if (this.#native.stats().recv === before) return taken;
    this.#kept.delete(key);
    return this.#receive(earlier, { local: this.#elsewhere(), peer: from });
  }

  /** The next packet that quiche has to send. Null: none for now. */
  next(room: Buffer): ReturnType<NativeConnection['send']> {
    if (this.#mayFail) return this.#nextOfPaths(room);
    try {
      return this.#native.send(room);
    } catch {
      this.#mayFail = true;
      return this.#nextOfPaths(room);
    }
  }

  /**
   * Quiche 0.18 cannot send the check of an address whose id the peer has given back since, as one does that moves on
   * before it is checked, and then tries nothing else for ever. So each path is asked for itself.
   */
  #nextOfPaths(room: Buffer): ReturnType<NativeConnection['send']> {
    for (const check of [...this.#checks]) {
      try {
        const sent = this.#native.sendOnPath(room, check.local, check.peer);
        if (sent) return sent;
      } catch {
        this.#checks = this.#checks.filter((one) => one !== check);
      }
    }
    try {
      return this.#native.sendOnPath(room, this.#home.local, this.#home.peer);
    } catch {
      return null;
    }
  }

  /** Where a packet goes that quiche sends on a path. */
  destination({ from, to }: { readonly from: HostPort; readonly to: HostPort }): HostPort {
    return isSame(from, this.#home.local) ? this.#peer : to;
  }

  /** Looks at what became of the paths. To be called before anything is sent after {@link take}. */
  look(): void {
    for (let event = this.#native.pathEventNext(); event; event = this.#native.pathEventNext()) this.#note(event);
    const answered = this.#checks.find((check) => this.#measured(check) !== check.untried);
    if (answered) this.#moveTo(answered);
  }

  #note(event: PathEvent): void {
    if (event.type === 'New') {
      const { local, peer } = event;
      this.#paths += 1;
      this.#checks.push({ local, peer, untried: this.#measured(event) });
    } else if (event.type === 'Validated' || event.type === 'FailedValidation') {
      const check = this.#checks.find((one) => isSame(one.local, event.local) && isSame(one.peer, event.peer));
      if (check === undefined) return;
      if (event.type === 'Validated') this.#moveTo(check);
      else this.#checks = this.#checks.filter((one) => one !== check);
    }
  }

  #moveTo(check: Check): void {
    this.#peer = check.peer;
    this.#checks = this.#checks.slice(this.#checks.indexOf(check) + 1);
  }

  /** Changes with the first acknowledgement. */
  #measured({ local, peer }: PathEnds): string {
    const path = this.#native.pathStats().find(({ localHost, peerHost }) => isSame(localHost, local) && isSame(peerHost, peer));
    return `${path?.rtt} ${path?.cwnd}`;
  }

  #receive(packet: Buffer, { local, peer }: PathEnds): boolean {
    if (this.retiredIds.isTo(packet)) return false;
    try {
      this.#native.recv(packet, { from: peer, to: local });
      this.retiredIds.note();
      return true;
    } catch {
      return false;
    }
  }

  #keep(key: string, packet: Buffer): boolean {
    this.#kept.set(key, packet);
    // Whether it is the peer's is not known yet: anybody may have sent it.
    if (this.#kept.size <= MAX_KEPT) return false;
    const [oldest, evicted] = this.#kept.entries().next().value!;
    this.#kept.delete(oldest);
    return this.#receive(evicted, this.#home);
  }

  /** This end of the next path to be checked: no address, but a name that no path had before. */
  #elsewhere(): HostPort {
    const { host, port } = this.#home.local;
    const name = this.#paths + 1;
    return { host, port: name < port ? name : name + 1 };
  }
}

function isSame(one: HostPort, other: HostPort): boolean {
  return one.port === other.port && one.host === other.host;
}
