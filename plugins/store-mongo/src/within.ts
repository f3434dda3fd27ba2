import { TowlineError } from '@towline/protocol';

/** The wait ends when the time is up; what comes later is dropped. @throws TowlineError `store_failed`. */
export async function within<Value>(ms: number, work: Promise<Value>): Promise<Value> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new TowlineError('store_failed', undefined, { detail: `no answer within ${ms} ms` })), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
