/** What a Durable Object keeps and is given: an identity from bindings, an epoch in its storage. */
import { IdentityError, type IdentityStore } from "./identity.ts";

/** Variables, secrets and other bindings of the worker, by name. */
export type Bindings = Record<string, unknown>;

export interface ObjectStorage {
  get<T>(key: string): Promise<T | undefined>;
  put(key: string, value: unknown): Promise<void>;
  setAlarm(unixMs: number): Promise<void>;
}

export interface ObjectState {
  storage: ObjectStorage;
  blockConcurrencyWhile<T>(work: () => Promise<T>): Promise<T>;
  /** Ends the object at once; the next request makes a new one. */
  abort(reason?: string): void;
}

const EPOCH = "epoch";

/** Reads what is needed later without waiting. */
export async function bindingStore(env: Bindings, storage: ObjectStorage): Promise<IdentityStore> {
  const epoch = await storage.get<string>(EPOCH);
  return {
    place: (name) => `binding ${name}`,
    text: (name, what) => {
      const text = env[name];
      if (typeof text === "string") return text;
      throw new IdentityError(`${what} names the binding ${name}, which is not there`);
    },
    exposed: () => false,
    epoch: () => epoch,
    saveEpoch: (_name, text) => void storage.put(EPOCH, text),
  };
}
