"""What is read from a trace of system calls."""

from __future__ import annotations

from benchmarks.files import Call, calls_of, further

TRACE = r"""
101 execve("/usr/bin/bash", ["bash", "-c", "true"], 0x7ffd /* 12 vars */) = 0
101 openat(AT_FDCWD, "/etc/ld.so.cache", O_RDONLY|O_CLOEXEC) = 3
101 newfstatat(3, "", {st_mode=S_IFREG|0644, st_size=1, ...}, AT_EMPTY_PATH) = 0
102 openat(AT_FDCWD, "/a \"b\"/c", O_RDONLY <unfinished ...>
101 access("/sys/block/loop7", F_OK)    = 0
102 <... openat resumed>)               = -1 ENOENT (No such file or directory)
103 getcwd("/work", 1024)               = 6
102 +++ exited with 0 +++
""".strip()


def test_each_call_is_counted_once_though_its_line_was_cut() -> None:
    assert list(calls_of(TRACE.splitlines())) == [
        Call("execve", "/usr/bin/bash"),
        Call("openat", "/etc/ld.so.cache"),
        Call("newfstatat", ""),
        Call("openat", r"/a \"b\"/c"),
        Call("access", "/sys/block/loop7"),
        Call("getcwd", "/work"),
    ]


def test_the_kernel_answers_for_its_own_file_systems() -> None:
    assert not Call("access", "/sys/block/loop7").leaves_the_node
    assert not Call("openat", "/proc/1/stat").leaves_the_node
    assert Call("openat", "/home/me/x").leaves_the_node


def test_what_further_workers_call_is_told_for_one_of_them() -> None:
    one = [Call("openat", "/lib/x"), Call("openat", "/proc/1/stat")]
    more = [Call("openat", f"/proc/{pid}/stat") for pid in (2, 3, 4, 5)]
    more += [Call("mkdir", "/tmp/w-abcd1234/x"), Call("mkdir", "/tmp/w-efgh5678/x")]
    assert further(one, [*one, *more], workers=3) == [
        ("openat /proc/N/stat", 2.0),
        ("mkdir /tmp/w-…/x", 1.0),
    ]
