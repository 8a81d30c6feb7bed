/**
 * What a PoP may say of itself: its own name, and no more capacity than its certificate allows. The
 * author cuts its card to that, and every reader refuses a card that does not keep to it.
 */
import { SchemaError } from "../gossip/codec.ts";
import type { Certificate, Nid } from "../gossip/identity.ts";
import type { PopCard } from "../grid/fleet.ts";
import { capacityOf, MAX_ENDPOINTS, pageOf, readPage, writeCard } from "./fleet-codec.ts";

export interface FittedCard {
  pages: Uint8Array[];
  /** What had to be left out; undefined: nothing. */
  cut?: { claimed: number; capacity: number; endpoints: number; told: number };
}

/** The pages of a card, cut to what the certificate allows and the wire takes. */
export function fitCard(card: PopCard, capacity: number): FittedCard {
  const claimed = capacityOf(card);
  const share = claimed > capacity ? capacity / claimed : 1;
  const allowed = card.endpoints.map((one) =>
    share === 1 ? one : { ...one, maxInFlight: Math.floor(one.maxInFlight * share) },
  );
  let told = Math.min(allowed.length, MAX_ENDPOINTS);
  let pages = writeCard({ ...card, endpoints: allowed.slice(0, told) });
  while (pages === undefined && told > 0) {
    pages = writeCard({ ...card, endpoints: allowed.slice(0, --told) });
  }
  if (share === 1 && told === allowed.length) return { pages: pages ?? [] };
  const cut = { claimed, capacity, endpoints: allowed.length, told };
  return { pages: pages ?? [], cut };
}

/**
 * Before a record of another PoP is stored: may its author say this?
 * @param nidOf The id that a PoP of that name has in this grid.
 */
export function mayClaim(
  author: Certificate,
  key: string,
  value: Uint8Array,
  nidOf: (pop: string) => Nid,
): boolean {
  const number = pageOf(key);
  // Keys of a later version are carried, not understood.
  if (number === undefined) return true;
  try {
    const { pop, page, capacity } = readPage(value);
    return capacity <= author.capacity && page === number && nidOf(pop) === author.nid;
  } catch (error) {
    if (error instanceof SchemaError) return false;
    throw error;
  }
}
