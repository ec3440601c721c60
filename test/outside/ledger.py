"""The tamper-evident log as docs/payloads.md describes it: signed notes, leaves, and the tree of RFC 6962."""

import base64
import hashlib
import hmac
import re

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

SHORT = {"\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v"}


def sha256(content):
    return hashlib.sha256(content).digest()


def note_key(line):
    """The id of a key and the key, of a line that kycbridge log key prints."""
    name, identifier, encoded = line.strip().split("+", 2)
    kind, key = base64.b64decode(encoded)[:1], base64.b64decode(encoded)[1:]
    assert kind == b"\1" and identifier == sha256(name.encode() + b"\n" + kind + key)[:4].hex(), line
    return bytes.fromhex(identifier), Ed25519PublicKey.from_public_bytes(key)


def note(signed, key):
    """The text of a signed note; an error if it is not signed by this key."""
    text, _, signatures = signed.rpartition(b"\n\n")
    text += b"\n"
    line = re.fullmatch("— kycbridge ([A-Za-z0-9+/=]+)\n", signatures.decode())
    signature = base64.b64decode(line[1])
    assert signature[:4] == key[0], "another key"
    key[1].verify(signature[4:], text)
    return text.decode()


def checkpoint(signed, key):
    """The number of leaves and the root of a signed checkpoint."""
    origin, size, root, _, end = note(signed, key).split("\n")
    assert origin == "kycbridge/KYC" and end == "", origin
    return int(size), base64.b64decode(root)


def quoted(text):
    """Text as the hash of a message has it."""
    def one(c):
        if c in '"\\':
            return "\\" + c
        if " " <= c <= "~":
            return c
        if ord(c) < 128:
            return SHORT.get(c, f"\\x{ord(c):02x}")
        return f"\\u{ord(c):04x}" if ord(c) < 0x10000 else f"\\U{ord(c):08x}"
    return '"' + "".join(map(one, text)) + '"'


def message_hash(m):
    """The hash of a message, of what a bundle says about it."""
    lines = sorted(f"{quoted(name)}:[{' '.join(map(quoted, values))}]\n" for name, values in m["headers"].items())
    record = (m["place"] + "\n" + "".join(lines)).encode()
    text = b"%d %s %s" % (len(record), record, m["digest"].encode())
    return hmac.digest(base64.b64decode(m["salt"] or ""), text, "sha256")


def leaf_hash(kind, sequence, content):
    record = f"kycbridge leaf v1\n{kind} {sequence}\n{base64.b64encode(content).decode()}\n"
    return sha256(b"\0" + record.encode())


def node(left, right):
    return sha256(b"\1" + left + right)


def root_of(leaves):
    """RFC 6962, 2.1: the root of a tree."""
    if len(leaves) == 1:
        return leaves[0]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return node(root_of(leaves[:split]), root_of(leaves[split:]))


def root_by_path(leaf, index, size, path):
    """RFC 6962, 2.1.1: the root that an audit path leads to, the highest hash last."""
    if size == 1:
        assert not path, "the path is too long"
        return leaf
    split = 1 << (size - 1).bit_length() - 1
    if index < split:
        return node(root_by_path(leaf, index, split, path[:-1]), path[-1])
    return node(path[-1], root_by_path(leaf, index - split, size - split, path[:-1]))
