"""A bundle and the log are verified without kycbridge, and whatever is changed in them is noticed."""

import base64
import hashlib
import io
import json
import pathlib
import zipfile

from cryptography.exceptions import InvalidSignature

import nats
from job import DIR, JOB, command, events
from ledger import checkpoint, leaf_hash, message_hash, note, note_key, root_by_path, root_of

FAULTS = (AssertionError, InvalidSignature, KeyError, ValueError, IndexError, TypeError, zipfile.BadZipFile)


def digest(content):
    return hashlib.sha256(content).hexdigest()


def verified(raw, key):
    """The messages of a bundle with their bodies; an error if anything in it is not proven."""
    archive = zipfile.ZipFile(io.BytesIO(raw))
    files = {f.filename: archive.read(f) for f in archive.infolist()}
    title, _, *lines = note(files.pop("MANIFEST"), key).splitlines()
    assert title == "kycbridge evidence bundle v1", title
    assert lines == [f"{digest(content)} {name}" for name, content in files.items()], "the manifest lists other files"
    size, root = checkpoint(files["checkpoint.txt"], key)
    messages = []
    for name in [n for n in files if n.startswith("messages/") and n.endswith(".json")]:
        m, body = json.loads(files[name]), files[name.removesuffix(".json") + ".body"]
        assert m["digest"] == "sha256:" + digest(body), name
        leaf, path = leaf_hash(chr(m["kind"]), m["seq"], message_hash(m)), map(base64.b64decode, m["proof"])
        assert root_by_path(leaf, m["leaf"], size, list(path)) == root, name
        messages.append((m, body))
    return messages


def is_verified(raw, key):
    try:
        return bool(verified(raw, key))
    except FAULTS:
        return False


def packed(files):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def check_alterations(raw, key):
    """Every file of the bundle, with one bit changed in its middle, or left out."""
    archive = zipfile.ZipFile(io.BytesIO(raw))
    files = {f.filename: archive.read(f) for f in archive.infolist()}
    assert all(f.date_time[1] and f.date_time[2] for f in archive.infolist()), "a file has an impossible date"
    assert is_verified(packed(files), key)
    for name, content in files.items():
        at = len(content) // 2
        altered = content[:at] + bytes([content[at] ^ 1]) + content[at + 1:]
        assert not is_verified(packed(files | {name: altered}), key), name
        assert not is_verified(packed({n: c for n, c in files.items() if n != name}), key), name


def check_proofs(messages, size, root):
    """A proof for another place, another header, salt or body proves nothing: the hash of the leaf is another."""
    m = messages[0][0]
    path = list(map(base64.b64decode, m["proof"]))
    places = {"place": m["place"] + "x", "seq": m["seq"] + 1, "digest": "sha256:00", "salt": "AAAA",
              "headers": m["headers"] | {"Kyc-Via": ["poll"]}}
    for change in [{}] + [{k: v} for k, v in places.items()]:
        other = m | change
        leaf = leaf_hash(chr(other["kind"]), other["seq"], message_hash(other))
        assert (root_by_path(leaf, m["leaf"], size, path) == root) == (not change), change


def check_log(key, earlier):
    """All leaves of the stream lead to the root of every checkpoint in it: it only ever grew."""
    password = pathlib.Path(JOB["data"], "operator-password").read_text().strip()
    connection = nats.Connection(JOB["nats"], "kycbridge", password)
    leaves, checkpoints = [], []
    for message in connection.stream("KYC_LOG", ">"):
        if message.subject == "kyc.checkpoint.v1":
            checkpoints.append(checkpoint(message.data, key))
            continue
        batch = json.loads(message.data)
        assert batch["first"] == len(leaves), batch["first"]
        raw = base64.b64decode(batch["leaves"])
        for at in range(0, len(raw), 41):
            one = raw[at:at + 41]
            leaves.append(leaf_hash(chr(one[0]), int.from_bytes(one[1:9], "big"), one[9:]))
    assert len(checkpoints) > 1, "only one checkpoint"
    for size, root in checkpoints + [checkpoint(earlier, key)]:
        assert root_of(leaves[:size]) == root, size


def bundle(verification, name):
    done = command("payloads", "bundle", "--verification", verification, "--why", "case 1", "-o", DIR / name)
    assert done.returncode == 0, done
    return (DIR / name).read_bytes()


def main():
    messages = events()
    verification = messages[len(messages) // 2].subject.split(".")[-1]
    bundle(verification, "earlier.zip")
    earlier = command("log", "checkpoint").stdout
    raw, key = bundle(verification, "bundle.zip"), note_key(command("log", "key").stdout.decode())
    proven = verified(raw, key)
    published = {(m.headers["Nats-Sequence"], m.data) for m in messages}
    bundled = {(str(m["seq"]), body) for m, body in proven if chr(m["kind"]) == "e"}
    assert bundled and bundled <= published, "the events of the bundle are not those of the stream"
    checkpoint_file = zipfile.ZipFile(io.BytesIO(raw)).read("checkpoint.txt")
    check_proofs(proven, *checkpoint(checkpoint_file, key))
    check_alterations(raw, key)
    check_log(key, earlier)


main()
