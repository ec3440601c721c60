"""Each recipient decrypts the events of pii: encrypted with jwcrypto, and gets the events of pii: full."""

import json
import re

from jwcrypto import jwe, jwk

from job import DATA, DIR, JOB, event_schemas, events, expect, histories

KINDS = {"P-256": "ECDH-ES+A256KW", "P-384": "ECDH-ES+A256KW", "P-521": "ECDH-ES+A256KW", "RSA": "RSA-OAEP-256"}
CLEAR = {"external_reference", "documents", "extracted_claims", "verified_claims", "media", "session", "extensions"}


def opened(data, kind, key):
    """data with the content for one recipient."""
    token = jwe.JWE(algs=[KINDS[kind], "A256GCM"])
    token.deserialize(data["pii"]["jwe"]["bank-" + kind], key)
    header = json.loads(token.objects["protected"])
    assert (header["alg"], header["enc"], header["kid"]) == (KINDS[kind], "A256GCM", "bank-" + kind), header
    return data | json.loads(token.payload)


def comparable(event):
    """An event without what differs between two accounts and two moments. Instants of this run become "now"."""
    data = event["data"]
    account = data.pop("account")
    out = {k: v for k, v in event.items() if k not in ("id", "subject", "partitionkey", "source")}
    out["data"] = {k: v for k, v in data.items() if k not in ("verification_id", "supersedes")}
    text = json.dumps(out, sort_keys=True).replace("." + account + ".", ".*.")
    return re.sub(r'"(\d{4}-\d\d-\d\dT[^"]*)"', lambda m: '"now"' if m[1] >= JOB["began"] else m[0], text)


def strangers(data):
    """A key that is no recipient's does not open it."""
    try:
        jwe.JWE().deserialize(data["pii"]["jwe"]["bank-P-256"], jwk.JWK.generate(kty="EC", crv="P-256"))
    except jwe.InvalidJWEData:
        return
    raise AssertionError("a stranger's key opens an event")


def main():
    keys = {kind: jwk.JWK.from_pem((DIR / f"{kind}.pem").read_bytes()) for kind in KINDS}
    schemas, messages = event_schemas(), events()
    full, closed = histories(messages, "full"), histories(messages, "encrypted")
    expect(full.keys() ^ closed.keys(), "verifications of one account only")
    faults = []
    for name, published in closed.items():
        if len(published) != len(full[name]):
            faults.append((name, len(published), len(full[name])))
        for event, want in zip(published, full[name]):
            data = event["data"]
            faults += [(name, member) for member in CLEAR & data.keys()]
            contents = [opened(data, kind, key) for kind, key in keys.items()]
            faults += [(name, "recipients differ") for c in contents[1:] if c != contents[0]]
            faults += schemas.faults(DATA, schemas.documents[DATA], contents[0])
            got, want = comparable(event | {"data": contents[0]}), comparable(want)
            faults += [(name, got, want)] if got != want else []
    expect(faults, "decrypted events")
    strangers(next(iter(closed.values()))[0]["data"])


main()
