"""What only the passphrase opens, and what happens to whoever changes a byte of it."""

import io
import json

import pytest

from wa_admin.backups.envelope import (
    CHUNK_BYTES,
    TAG_BYTES,
    Costs,
    Damaged,
    NotABackup,
    Opener,
    Sealer,
    WrongPassphrase,
)

QUICK = Costs(passes=1, memory_kib=64, lanes=1)
PASSPHRASE = "correct horse battery staple"
SIZES = [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 2 * CHUNK_BYTES + 5]


def content(size):
    return bytes(number % 251 for number in range(1009)) * (size // 1009) + b"e" * (size % 1009)


def sealed(plain, passphrase=PASSPHRASE):
    out = io.BytesIO()
    sealer = Sealer(out, passphrase, QUICK)
    for begin in range(0, len(plain), 300_000):
        sealer.write(plain[begin : begin + 300_000])
    sealer.finish()
    return out.getvalue()


def opened(file, passphrase=PASSPHRASE):
    return Opener(io.BytesIO(file), passphrase).read()


def header_of(file):
    return file.index(b"\n", file.index(b"\n") + 1) + 1


@pytest.mark.parametrize("size", SIZES)
def test_what_was_sealed_opens_again(size):
    assert opened(sealed(content(size))) == content(size)


def test_it_opens_in_small_pieces():
    opener = Opener(io.BytesIO(sealed(content(CHUNK_BYTES + 77))), PASSPHRASE)
    assert b"".join(iter(lambda: opener.read(4999), b"")) == content(CHUNK_BYTES + 77)


def test_nothing_of_it_can_be_read_as_it_is():
    assert b"a secret token" not in sealed(b"a secret token" * 100)


def test_the_same_is_never_sealed_alike():
    assert sealed(b"same") != sealed(b"same")


def test_a_letter_with_an_accent_is_the_same_however_it_was_typed():
    assert opened(sealed(b"x", "caf\u00e9 au lait"), "cafe\u0301 au lait") == b"x"


def test_a_guess_costs_what_rfc_9106_says():
    out = io.BytesIO()
    Sealer(out, PASSPHRASE)
    told = json.loads(out.getvalue().split(b"\n")[1])
    assert (told["kdf"], told["passes"], told["memory_kib"], told["lanes"]) == ("argon2id", 3, 64 * 1024, 4)


@pytest.mark.parametrize("wrong", ["", "correct horse battery stapl", "Correct horse battery staple"])
def test_another_passphrase_is_told_from_damage(wrong):
    with pytest.raises(WrongPassphrase):
        opened(sealed(b"x"), wrong)


@pytest.mark.parametrize("at", [0, 1, CHUNK_BYTES, CHUNK_BYTES + TAG_BYTES, -1])
def test_a_changed_byte_is_found(at):
    file = bytearray(sealed(content(2 * CHUNK_BYTES)))
    place = at if at < 0 else header_of(file) + at
    file[place] ^= 1
    with pytest.raises(Damaged):
        opened(bytes(file))


@pytest.mark.parametrize("missing", [1, TAG_BYTES, CHUNK_BYTES + TAG_BYTES, 2 * (CHUNK_BYTES + TAG_BYTES)])
def test_a_file_that_was_cut_off_is_found(missing):
    with pytest.raises(Damaged):
        opened(sealed(content(3 * CHUNK_BYTES))[:-missing])


def test_a_writer_that_did_not_come_to_its_end_leaves_nothing_that_opens():
    out = io.BytesIO()
    Sealer(out, PASSPHRASE, QUICK).write(content(2 * CHUNK_BYTES))
    with pytest.raises(Damaged):
        opened(out.getvalue())


def test_chunks_cannot_change_places():
    file = sealed(content(3 * CHUNK_BYTES))
    begin, size = header_of(file), CHUNK_BYTES + TAG_BYTES
    one, two = file[begin : begin + size], file[begin + size : begin + 2 * size]
    with pytest.raises(Damaged):
        opened(file[:begin] + two + one + file[begin + 2 * size :])


def test_nothing_can_be_added():
    with pytest.raises(Damaged):
        opened(sealed(content(CHUNK_BYTES)) + b"x")


@pytest.mark.parametrize("change", [{"chunk": 4096}, {"salt": "00" * 16}, {"passes": 2}, {"colour": "red"}])
def test_the_header_cannot_be_changed(change):
    first, header, rest = sealed(b"some content").split(b"\n", 2)
    changed = json.dumps(json.loads(header) | change, sort_keys=True).encode()
    with pytest.raises((Damaged, WrongPassphrase)):
        opened(b"\n".join([first, changed, rest]))


@pytest.mark.parametrize(
    "change",
    [{"memory_kib": 2**40}, {"passes": 10**9}, {"lanes": 0}, {"kdf": "none"}, {"chunk": 2**40}, {"salt": 5}],
)
def test_a_header_that_would_cost_too_much_or_makes_no_sense_is_refused_at_once(change):
    first, header, rest = sealed(b"some content").split(b"\n", 2)
    with pytest.raises(NotABackup):
        opened(b"\n".join([first, json.dumps(json.loads(header) | change).encode(), rest]))


@pytest.mark.parametrize(
    "file",
    [
        b"",
        b"PK\3\4",
        b"wa-admin backup 2\n{}\n",
        b"wa-admin backup 1\n[]\n",
        b"wa-admin backup 1\nno json\n",
        b"wa-admin backup 1\n" + b"{" * 9000,
    ],
)
def test_another_file_is_no_backup(file):
    with pytest.raises(NotABackup):
        opened(file)
