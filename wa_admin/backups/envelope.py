"""A stream that only a passphrase opens. The file begins with two lines of text:

    wa-admin backup 1
    {"chunk": 1048576, "cipher": "aes-256-gcm", "kdf": "argon2id", "lanes": 4, "memory_kib": 65536,
     "passes": 3, "salt": "…", "verifier": "…"}                                         (all on one line)

argon2id makes 40 bytes of the passphrase (NFC, UTF-8) and the salt: 32 are the key of this one file, the
other 8 the verifier, which tells a wrong passphrase from a damaged file. Then come chunks: AES-256-GCM of
`chunk` bytes each, of fewer in the last one, and 16 bytes of tag. The nonce of a chunk is its number, from 0,
in 11 bytes, big-endian, and one byte that is 1 for the last chunk and 0 for the others; the two lines are
authenticated with every chunk. So nothing can be changed, left out, swapped or cut off unnoticed, and no more
than two chunks are ever in memory.
"""

from __future__ import annotations

import hmac
import json
import secrets
import unicodedata
from dataclasses import dataclass
from typing import Any, BinaryIO

from argon2.low_level import Type, hash_secret_raw
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ..refusal import Refusal

FIRST_LINE = b"wa-admin backup 1\n"
CHUNK_BYTES = 1024 * 1024
TAG_BYTES = 16
KEY_BYTES, VERIFIER_BYTES = 32, 8
LONGEST_HEADER_BYTES = 4096
MOST_MEMORY_KIB, MOST_PASSES, MOST_LANES = 1024 * 1024, 50, 64  # what a strange file may make us spend


class NotABackup(Refusal):
    code = "not_a_backup"

    def __init__(self, why: str = "it does not begin like one") -> None:
        super().__init__(f"This file is no backup of wa-admin that this version can read: {why}.")


class WrongPassphrase(Refusal):
    code = "wrong_passphrase"

    def __init__(self) -> None:
        super().__init__("The passphrase does not open this backup.")


class Damaged(Refusal):
    code = "backup_damaged"

    def __init__(self, where: str) -> None:
        super().__init__(f"This backup is damaged or was cut off ({where}): use another one.")


@dataclass(frozen=True)
class Costs:
    """What one guess at the passphrase costs."""

    passes: int
    memory_kib: int
    lanes: int


USUAL = Costs(passes=3, memory_kib=64 * 1024, lanes=4)  # RFC 9106's second choice


class Sealer:
    """Takes bytes and writes them sealed; what was not finished has no end, and does not open."""

    def __init__(self, out: BinaryIO, passphrase: str, costs: Costs | None = None) -> None:
        costs, salt = costs or USUAL, secrets.token_bytes(16)
        key, verifier = _derived(passphrase, salt, costs)
        told = {"chunk": CHUNK_BYTES, "cipher": "aes-256-gcm", "kdf": "argon2id", **vars(costs)}
        told |= {"salt": salt.hex(), "verifier": verifier.hex()}
        self._header = FIRST_LINE + json.dumps(told, sort_keys=True).encode() + b"\n"
        self._cipher, self._out = AESGCM(key), out
        self._waiting, self._number = bytearray(), 0
        out.write(self._header)

    def write(self, data: bytes) -> int:
        self._waiting += data
        while len(self._waiting) > CHUNK_BYTES:  # what may be the last chunk stays here
            self._put(bytes(self._waiting[:CHUNK_BYTES]), is_last=False)
            del self._waiting[:CHUNK_BYTES]
        return len(data)

    def finish(self) -> None:
        self._put(bytes(self._waiting), is_last=True)
        self._waiting.clear()

    def _put(self, chunk: bytes, *, is_last: bool) -> None:
        self._out.write(self._cipher.encrypt(_nonce(self._number, is_last), chunk, self._header))
        self._number += 1


class Opener:
    """Reads what a Sealer wrote. Raises NotABackup, WrongPassphrase; while reading Damaged."""

    def __init__(self, source: BinaryIO, passphrase: str) -> None:
        self._source = source
        told, self._header = _read_header(source)
        try:
            costs = Costs(told["passes"], told["memory_kib"], told["lanes"])
            salt, verifier = bytes.fromhex(told["salt"]), bytes.fromhex(told["verifier"])
            self._chunk_bytes = int(told["chunk"])
            ours = (told["kdf"], told["cipher"]) == ("argon2id", "aes-256-gcm")
            within = _is_bearable(costs) and 0 < self._chunk_bytes <= 64 * CHUNK_BYTES
        except (KeyError, TypeError, ValueError) as error:
            raise NotABackup("its header makes no sense") from error
        if not (ours and within):
            raise NotABackup("its header asks for what is not known here")
        key, expected = _derived(passphrase, salt, costs)
        if not hmac.compare_digest(verifier, expected):
            raise WrongPassphrase
        self._cipher, self._number, self._opened = AESGCM(key), 0, bytearray()
        self._ahead = source.read(self._chunk_bytes + TAG_BYTES)
        self._is_over = False

    def read(self, size: int = -1) -> bytes:
        while not self._is_over and (size < 0 or len(self._opened) < size):
            self._opened += self._next()
        taken = bytes(self._opened if size < 0 else self._opened[:size])
        del self._opened[: len(taken)]
        return taken

    def _next(self) -> bytes:
        sealed, self._ahead = self._ahead, self._source.read(self._chunk_bytes + TAG_BYTES)
        self._is_over = not self._ahead
        try:
            chunk = self._cipher.decrypt(_nonce(self._number, self._is_over), sealed, self._header)
        except (InvalidTag, ValueError) as error:
            raise Damaged(f"in the {self._number * self._chunk_bytes // 1024**2 + 1}. megabyte") from error
        self._number += 1
        return chunk


def _read_header(source: BinaryIO) -> tuple[dict[str, Any], bytes]:
    first = source.readline(len(FIRST_LINE))
    if first != FIRST_LINE:
        raise NotABackup
    second = source.readline(LONGEST_HEADER_BYTES)
    try:
        told = json.loads(second)
    except ValueError as error:
        raise NotABackup("its header cannot be read") from error
    if not isinstance(told, dict):
        raise NotABackup("its header cannot be read")
    return told, first + second


def _derived(passphrase: str, salt: bytes, costs: Costs) -> tuple[bytes, bytes]:
    made = hash_secret_raw(
        unicodedata.normalize("NFC", passphrase).encode(),
        salt,
        time_cost=costs.passes,
        memory_cost=costs.memory_kib,
        parallelism=costs.lanes,
        hash_len=KEY_BYTES + VERIFIER_BYTES,
        type=Type.ID,
    )
    return made[:KEY_BYTES], made[KEY_BYTES:]


def _is_bearable(costs: Costs) -> bool:
    return (
        1 <= costs.passes <= MOST_PASSES
        and 8 * costs.lanes <= costs.memory_kib <= MOST_MEMORY_KIB
        and 1 <= costs.lanes <= MOST_LANES
    )


def _nonce(number: int, is_last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([is_last])
