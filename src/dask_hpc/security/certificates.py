"""A certificate authority per cluster, made in memory; only what it signed outlives the call."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from dask_hpc._clock import SystemClock
from dask_hpc._files import make_private_directory, write_private
from dask_hpc.security.tls_files import Role, TLSFiles

if TYPE_CHECKING:
    from pathlib import Path

    from dask_hpc._clock import Clock

# Clocks of nodes may be behind the one of the login node.
_BACKDATED = timedelta(minutes=10)
_SIGNING = ("key_cert_sign", "crl_sign")
_USES = (
    *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment"),
    *("key_agreement", "encipher_only", "decipher_only"),
    *_SIGNING,
)


def create_certificates(
    directory: Path, *, name: str, days: float = 90, clock: Clock | None = None
) -> TLSFiles:
    """Make an authority, and a certificate and key signed by it for each role.

    Whoever holds one of these keys may use the cluster; nobody can make another one, because the
    authority's own key is forgotten.

    Parameters
    ----------
    directory
        Where the files go; created if it does not exist, and private in any case. Files of an
        earlier call are replaced.
    name
        The cluster's name, for people who look at a certificate.
    days
        How long they are valid from now on; they also were for the last ten minutes.
    clock
        Whose time is now; the machine's by default.

    Raises
    ------
    SecurityError
        If the directory is somebody else's, or open to others.
    """
    now = datetime.fromtimestamp((clock or SystemClock()).time(), tz=UTC)
    files = TLSFiles(make_private_directory(directory))
    authority = _Authority(name, begin=now - _BACKDATED, end=now + timedelta(days=days))
    write_private(files.authority, _certificate_text(authority.certificate))
    for role in Role:
        key = ec.generate_private_key(ec.SECP256R1())
        write_private(files.key(role), _key_text(key))
        write_private(files.certificate(role), _certificate_text(authority.sign(role, key)))
    return files


class _Authority:
    def __init__(self, name: str, *, begin: datetime, end: datetime) -> None:
        self._name, self._begin, self._end = name, begin, end
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._subject = self._distinguished_name("authority")
        self.certificate = (
            self._builder(self._subject, self._key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(*_SIGNING), critical=True)
            .sign(self._key, hashes.SHA256())
        )

    def sign(self, role: Role, key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
        both = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        return (
            self._builder(self._distinguished_name(role), key.public_key())
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage("digital_signature"), critical=True)
            .add_extension(x509.ExtendedKeyUsage(both), critical=False)
            # Python 3.13 asks for it (VERIFY_X509_STRICT), also where names are not compared.
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()),
                critical=False,
            )
            .sign(self._key, hashes.SHA256())
        )

    def _builder(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey
    ) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._subject)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(self._begin)
            .not_valid_after(self._end)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        )

    def _distinguished_name(self, role: str) -> x509.Name:
        common_name = f"{self._name[:40]} {role}"  # X.509 allows 64 characters
        return x509.Name(
            [
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, "dask-hpc"),
                x509.NameAttribute(NameOID.COMMON_NAME, common_name),
            ]
        )


def _usage(*names: str) -> x509.KeyUsage:
    return x509.KeyUsage(**{use: use in names for use in _USES})


def _certificate_text(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _key_text(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()
