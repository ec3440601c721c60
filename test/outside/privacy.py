"""What pii: full shows about a person is nowhere in the events of the other profiles, for readers without a key."""

import json

from job import events, expect, histories

# Of the claims these may be shown, and single words of them stand in other members too.
OPEN = {"gender", "nationalities", "locale", "country", "country_code", "region"}
# Ids that a caller or a provider gives, and digests of them.
IDS = ("references", "flow_id", "id", "digest", "verification_id", "supersedes", "external_reference")


def texts(value, name=""):
    """Every text in value with the name of its member."""
    if isinstance(value, dict):
        for key, member in value.items():
            yield from texts(member, name if name in IDS else key)
    elif isinstance(value, list):
        for one in value:
            yield from texts(one, name)
    elif isinstance(value, str):
        yield name, value


def personal(data):
    """Texts about the person in an event of the profile full, of five characters or more."""
    claims = [data.get("extracted_claims", {}), data.get("verified_claims", {}).get("claims", {})]
    out = {text for part in claims for name, text in texts(part) if name.split("#")[0] not in OPEN}
    out |= {d["document_number"] for d in data.get("documents", []) if "document_number" in d}
    return {text for text in out if len(text) >= 5}


def main():
    messages, faults, seen = events(), [], 0
    full = histories(messages, "full")
    for profile in ("masked", "none", "encrypted"):
        for name, history in histories(messages, profile).items():
            for event, open_event in zip(history, full[name]):
                event["data"]["pii"].pop("jwe", None)
                shown = [text for member, text in texts(event["data"]) if member not in IDS]
                for secret in personal(open_event["data"]):
                    seen += 1
                    faults += [(profile, name, text) for text in shown if secret in text]
                if profile != "masked" and event["data"].keys() & {"extracted_claims", "verified_claims"}:
                    faults.append((profile, name, "claims"))
    expect(faults, "personal data")
    assert seen > 300, f"only {seen} values were looked for"
    assert "pii" in json.loads(messages[0].data)["data"]


main()
