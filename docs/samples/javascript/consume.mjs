// Keeps a durable place in the stream. Needs the client of NATS:
//
//     npm install @nats-io/transport-node @nats-io/jetstream
import { AckPolicy, jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";

import { Book } from "./decide.mjs";

const book = new Book(process.env.KYC_BOOK ?? "handled.jsonl");
const environment = process.env.KYC_ENVIRONMENT ?? "live";
const nc = await connect({ servers: process.env.NATS_URL ?? "nats://127.0.0.1:4222", maxReconnectAttempts: -1 });
const manager = await jetstreamManager(nc, { checkAPI: false });
await manager.consumers.add("KYC_EVENTS", {
  durable_name: "onboarding",
  filter_subject: "kyc.event.v1.>",
  ack_policy: AckPolicy.Explicit,
});
const consumer = await jetstream(nc).consumers.get("KYC_EVENTS", "onboarding");
for await (const message of await consumer.consume()) {
  let handled;
  try {
    handled = book.handle(environment, message.string());
  } catch (err) {
    if (!(err instanceof SyntaxError || err instanceof TypeError)) throw err; // not acknowledged: it is delivered again
    message.term("not an event"); // a retry does not help
    continue;
  }
  console.log(handled.verification_id, handled.revision, handled.action);
  message.ack(); // after the commit; if it is lost, the event is delivered again and skipped
}
