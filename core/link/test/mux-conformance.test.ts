import type { Duplex } from 'node:stream';
import { describeLink, type LinkPair, type LinkPairLimits } from '@towline/conformance/link';
import { createLink } from '../src/mux/create-link.ts';
import { connectMemory, connectNet, connectTls, type DuplexPair } from './mux-pairs.ts';

function linkPair([near, far]: DuplexPair, limits: LinkPairLimits = {}): LinkPair {
  const destroy = () => [near, far].forEach((duplex: Duplex) => void duplex.destroy());
  return {
    opener: createLink(near, { role: 'opener', limits }),
    acceptor: createLink(far, { role: 'acceptor', limits }),
    sever: destroy,
    dispose: destroy,
  };
}

describeLink('TLS', async (limits) => linkPair(await connectTls(), limits));
describeLink('TCP', async (limits) => linkPair(await connectNet(), limits));
describeLink('duplexes in memory', async (limits) => linkPair(connectMemory(), limits));
