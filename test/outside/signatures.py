"""Every event's signature is verified with cryptography, some with openssl and jwcrypto; a changed byte fails."""

import base64
import json
import pathlib
import subprocess
import tempfile

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from jwcrypto import jwk, jws

from job import events, get, unpadded

PREFIX = bytes.fromhex("302a300506032b6570032100")  # of an Ed25519 key in DER (RFC 8410)


def published_keys():
    status, headers, body = get("/.well-known/jwks.json", token=False)
    assert (status, headers["Content-Type"]) == (200, "application/jwk-set+json"), (status, headers)
    keys = json.loads(body)["keys"]
    for key in keys:
        assert key["kid"] == jwk.JWK(**key).thumbprint(), "the id of a key is its thumbprint (RFC 7638)"
    return {key["kid"]: key for key in keys}


def parts(message):
    """The key id, the signed text (RFC 7515, appendix F) and the signature."""
    header, empty, signature = message.headers["Kyc-Signature"].split(".")
    fields = json.loads(unpadded(header))
    assert empty == "" and fields["alg"] == "EdDSA" and fields.keys() <= {"alg", "kid"}, fields
    payload = base64.urlsafe_b64encode(message.data).rstrip(b"=")
    return fields["kid"], header.encode() + b"." + payload, unpadded(signature)


def with_cryptography(key, text, signature):
    try:
        Ed25519PublicKey.from_public_bytes(unpadded(key["x"])).verify(signature, text)
    except InvalidSignature:
        return False
    return True


def with_openssl(key, text, signature):
    with tempfile.TemporaryDirectory() as folder:
        files = {"key": PREFIX + unpadded(key["x"]), "text": text, "signature": signature}
        paths = {name: pathlib.Path(folder, name) for name in files}
        for name, content in files.items():
            paths[name].write_bytes(content)
        command = ["openssl", "pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-inkey", paths["key"], "-rawin",
                   "-in", paths["text"], "-sigfile", paths["signature"]]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0


def with_jwcrypto(key, text, signature):
    """As docs/consume.md shows it."""
    header, payload = text.decode().split(".")
    encoded = base64.urlsafe_b64encode(signature).decode().rstrip("=")
    jwks = json.dumps({"keys": [key]})
    token = jws.JWS()
    token.allowed_algs = ["EdDSA"]
    try:
        token.deserialize(f"{header}.{payload}.{encoded}")
        token.verify(jwk.JWKSet.from_json(jwks).get_key(token.jose_header["kid"]))
    except (jws.InvalidJWSSignature, jws.InvalidJWSObject, KeyError):
        return False
    return True


def changed(text, at):
    return text[:at] + bytes([text[at] ^ 1]) + text[at + 1:]


def main():
    keys, messages = published_keys(), events()
    for message in messages:
        kid, text, signature = parts(message)
        assert with_cryptography(keys[kid], text, signature), message.subject
    start = text.index(b".") + 1
    for verify in (with_cryptography, with_openssl, with_jwcrypto):
        assert verify(keys[kid], text, signature), verify
        for at in (0, start, (start + len(text)) // 2, len(text) - 3):
            assert not verify(keys[kid], changed(text, at), signature), (verify, at)
        assert not verify(keys[kid], text, changed(signature, 40)), verify


main()
