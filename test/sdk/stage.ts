/**
 * Where a client stands and who answers it: the vendor itself, or a PoP with that vendor behind
 * one of its endpoints. The list of what Gridpoint speaks stands here, so a new door or engine
 * dialect is one word.
 */
import { createHash } from "node:crypto";
import { type Dialect, type Plot, Refusal } from "../vendors/scene.ts";
import { VendorServer } from "../vendors/server.ts";
import { VENDORS } from "../vendors/vendors.ts";
import { type ServerProcess, startPop } from "../runtime/pop-process.ts";
import { TlsFront } from "../runtime/tls-front.ts";
import { CLIENTS } from "./clients/clients.ts";
import type { Client, Door, Target } from "./clients/client.ts";

/** Doors of a PoP. */
export const DOORS: readonly Door[] = [
  ...(["chat", "messages", "gemini", "responses", "responses over WebSocket"] as const),
  "realtime",
];
/** Dialects that an endpoint of a PoP may speak. */
export const ENGINES: readonly Dialect[] = ["chat", "messages", "gemini", "responses"];

const NO_PLOT: Plot = { kind: "refuses", refusal: new Refusal(500, "The test has no plot.") };

/** Answers that make a PoP spare an endpoint for a while: they get endpoints of their own. */
export const BUSY = [429, 503] as const;

export interface Stage {
  name: string;
  client: Client;
  vendorDialect: Dialect;
  throughPop: boolean;
  /** Of its own, so that what one stage does to an endpoint's health is not the next one's. */
  model: string;
}

const doorOf = (client: Client): Door => client.door ?? client.dialect;

function stage(client: Client, vendorDialect: Dialect, throughPop: boolean): Stage {
  const model = `model-${vendorDialect}.${CLIENTS.indexOf(client)}`;
  const name = throughPop ? `${client.name} > PoP > ${vendorDialect}` : client.name;
  return { name, client, vendorDialect, throughPop, model };
}

export const busyModel = ({ model }: Stage, status: number): string => `${model}.${status}`;

/** Every client at its own vendor; Realtime is spoken by a PoP alone. */
export const DIRECT: readonly Stage[] = CLIENTS.filter(({ door }) => door !== "realtime").map(
  (client) => stage(client, client.dialect, false),
);

/** Every client at a door that exists, with every engine dialect behind it. */
export const THROUGH_POP: readonly Stage[] = CLIENTS.filter((client) =>
  DOORS.includes(doorOf(client)),
).flatMap((client) => ENGINES.map((dialect) => stage(client, dialect, true)));

const POP_KEY = "a-key-of-a-tenant";
const sha256 = createHash("sha256").update(POP_KEY).digest("hex");

const VENDOR_KEY = "vendor-key";
/** The families whose cloud each vendor's server is. */
const FAMILY: Record<Dialect, string> = {
  ...{ chat: "openai", responses: "openai", messages: "anthropic", gemini: "gemini" },
};

/** The vendors, and a PoP in front of them where one is wanted. */
export class House {
  readonly vendors: Record<Dialect, VendorServer>;
  readonly pop: ServerProcess | undefined;
  private readonly front: TlsFront | undefined;

  private constructor(
    vendors: Record<Dialect, VendorServer>,
    pop?: ServerProcess,
    front?: TlsFront,
  ) {
    this.vendors = vendors;
    this.pop = pop;
    this.front = front;
  }

  static async open(stages: readonly Stage[], config: object = {}): Promise<House> {
    const started = await Promise.all(
      Object.values(VENDORS).map(async (protocol) => {
        const { dialect } = protocol;
        const models = stages.filter((one) => one.vendorDialect === dialect).flatMap(modelsOf);
        const vendor = await VendorServer.start(protocol, {
          ...{ models, key: VENDOR_KEY, director: () => NO_PLOT },
        });
        return [dialect, vendor] as const;
      }),
    );
    const vendors = Object.fromEntries(started) as Record<Dialect, VendorServer>;
    const behind = stages.filter(({ throughPop }) => throughPop);
    if (behind.length === 0) return new House(vendors);
    const endpoints = behind.flatMap((one) =>
      modelsOf(one).map((model) => ({
        ...{ id: model, url: vendors[one.vendorDialect].base, models: [model] },
        ...{ engine: FAMILY[one.vendorDialect], apiKey: VENDOR_KEY },
        dialects: [one.vendorDialect],
      })),
    );
    const pop = await startPop(
      {
        endpoints,
        auth: { keys: [{ sha256, tenant: "tenant" }] },
        limits: { retries: 0 },
        kernel: { rows: 1024 },
        poll: { intervalMs: 2_000, successesToUp: 1 },
        ...config,
      },
      { key: POP_KEY },
    );
    return new House(vendors, pop, await TlsFront.start(pop.port));
  }

  target({ vendorDialect, throughPop }: Stage): Target {
    const vendor = this.vendors[vendorDialect];
    if (!throughPop) return { base: vendor.base, key: vendor.key };
    return { base: this.pop?.base ?? "", key: POP_KEY, secure: this.front };
  }

  async close(): Promise<void> {
    await this.front?.stop();
    await this.pop?.stop();
    for (const vendor of Object.values(this.vendors)) await vendor.stop();
  }
}

const modelsOf = (one: Stage): string[] => [
  one.model,
  ...BUSY.map((status) => busyModel(one, status)),
];
