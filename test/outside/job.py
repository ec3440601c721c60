"""What the test that runs these scripts hands over: where the service is, and the keys that its consumers have."""

import base64
import http.client
import json
import pathlib
import subprocess
import sys

import nats
import schema

JOB = json.loads(pathlib.Path(sys.argv[1]).read_text())
DIR = pathlib.Path(sys.argv[1]).parent
EVENT, DATA = "urn:kycbridge:schema:event:1.0", "urn:kycbridge:schema:verification:1.1"


def unpadded(text):
    """base64url without padding, as RFC 7515 has it."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def bodies():
    """The bodies of the fixtures with their providers."""
    files = sorted(pathlib.Path(JOB["fixtures"]).glob("*/*/body.json"))
    return [(file.parent.parent.name, file.read_bytes()) for file in files]


def command(*arguments, lines=None):
    """What the program says, and how it ends."""
    return subprocess.run([JOB["binary"], *map(str, arguments), "--config", JOB["config"]], input=lines,
                          capture_output=True, check=False)


def get(path, token=True, **headers):
    """The answer of the admin listener."""
    connection = http.client.HTTPConnection(JOB["admin"], timeout=60)
    if token:
        headers["Authorization"] = "Bearer " + JOB["token"]
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    return answer.status, answer.headers, answer.read()


def events():
    """All messages of the event stream, as a reader without a password gets them."""
    messages = list(nats.Connection(JOB["nats"]).stream("KYC_EVENTS", "kyc.event.v1.>"))
    assert len(messages) > 100, len(messages)
    return messages


def event_schemas():
    names = ("event.json", "data.schema.json")
    return schema.Schemas(**{n: json.loads(pathlib.Path(JOB["schemas"], "event", n).read_text()) for n in names})


def histories(messages, account):
    """The events of an account: by provider and its references, in the order of the stream."""
    out = {}
    for message in messages:
        event = json.loads(message.data)
        if event["data"]["account"] == account:
            of = event["data"]["provider"]
            out.setdefault((of["name"], str(sorted(of["references"].values()))), []).append(event)
    return out


def expect(found, what):
    """Ends the script with the first few faults."""
    if found:
        sys.exit(f"{what}: {len(found)} faults\n" + "\n".join(map(str, found[:10])))
