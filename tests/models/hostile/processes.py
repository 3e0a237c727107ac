"""Misuse of the process: signals, directories, children, threads and output."""

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time


def spool() -> str:
    """The directory that is shared with the server."""
    with open("/proc/self/cmdline") as f:
        words = f.read().split("\0")
    return words[words.index("--working-dir") + 1]


def handle_every_signal() -> None:
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        try:
            signal.signal(number, lambda *_: None)
        except (OSError, ValueError):
            continue


def block_signals() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())


def cd_to_nowhere() -> None:
    directory = tempfile.mkdtemp()
    os.chdir(directory)
    os.rmdir(directory)


def child_returns() -> None:
    """Fork and raise in the child, so that two processes return from here."""
    if os.fork() == 0:
        raise ValueError("the child goes on")


def child_exits() -> None:
    if os.fork() == 0:
        sys.exit(0)


def child_holds_stdout() -> None:
    subprocess.Popen(["sleep", "3"])


def child_in_a_session_of_its_own() -> None:
    subprocess.Popen(["sleep", "3"], start_new_session=True)


def many_threads() -> None:
    for _ in range(50):
        threading.Thread(target=time.sleep, args=[0.2]).start()


def thread_that_prints_on() -> None:
    def go_on() -> None:
        for _ in range(100):
            print("late")
            time.sleep(0.01)

    threading.Thread(target=go_on, daemon=True).start()


def flood_without_newline() -> None:
    for _ in range(50):
        sys.stdout.write("f" * 1_000_000)


def native_flood() -> None:
    for _ in range(50):
        os.write(1, b"n" * 1_000_000)


def odd_bytes() -> None:
    os.write(1, b"\xff\xfe\xc3(\x00\x1b[31m\r\n")
    sys.stdout.buffer.write(b"\x80\x81 tail")
    sys.stdout.flush()
    print("\udcff lone \ud800 \x00 nul")
