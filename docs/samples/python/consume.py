"""Keeps a durable place in the stream. Needs nats-py: pip install nats-py."""
import asyncio
import os

import nats
from nats.errors import TimeoutError
from nats.js.api import AckPolicy, ConsumerConfig

from decide import Book


async def main():
    book = Book(os.environ.get("KYC_BOOK", "handled.db"))
    environment = os.environ.get("KYC_ENVIRONMENT", "live")
    nc = await nats.connect(os.environ.get("NATS_URL", "nats://127.0.0.1:4222"), max_reconnect_attempts=-1)
    consumer = await nc.jetstream().pull_subscribe(
        "kyc.event.v1.>", durable="onboarding", stream="KYC_EVENTS",
        config=ConsumerConfig(ack_policy=AckPolicy.EXPLICIT))
    while True:
        try:
            messages = await consumer.fetch(batch=64, timeout=30)
        except TimeoutError:
            continue  # nothing new
        for message in messages:
            try:
                handled = book.handle(environment, message.data)
            except (ValueError, KeyError, TypeError):
                await message.term()  # not an event, a retry does not help
                continue
            print(*handled, flush=True)
            await message.ack()  # after the commit; if it is lost, the event is delivered again and skipped


if __name__ == "__main__":
    asyncio.run(main())
