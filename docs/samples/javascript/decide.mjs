// What follows from an event. Reads events from standard input, one a line:
//
//     kycbridge events --follow --json | node decide.mjs
import { closeSync, fsyncSync, ftruncateSync, openSync, readFileSync, writeSync } from "node:fs";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

export const SKIP = "skip"; // already processed, or of another environment
export const ADMIT = "admit"; // the person may be admitted
export const HOLD = "hold"; // not approved, not yet, or not any more

// accepted is the rule.
export function accepted(data) {
  return data.decision.outcome === "approved" && data.decision.final === true;
}

// decide returns the action for an event. handled is the row of its verification, if there is one.
// An old revision never overwrites a newer one, and a repeated one does nothing. An event after a loss
// is newer than every event before it, whatever its revision.
export function decide(handled, environment, data, restored = "") {
  const { restored: before = "", revision = 0 } = handled ?? {};
  if (data.environment !== environment || restored < before) return SKIP;
  if (restored === before && data.revision <= revision) return SKIP;
  return accepted(data) ? ADMIT : HOLD;
}

// Book remembers what was handled: one row a verification. It is a file here and a table of yours in
// life; what you do about an event belongs into the same transaction as its row.
export class Book {
  constructor(path) {
    this.rows = new Map();
    this.file = openSync(path, "a+", 0o600);
    const text = readFileSync(path);
    const whole = text.lastIndexOf("\n") + 1; // what a power cut left in half never was
    ftruncateSync(this.file, whole);
    for (const line of text.subarray(0, whole).toString().split("\n")) {
      if (line) this.rows.set(JSON.parse(line).verification_id, JSON.parse(line));
    }
  }

  // handle decides about an event and commits the decision once. Afterwards the event may be acknowledged.
  handle(environment, body) {
    const { data, restoredtime: restored = "" } = JSON.parse(body);
    const { verification_id, revision } = data;
    const action = decide(this.rows.get(verification_id), environment, data, restored);
    const row = { verification_id, revision, action, restored };
    if (row.action !== SKIP) {
      writeSync(this.file, JSON.stringify(row) + "\n");
      fsyncSync(this.file);
      this.rows.set(verification_id, row);
    }
    return row;
  }

  close() {
    closeSync(this.file);
  }
}

async function main() {
  const book = new Book(process.env.KYC_BOOK ?? "handled.jsonl");
  for await (const line of createInterface({ input: process.stdin })) {
    const { verification_id, revision, action } = book.handle(process.env.KYC_ENVIRONMENT ?? "live", line);
    console.log(verification_id, revision, action);
  }
  book.close();
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) await main();
