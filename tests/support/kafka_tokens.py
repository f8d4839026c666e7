"""Access tokens as an identity provider signs them (RFC 7519), and the key set that a broker checks them by."""

from __future__ import annotations

import base64
import time
from dataclasses import dataclass
from pathlib import Path

import orjson
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

ISSUER, AUDIENCE = "https://login.hospital.test", "kafka"
KEY_ID = "k1"


@dataclass(frozen=True, slots=True)
class IdentityProvider:
    key: rsa.RSAPrivateKey

    @classmethod
    def create(cls) -> IdentityProvider:
        return cls(rsa.generate_private_key(public_exponent=65537, key_size=2048))

    def write_key_set(self, path: Path) -> Path:
        numbers = self.key.public_key().public_numbers()
        key = {
            "kty": "RSA",
            "use": "sig",
            "alg": "RS256",
            "kid": KEY_ID,
            "n": _number(numbers.n),
            "e": _number(numbers.e),
        }
        path.write_bytes(orjson.dumps({"keys": [key]}))
        return path

    def token(self, subject: str, *, seconds: float = 3600, audience: str = AUDIENCE) -> str:
        """Return a token that is good for `seconds` from now; fewer than none give an expired one."""
        now = int(time.time())
        claims = {"iss": ISSUER, "aud": audience, "sub": subject, "scope": "kafka", "iat": now - 60}
        head = _part(orjson.dumps({"alg": "RS256", "kid": KEY_ID, "typ": "JWT"}))
        body = _part(orjson.dumps({**claims, "exp": now + int(seconds)}))
        signature = self.key.sign(f"{head}.{body}".encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{head}.{body}.{_part(signature)}"


def _number(value: int) -> str:
    return _part(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def _part(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
