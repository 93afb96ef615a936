"""Files are whole or not there, texts are read in one way, and what a killed process leaves is swept."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from dad import files
from dad.errors import UserError
from dad.files import atomic_path, parse_json, read_json, read_text, sha256_file, text_lines, write_json, write_text


def test_a_name_as_long_as_the_file_system_allows_can_be_written(tmp_path):
    longest = "a" * (os.pathconf(tmp_path, "PC_NAME_MAX") - 4) + ".txt"
    write_text(tmp_path / longest, "whole")
    assert (tmp_path / longest).read_text() == "whole"
    assert [path.name for path in tmp_path.iterdir()] == [longest]


def test_the_temporary_name_keeps_the_suffix_and_is_hidden(tmp_path):
    with atomic_path(tmp_path / "a.b.png") as temporary:
        assert temporary.suffix == ".png"
        assert temporary.name.startswith(".")
        assert temporary.parent == tmp_path
        temporary.write_bytes(b"x")


def test_nothing_is_left_of_a_failed_write_and_the_old_file_stays(tmp_path):
    write_text(tmp_path / "a.txt", "old")
    with pytest.raises(UnicodeEncodeError), atomic_path(tmp_path / "a.txt") as temporary, open(temporary, "w") as file:
        file.write("half" + chr(0xDC80))
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "old"


def test_a_folder_is_not_replaced_by_a_file(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(IsADirectoryError):
        write_text(tmp_path / "a", "x")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_what_a_killed_process_left_is_swept_and_what_a_living_one_writes_is_not(tmp_path):
    code = (
        "import sys, time; from dad.files import atomic_path\n"
        f"with atomic_path({str(tmp_path)!r} + '/' + sys.argv[1]) as t:\n"
        "    t.write_text('half'); print(t.name, flush=True); time.sleep(60)"
    )
    writers = [
        subprocess.Popen([sys.executable, "-c", code, name], stdout=subprocess.PIPE, text=True) for name in ("a", "b")
    ]
    try:
        killed, living = (writer.stdout.readline().strip() for writer in writers)
        writers[0].send_signal(signal.SIGKILL)
        writers[0].wait()
        (tmp_path / ".dad-notes.tmp").write_text("a person's own")
        files.sweep(tmp_path)
        assert {path.name for path in tmp_path.iterdir()} == {living, ".dad-notes.tmp"}
        assert killed != living
    finally:
        for writer in writers:
            writer.kill()
            writer.communicate()


def test_a_recycled_process_number_does_not_keep_a_leftover(tmp_path):
    started = files._started(os.getpid())
    leftover = tmp_path / f".dad-{files._machine()}-{os.getpid()}-{started + 1}-0123abcd.tmp.npy"
    leftover.write_bytes(b"x")
    files.sweep(tmp_path)
    assert not leftover.exists()


def test_leftovers_of_another_machine_are_swept_after_a_day(tmp_path):
    young, old = (tmp_path / f".dad-00000000-1-1-0123abc{digit}.tmp" for digit in "01")
    for path in (young, old):
        path.write_bytes(b"x")
    os.utime(old, (time.time() - 90000,) * 2)
    files.sweep(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [young.name]


def test_json_has_no_nan(tmp_path):
    write_json(
        tmp_path / "a.json",
        {"mean": float("nan"), "list": [1.5, float("inf"), (float("-inf"),)], "text": "NaN", "n": 3},
    )

    def refuse(name):
        raise AssertionError(name)

    read = json.loads((tmp_path / "a.json").read_text(), parse_constant=refuse)
    assert read == {"mean": None, "list": [1.5, None, [None]], "text": "NaN", "n": 3}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_texts_of_every_system_read_alike(tmp_path, encoding, end):
    (tmp_path / "a.txt").write_bytes(f"é one{end}two{end}".encode(encoding))
    assert read_text(tmp_path / "a.txt") == "é one\ntwo\n"
    if end != "\r":
        assert list(text_lines(tmp_path / "a.txt")) == ["é one", "two"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("é".encode("latin-1"), "byte 0xe9 in line 1, as Latin-1"),
        ("one\ntwo é".encode("latin-1"), "byte 0xe9 in line 2"),
        ("é".encode("utf-16"), "is encoded in UTF-16"),
        ("é".encode("utf-32"), "is encoded in UTF-32"),
        ("a".encode("utf-16-le"), "NUL bytes"),
        (b"a\0b", "NUL bytes"),
    ],
)
@pytest.mark.parametrize("read", [read_text, lambda path: list(text_lines(path))])
def test_other_encodings_are_refused_by_name(tmp_path, data, message, read):
    (tmp_path / "a.txt").write_bytes(data)
    with pytest.raises(UserError, match=message) as caught:
        read(tmp_path / "a.txt")
    assert str(tmp_path / "a.txt") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_no_text_file_is_refused_and_never_waited_for(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "large").write_bytes(b"a" * 101)
    for name, message in (("fifo", "no regular file"), (".", "is a folder"), ("none", "cannot read .*: No such file")):
        with pytest.raises(UserError, match=message):
            read_text(tmp_path / name)
    with pytest.raises(UserError, match="more than 100 bytes"):
        read_text(tmp_path / "large", limit=100)
    with pytest.raises(UserError, match="cannot read"):
        read_text("a\0b")


@pytest.mark.parametrize("text", ['{"a": ', "[" * 100_000, "9" * 5000, "nul", ""])
def test_broken_json_is_one_line_that_names_the_file(tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(UserError, match=r"a\.json is not") as caught:
        read_json(tmp_path / "a.json")
    assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match="given"):
        parse_json(text, "what was given")


def test_a_folder_appears_whole_or_not_at_all_and_takes_the_place_of_an_empty_one(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(FileNotFoundError), files.atomic_folder(tmp_path / "out") as temporary:
        (temporary / "half").write_bytes((temporary / "gone").read_bytes())
    assert {path.name for path in tmp_path.iterdir()} == {"real", "link"}
    with files.atomic_folder(tmp_path / "link") as temporary:
        (temporary / "whole").write_text("x")
        assert not any((tmp_path / "real").iterdir())
    assert {path.name for path in tmp_path.iterdir()} == {"real", "link"}
    assert (tmp_path / "link").is_symlink() and (tmp_path / "real" / "whole").read_text() == "x"
    with pytest.raises(OSError), files.atomic_folder(tmp_path / "real") as temporary:
        (temporary / "other").write_text("x")
    assert [path.name for path in (tmp_path / "real").iterdir()] == ["whole"]


def test_what_a_killed_process_left_of_a_folder_is_swept_by_the_next_one(tmp_path):
    code = (
        "import os, signal; from dad.files import atomic_folder\n"
        f"with atomic_folder({str(tmp_path / 'a')!r}) as t:\n"
        "    (t / 'deep').mkdir(); (t / 'deep' / 'half').write_text('x'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", code], check=False)
    assert len(list(tmp_path.iterdir())) == 1
    files.sweep(tmp_path)
    assert not any(tmp_path.iterdir())


def test_a_key_that_json_names_twice_is_an_error_and_many_keys_are_none(tmp_path):
    (tmp_path / "a.json").write_text('{"a": 1, "b": {"c": 1, "c": 2}}')
    with pytest.raises(UserError, match=r"a\.json is not usable JSON: the key 'c' is given twice"):
        read_json(tmp_path / "a.json")
    many = {f"key {number}": number for number in range(150_000)}
    write_json(tmp_path / "many.json", many)
    assert read_json(tmp_path / "many.json") == many


def test_a_pipe_has_no_checksum(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="no regular file"):
        sha256_file(tmp_path / "pipe")
