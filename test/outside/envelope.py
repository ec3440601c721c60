"""CloudEvents, headers, subjects, schemas and the order of events; the sample consumer decides as the rule says."""

import json
import pathlib
import re
import sys
import tempfile

from job import EVENT, JOB, event_schemas, events, expect
from schema import is_instant

sys.path.insert(0, str(pathlib.Path(JOB["schemas"]).parent / "docs" / "samples" / "python"))
import decide  # noqa: E402 (the sample)


def described_headers():
    """The names of headers in schemas/asyncapi.yaml. Python has no YAML, so they are read by their indentation."""
    text = pathlib.Path(JOB["schemas"], "asyncapi.yaml").read_text()
    part = text[text.index("    EventHeaders:"):]
    return set(re.findall(r"^        ([A-Za-z-]+):$", part[:part.index("    Checkpoint:")], re.MULTILINE))


def envelope_faults(message, event, known):
    """What is not as the documentation says in one message."""
    provider, account, kind, verification = message.subject.removeprefix("kyc.event.v1.").split(".")
    data, headers = event["data"], message.headers
    facts = {
        "content type": headers["Content-Type"] == "application/cloudevents+json",
        "no ce- headers": not any(name.lower().startswith("ce-") for name in headers),
        "documented headers": headers.keys() <= known,
        "names of attributes": all(re.fullmatch("[a-z0-9]{1,20}", name) for name in event),
        "id": headers["Nats-Msg-Id"] == event["id"],
        "type": event["type"] == f"io.kycbridge.verification.{kind}.v1",
        "source": event["source"] == f"/kycbridge/{provider}/{account}",
        "verification": {event["subject"], event["partitionkey"], data["verification_id"]} == {verification},
        "account": (data["provider"]["name"], data["account"]) == (provider, account),
        "time": is_instant(event["time"]) and is_instant(event["recordedtime"]),
        "time of the fact": event["time"] == data["provider"]["event"].get("occurred_at", event["time"]),
        "profile": data["pii"]["profile"] == account,
        "size": len(message.data) < 256 << 10,
    }
    return [f"{message.subject} {headers['Nats-Sequence']}: {name}" for name, holds in facts.items() if not holds]


def order_faults(history):
    """Revisions rise by one, and each names the event that it replaces."""
    out, before = [], None
    for event in history:
        data = event["data"]
        if before and (data["revision"], data["supersedes"]) != (before["data"]["revision"] + 1, before["id"]):
            out.append((event["id"], "does not follow the event before"))
        if not before and (data["revision"] != 1 or "supersedes" in data):
            out.append((event["id"], "is not the first"))
        before = event
    return out


def acted(history):
    """The last action of the sample consumer for one verification."""
    with tempfile.TemporaryDirectory() as folder:
        book = decide.Book(pathlib.Path(folder, "book.db"))
        actions = [book.handle("test", json.dumps(event))[2] for event in history]
        return [action for action in actions if action != decide.SKIP][-1]


def main():
    schemas, known, faults, all_histories = event_schemas(), described_headers(), [], {}
    messages = events()
    for message in messages:
        event = json.loads(message.data)
        faults += schemas.faults(EVENT, schemas.documents[EVENT], event) + envelope_faults(message, event, known)
        all_histories.setdefault(event["subject"], []).append(event)
    expect(faults, "events")
    ids = {(e["source"], e["id"]) for history in all_histories.values() for e in history}
    assert len(ids) == len(messages), "an id occurs twice"
    expect([f for history in all_histories.values() for f in order_faults(history)], "order")
    long = [h for h in all_histories.values() if len(h) > 2][:8]
    for history in long:
        want = decide.ADMIT if decide.accepted(history[-1]["data"]) else decide.HOLD
        for arrival in (history, history + history, history[::-1], history[1:] + history[:1]):
            assert acted(arrival) == want, (history[0]["subject"], want)
    restored = history[0] | {"restoredtime": "2026-03-02T09:00:00Z"}
    want = decide.ADMIT if decide.accepted(restored["data"]) else decide.HOLD
    assert acted(history + [restored] + history) == want, "an event after a loss is newer than every one before"


main()
