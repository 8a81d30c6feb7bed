import { expect, test } from "vitest";
import { BoundedRoom } from "../../../src/admission/body-room.ts";

test("bodies take room until they give it back; beyond it they are refused", () => {
  let most = 100;
  const room = new BoundedRoom(() => most);
  room.take(60);
  const full = expect.objectContaining({ code: "saturated", status: 429, retryAfterS: 1 });
  expect(() => room.take(41)).toThrow(full);
  room.take(40);
  expect(room.bytes).toBe(100);
  room.give(60);
  room.take(60);
  // A reload counts from then on.
  most = 50;
  expect(() => room.take(1)).toThrow(/limits\.bodiesBytes/);
});
