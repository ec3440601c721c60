"""Makes the keys of four consumers, of kycbridge and of its signatures, with openssl as the documentation shows."""

import pathlib
import subprocess
import sys

CURVES = [("EC", "ec_paramgen_curve:" + curve) for curve in ("P-256", "P-384", "P-521")]
KEYS = dict(zip(("P-256", "P-384", "P-521"), CURVES)) | {
    "RSA": ("RSA", "rsa_keygen_bits:2048"), "own": CURVES[0], "signing": ("ed25519", None)}


def main(folder):
    for name, (algorithm, option) in KEYS.items():
        private = folder / f"{name}.pem"
        more = ["-pkeyopt", option] if option else []
        subprocess.run(["openssl", "genpkey", "-algorithm", algorithm, *more, "-out", private], check=True,
                       capture_output=True)
        subprocess.run(["openssl", "pkey", "-in", private, "-pubout", "-out", folder / f"{name}.pub.pem"], check=True)


main(pathlib.Path(sys.argv[1]))
