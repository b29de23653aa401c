import threading
import time

import pytest
from argon2 import PasswordHasher

from wa_admin import passwords


@pytest.fixture(autouse=True)
def _words(app):
    """Sentences need an application to be read."""


def test_the_hash_is_argon2id_with_our_parameters():
    assert passwords.hashed("correct horse battery").startswith("$argon2id$v=19$m=47104,t=1,p=1$")


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery staple",
        "😀😃😄😁😆😅🤣😂🙂🙃😉😊",
        "hJ8$kd92kLm!",
        "kopi susu di teras",
        "  spaces at both ends  ",
        ("Sebuah kalimat yang panjang sekali " * 4)[:128],
    ],
)
def test_a_good_password_is_taken_as_it_is(password):
    assert passwords.checked(password) == password


@pytest.mark.parametrize(
    "password",
    [
        "password1234", "P@ssw0rd1234", "aaaaaaaaaaaa", "123456789012", "qwertyuiop12",
        "iloveyou1234", "passwordpassword", "senha1234567", "wa-admin-2026!", "xk9xk9xk9xk9",
        "Welcome2024!!", "sayangku1234", "flamengo2026", "------------",
    ],
)  # fmt: skip
def test_a_password_that_many_use_is_refused(password):
    with pytest.raises(passwords.UnfitPassword):
        passwords.checked(password)


# of the most frequent ones that leaked; none is a word, a row of keys or a repetition to us
LEAKED = ["unbelievable", "finalfantasy", "1qazxsw23edc", "ghjcnjgfhjkm", "Polniypizdec0211", "JUSTINBIEBER"]


@pytest.mark.parametrize("password", LEAKED)
def test_a_password_that_has_leaked_is_refused(password):
    assert passwords.guesses(password) >= passwords.ENOUGH_GUESSES
    with pytest.raises(passwords.UnfitPassword):
        passwords.checked(password)


def test_there_are_many_that_have_leaked_in_order_and_none_can_be_read():
    kept, size = passwords.BREACHED.read_bytes(), passwords.MARK_BYTES
    marks = [kept[at : at + size] for at in range(0, len(kept), size)]
    assert len(marks) > 40_000 and marks == sorted(set(marks))
    assert all(one.encode() not in kept for one in LEAKED)


def test_ones_own_name_makes_no_password():
    with pytest.raises(passwords.UnfitPassword):
        passwords.checked("wibowo-sari-1990", ("sari.wibowo@toko.id", "Sari Wibowo"))


@pytest.mark.parametrize("password", ["", "short", "11 characte", "x7" * 65])
def test_a_password_has_12_to_128_characters(password):
    with pytest.raises(passwords.UnfitPassword):
        passwords.checked(password)


def test_a_password_fits_only_itself():
    stored = passwords.hashed("correct horse battery")
    assert passwords.fits(stored, "correct horse battery") and not passwords.fits(
        stored, "Correct horse battery"
    )


def test_a_keyboard_that_composes_letters_otherwise_makes_no_difference():
    assert passwords.fits(passwords.hashed("café café café"), "cafe\u0301 cafe\u0301 cafe\u0301")


def test_a_broken_hash_fits_nothing():
    assert not passwords.fits("not a hash", "correct horse battery")


def test_a_hash_with_other_parameters_is_outdated():
    assert passwords.is_outdated(PasswordHasher(time_cost=2, memory_cost=19456, parallelism=1).hash("x"))


def test_no_more_than_two_are_computed_at_once():
    running, most, counting = 0, 0, threading.Lock()

    def compute():
        nonlocal running, most
        with passwords._Place():
            with counting:
                running += 1
                most = max(most, running)
            time.sleep(0.02)
            with counting:
                running -= 1

    threads = [threading.Thread(target=compute) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == passwords.AT_ONCE
