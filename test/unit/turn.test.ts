/** What comes in one turn of the event loop is worked on together, and sent together. */
import { expect, test } from "vitest";
import { atTurnsEnd, sendWithTurn, turnsDone } from "../../edge/turn.ts";

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("all that came is worked on before anything of it is sent", async () => {
  const heard: string[] = [];
  for (const name of ["a", "b"]) {
    atTurnsEnd({
      proceed: () => {
        heard.push(`work ${name}`);
        sendWithTurn({ uncork: () => heard.push(`send ${name}`) });
      },
    });
  }
  expect(heard).toEqual([]);
  await nextTurn();
  expect(heard).toEqual(["work a", "work b", "send a", "send b"]);
});

test("what is written behind a promise is sent before sockets are read again", async () => {
  const heard: string[] = [];
  const write = async (): Promise<void> => {
    for (let i = 0; i < 20; i++) await undefined;
    heard.push("written");
    sendWithTurn({ uncork: () => heard.push("sent") });
  };
  atTurnsEnd({ proceed: () => void write() });
  await nextTurn();
  expect(heard).toEqual(["written", "sent"]);
});

test("what is written between turns is sent with the next", async () => {
  let sent = 0;
  sendWithTurn({ uncork: () => sent++ });
  sendWithTurn({ uncork: () => sent++ });
  await nextTurn();
  expect(sent).toBe(2);
});

test("what comes while a turn is worked on belongs to the next", async () => {
  const heard: string[] = [];
  atTurnsEnd({
    proceed: () => {
      heard.push("first");
      atTurnsEnd({ proceed: () => heard.push("second") });
    },
  });
  await nextTurn();
  expect(heard).toEqual(["first"]);
  await nextTurn();
  expect(heard).toEqual(["first", "second"]);
});

test("who waits for the turns to be done finds everything sent", async () => {
  let sent = false;
  atTurnsEnd({ proceed: () => sendWithTurn({ uncork: () => (sent = true) }) });
  await turnsDone();
  expect(sent).toBe(true);
});
