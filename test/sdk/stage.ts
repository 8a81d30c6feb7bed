/**
 * Where a client stands and who answers it: the vendor itself, or a PoP with that vendor behind
 * one of its endpoints. The list of what Gridpoint speaks stands here, so a new door or engine
 * dialect is one word.
 */
import { type Dialect, type Plot, Refusal } from "../vendors/scene.ts";
import { VendorServer } from "../vendors/server.ts";
import { VENDORS } from "../vendors/vendors.ts";
import { type ServerProcess, startPop } from "../runtime/pop-process.ts";
import { CLIENTS } from "./clients/clients.ts";
import type { Client, Door, Target } from "./clients/client.ts";

/** Doors of a PoP. */
export const DOORS: readonly Door[] = ["chat"];
/** Dialects that an endpoint of a PoP may speak. */
export const ENGINES: readonly Dialect[] = ["chat"];

const NO_PLOT: Plot = { kind: "refuses", refusal: new Refusal(500, "The test has no plot.") };

export const modelOf = (dialect: Dialect): string => `model-${dialect}`;

export interface Stage {
  name: string;
  client: Client;
  vendorDialect: Dialect;
  throughPop: boolean;
}

const doorOf = (client: Client): Door => client.door ?? client.dialect;

/** Every client at its own vendor. */
export const DIRECT: readonly Stage[] = CLIENTS.map((client) => ({
  ...{ name: client.name, client, vendorDialect: client.dialect, throughPop: false },
}));

/** Every client at a door that exists, with every engine dialect behind it. */
export const THROUGH_POP: readonly Stage[] = CLIENTS.filter((client) =>
  DOORS.includes(doorOf(client)),
).flatMap((client) =>
  ENGINES.map((dialect) => ({
    name: `${client.name} > PoP > ${dialect}`,
    ...{ client, vendorDialect: dialect, throughPop: true },
  })),
);

/** The vendors, and a PoP in front of them where one is wanted. */
export class House {
  readonly vendors: Record<Dialect, VendorServer>;
  readonly pop: ServerProcess | undefined;

  private constructor(vendors: Record<Dialect, VendorServer>, pop: ServerProcess | undefined) {
    this.vendors = vendors;
    this.pop = pop;
  }

  static async open(withPop: boolean): Promise<House> {
    const started = await Promise.all(
      Object.values(VENDORS).map(async (protocol) => {
        const models = [modelOf(protocol.dialect)];
        const vendor = await VendorServer.start(protocol, { models, director: () => NO_PLOT });
        return [protocol.dialect, vendor] as const;
      }),
    );
    const vendors = Object.fromEntries(started) as Record<Dialect, VendorServer>;
    if (!withPop) return new House(vendors, undefined);
    const endpoints = ENGINES.map((dialect) => ({
      id: dialect,
      url: vendors[dialect].base,
      engine: "openai-compatible",
      models: [modelOf(dialect)],
      apiKey: vendors[dialect].key,
      ...(dialect === "chat" ? {} : { dialect }),
    }));
    const pop = await startPop({ endpoints, limits: { retries: 0 } });
    return new House(vendors, pop);
  }

  target({ vendorDialect, throughPop }: Stage): Target {
    const vendor = this.vendors[vendorDialect];
    return { base: throughPop ? (this.pop?.base ?? "") : vendor.base, key: vendor.key };
  }

  async close(): Promise<void> {
    await this.pop?.stop();
    for (const vendor of Object.values(this.vendors)) await vendor.stop();
  }
}
