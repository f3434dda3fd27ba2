import type { Adapter, AdapterPayload } from 'oidc-provider';

/** What a provider has stored, by model and id. It outlives the provider, as a database would. */
export type OidcStorage = Map<string, AdapterPayload>;

/** Makes the adapter by which a provider keeps its things in `storage`, apart from every other provider of the process. */
export function createAdapter(storage: OidcStorage): (model: string) => Adapter {
  return (model) => {
    const key = (id: string) => `${model}:${id}`;
    const live = (payload: AdapterPayload | undefined) =>
      payload?.exp !== undefined && payload.exp * 1_000 < Date.now() ? undefined : payload;
    const findBy = (member: 'uid' | 'userCode', value: string) =>
      live([...storage].find(([id, payload]) => id.startsWith(`${model}:`) && payload[member] === value)?.[1]);
    return {
      upsert: async (id, payload) => void storage.set(key(id), payload),
      find: async (id) => live(storage.get(key(id))),
      findByUid: async (uid) => findBy('uid', uid),
      findByUserCode: async (code) => findBy('userCode', code),
      consume: async (id) => void Object.assign(storage.get(key(id)) ?? {}, { consumed: Math.floor(Date.now() / 1_000) }),
      destroy: async (id) => void storage.delete(key(id)),
      revokeByGrantId: async (grant) => {
        for (const [id, payload] of storage) if (payload.grantId === grant) storage.delete(id);
      },
    };
  };
}
