import type { HostPort } from '../binding/quiche.ts';
import { openUdpSocket } from './udp-socket.ts';

/** The address from which packets to this peer go out at present, or null when there is no way. Nothing is sent. */
export async function localAddressTowards(peer: HostPort): Promise<string | null> {
  try {
    const socket = await openUdpSocket({ connect: peer });
    socket.close();
    return socket.local.host;
  } catch {
    return null;
  }
}
