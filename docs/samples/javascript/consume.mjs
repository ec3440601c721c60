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
    if (!(err instanceof SyntaxError || err instanceof TypeError)) throw err; // not acknowledged: it comes again
    message.term("not an event"); // and it will not become one
    continue;
  }
  console.log(handled.verification_id, handled.revision, handled.action);
  message.ack(); // after the commit; should it get lost, the event comes again and is skipped
}
