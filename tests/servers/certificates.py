"""A certificate authority and certificates for tests of TLS."""

from __future__ import annotations

import datetime as dt
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass
class Pair:
    """A certificate and its key, in files and in memory."""

    certificate: Path
    key: Path
    x509: x509.Certificate
    private: ec.EllipticCurvePrivateKey


def make(folder: Path, name: str, *, issuer: Pair | None = None, password: str = "") -> Pair:
    """Make a certificate for *name* and 127.0.0.1; without *issuer* it is an authority that signs itself."""
    private = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.x509.subject if issuer else subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
    )
    # Python 3.13 checks certificates strictly: it wants to know which key of the authority signed.
    signer = issuer.private if issuer else private
    for extension in (
        x509.SubjectKeyIdentifier.from_public_key(private.public_key()),
        x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()),
    ):
        builder = builder.add_extension(extension, critical=False)
    if issuer is None:
        builder = builder.add_extension(_may_sign(), critical=True)
    certificate = builder.sign(signer, hashes.SHA256())
    pair = Pair(folder / f"{name}.pem", folder / f"{name}.key", certificate, private)
    pair.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    protection = serialization.BestAvailableEncryption(password.encode()) if password else serialization.NoEncryption()
    pair.key.write_bytes(
        private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, protection)
    )
    return pair


def _may_sign() -> x509.KeyUsage:
    off = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
    more_off = ("encipher_only", "decipher_only")
    return x509.KeyUsage(key_cert_sign=True, crl_sign=True, **dict.fromkeys((*off, *more_off), False))
