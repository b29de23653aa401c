"""What is sealed at rest: AES-256-GCM, and what Fernet sealed in 0.1.0."""

import base64

import pytest
from cryptography.fernet import Fernet

from wa_admin.crypto import BY_GCM, Vault, WrongEncryptionKey, key_id

OLD, NEW = (Fernet.generate_key().decode() for _ in range(2))


def test_the_same_is_never_sealed_alike_and_opens():
    vault = Vault((NEW,))
    one, other = vault.seal("a secret"), vault.seal("a secret")
    assert one != other and vault.open(one) == vault.open(other) == "a secret"
    assert base64.urlsafe_b64decode(one.partition(".")[2]).startswith(BY_GCM)


@pytest.mark.parametrize("before", ["", f"{key_id(OLD)}."], ids=["alone", "with the name of its key"])
def test_what_fernet_sealed_opens_still(before):
    sealed = before + Fernet(OLD).encrypt(b"a secret").decode()
    assert Vault((NEW, OLD)).open(sealed) == "a secret"


@pytest.mark.parametrize("at", [0, 1, 13, -1])
def test_a_changed_byte_opens_nothing(at):
    id, _, token = Vault((NEW,)).seal("a secret").partition(".")
    changed = bytearray(base64.urlsafe_b64decode(token))
    changed[at] ^= 1
    with pytest.raises(WrongEncryptionKey):
        Vault((NEW,)).open(f"{id}.{base64.urlsafe_b64encode(changed).decode()}")


@pytest.mark.parametrize(
    "sealed", ["", "x", "not sealed at all", "gQ==", pytest.param(f"{key_id(NEW)}.", id="no text"), "…"]
)
def test_what_is_not_sealed_opens_nothing(sealed):
    with pytest.raises(WrongEncryptionKey):
        Vault((NEW,)).open(sealed)
