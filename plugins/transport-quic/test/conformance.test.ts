import { describeLink } from '@towline/conformance/link';
import { linkPair } from './quic-pair.ts';

describeLink('QUIC, dialled by a client', (limits) => linkPair('client', limits));
describeLink('QUIC, dialled by a device', (limits) => linkPair('device', limits));
