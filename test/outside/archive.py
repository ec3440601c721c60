"""Exported payloads are those that were posted and that events name; an import of them stores nothing twice."""

import base64
import hashlib
import json

from job import bodies, command, events, expect, get
from schema import Schemas


def parcels(lines, schemas):
    """Exported lines, each checked against its schema and its digest."""
    reference, out = {"$ref": "#/components/schemas/PayloadParcel"}, []
    for line in lines.splitlines():
        parcel = json.loads(line)
        expect(schemas.faults("api", reference, parcel), "exported payload")
        body = base64.b64decode(parcel["body"], validate=True)
        assert parcel["digest"] == "sha256:" + hashlib.sha256(body).hexdigest(), parcel["id"]
        out.append(parcel | {"body": body})
    return out


def imported(lines):
    """What the command says about an import of these lines."""
    return command("payloads", "import", "-", "--yes", "--why", "case 1", lines=lines)


def main():
    schemas = Schemas(api=json.loads(get("/v1/openapi.json", token=False)[2]))
    raw = command("payloads", "export", "--why", "case 1").stdout
    exported = parcels(raw, schemas)
    status, headers, over_http = get("/v1/payloads/export", **{"X-Reason": "case 1"})
    assert (status, headers["Content-Type"]) == (200, "application/x-ndjson"), (status, headers)
    assert sorted(over_http.splitlines()) == sorted(raw.splitlines()), "the API exports other lines"
    kept = {(p["provider"], p["account"], p["body"]) for p in exported}
    expect([body[:80] for provider, body in bodies() if (provider, "full", body) not in kept], "bodies not exported")
    known = {(p["id"], p["digest"]) for p in exported}
    named = [json.loads(m.data)["data"]["payload"] for m in events()]
    expect([p for p in named if (p["id"], p["digest"]) not in known], "payloads of events that are not exported")
    again = imported(raw)
    assert again.returncode == 0 and b" 0 stored" in again.stdout, again
    altered = json.loads(raw.splitlines()[0]) | {"body": base64.b64encode(b'{"altered": true}').decode()}
    assert imported(json.dumps(altered).encode()).returncode == 1, "an altered line is imported"


main()
