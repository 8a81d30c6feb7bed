/**
 * Regions and tenants as the kernel's small numbers. A region is one of 256 numbers; asking for
 * `eu` allows `eu`, `eu-de`, `eu-fr-paris`. A tenant that some endpoint is reserved for has a bit
 * of its own; everybody else shares bit 0.
 */

/** Bits for named tenants: 32 less the one that everybody else shares. */
const TENANT_BITS = 31;
const ALL_TENANTS = 0xffffffff;
const REGION_WORDS = 8;

export class Places {
  private readonly regions: string[] = [];
  private readonly tenants = new Map<string, number>();

  /** Number of a region, given on first use. -1 when all 256 are taken. */
  regionId(region: string): number {
    const known = this.regions.indexOf(region);
    if (known >= 0) return known;
    if (this.regions.length >= REGION_WORDS * 32) return -1;
    return this.regions.push(region) - 1;
  }

  /** Set of the region numbers that a task allows; undefined = anywhere. */
  regionSet(allowed: readonly string[]): Uint32Array | undefined {
    if (allowed.length === 0) return undefined;
    const words = new Uint32Array(REGION_WORDS);
    this.regions.forEach((region, id) => {
      if (allowed.some((code) => region === code || region.startsWith(`${code}-`))) {
        words[id >>> 5] = (words[id >>> 5] as number) | (1 << (id & 31));
      }
    });
    return words;
  }

  /** Mask of an endpoint's tenants; empty list = everybody. Undefined when the bits are used up. */
  tenantMask(tenants: readonly string[]): number | undefined {
    if (tenants.length === 0) return ALL_TENANTS;
    let mask = 0;
    for (const tenant of tenants) {
      let bit = this.tenants.get(tenant);
      if (bit === undefined) {
        if (this.tenants.size >= TENANT_BITS) return undefined;
        bit = this.tenants.size + 1;
        this.tenants.set(tenant, bit);
      }
      mask |= 1 << bit;
    }
    return mask >>> 0;
  }

  /** The bit of the tenant of a task. */
  tenantBit(tenant: string): number {
    return (1 << (this.tenants.get(tenant) ?? 0)) >>> 0;
  }
}
