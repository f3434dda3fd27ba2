import type { Role } from '@towline/contract';
import { createIdentity, registrationBody } from './raw-device.ts';

/** What a route is about, so that access to it can be tried. */
export interface RouteRow {
  /** Whose credential it takes; `enrolment` routes also take none. */
  readonly takes: 'anyone' | 'user' | 'device' | 'enrolment';
  /** What the parameter of its path names. */
  readonly object?: 'device' | 'registration' | 'session';
  /** Role it needs on the owner of that object; `opener`: admin, or whoever opened the session. */
  readonly needs?: Role | 'opener';
  /** Answer to who may: status, and code of an error that shows that access was not the hindrance. */
  readonly allowed: string;
  /** Answer to anyone for an object that exists, on routes that go by a signature. */
  readonly unsigned?: string;
  readonly body?: () => unknown;
  /** Whether the object is not the same afterwards, so that each who may gets one of their own. */
  readonly consumes?: boolean;
}

/** The routes by which devices are enrolled and reached. All there are, and all principals, are in test/matrix. */
export const ROUTES: Readonly<Record<string, RouteRow>> = Object.freeze({
  'GET /healthz': { takes: 'anyone', allowed: '200' },
  'GET /readyz': { takes: 'anyone', allowed: '200' },
  'GET /metrics': { takes: 'anyone', allowed: '200' },
  'GET /v1/login-methods': { takes: 'anyone', allowed: '200' },
  'GET /v1/me': { takes: 'user', allowed: '200' },
  'GET /v1/audit': { takes: 'user', allowed: '200' },
  'GET /v1/devices': { takes: 'user', allowed: '200' },
  'GET /v1/devices/{device}': { takes: 'user', object: 'device', needs: 'viewer', allowed: '200' },
  'PATCH /v1/devices/{device}': { takes: 'user', object: 'device', needs: 'admin', allowed: '200', body: () => ({ name: 'renamed' }) },
  'DELETE /v1/devices/{device}': { takes: 'user', object: 'device', needs: 'admin', allowed: '204', consumes: true },
  'POST /v1/devices/{device}/rotate': { takes: 'user', object: 'device', needs: 'admin', allowed: '200' },
  'GET /v1/devices/{device}/sessions': { takes: 'user', object: 'device', needs: 'viewer', allowed: '200' },
  'DELETE /v1/sessions/{id}': { takes: 'user', object: 'session', needs: 'opener', allowed: '202' },
  'GET /v1/registrations': { takes: 'user', allowed: '200' },
  'POST /v1/registrations': {
    takes: 'enrolment',
    allowed: '201',
    body: () => registrationBody(createIdentity(), { name: 'asked', owner: 'org:acme' }),
  },
  'POST /v1/registrations/{id}/approve': { takes: 'user', object: 'registration', needs: 'admin', allowed: '200', consumes: true },
  'POST /v1/registrations/{id}/reject': { takes: 'user', object: 'registration', needs: 'admin', allowed: '200', consumes: true },
  'POST /v1/registrations/{id}/claim': {
    takes: 'anyone',
    object: 'registration',
    allowed: '200',
    unsigned: '401 proof_invalid',
    body: () => ({ device_id: '0'.repeat(32), signature: 'AAAA' }),
  },
  // Without an upgrade: whoever gets so far was let in.
  'GET /v1/links/device': { takes: 'device', allowed: '400 protocol_error' },
  'GET /v1/links/client': { takes: 'user', allowed: '400 protocol_error' },
});
