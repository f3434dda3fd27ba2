import { inside, loadTable, run } from './network-commands.ts';

/** Counts UDP packets that leave a namespace from now on. Answers how many there were so far. */
export function countUdpFrom(namespace: string): () => number {
  loadTable(
    namespace,
    'inet counting',
    `counter sent { }
    chain leaving {
      type filter hook output priority filter - 20
      meta l4proto udp counter name sent
    }`,
  );
  return () => {
    const [, packets] = /packets (\d+)/.exec(run(...inside(namespace, 'nft', ['list', 'counter', 'inet', 'counting', 'sent']))) ?? [];
    return Number(packets);
  };
}
