"""Runs `nmt` in children of one process that has imported torch, which takes longer than what tests do.

Asked, with four file descriptors, through the socket that is its standard input, it forks a process with the
first three as its standard streams; the fourth takes its number at once and its exit status at its end.
"""

import io
import json
import os
import signal
import socket
import sys
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import import_module

from nmt.cli.main import main

for module in ("torch._dynamo", "torch.distributed.fsdp", "nmt.alignment", "nmt.decoding", "nmt.training"):
    import_module(module)  # which the program does when it needs them


def serve(asking: socket.socket) -> None:
    """Start what is asked for until nobody can ask any more."""
    os.fsync, os.sched_getaffinity = (lambda _: None), (lambda _: {0})  # as in the tests
    while True:
        asked, descriptors, *_ = socket.recv_fds(asking, 1 << 20, 4)
        if not asked:
            return
        if not os.fork():
            watch(json.loads(asked), descriptors)
        close(descriptors)
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


def watch(asked: Mapping[str, object], descriptors: Sequence[int]) -> None:
    """Start the program, tell its number and how it ended, and end."""
    *streams, telling = descriptors
    pid = os.fork()
    if not pid:
        run(streams, **asked)
    close([0, *streams])
    os.write(telling, b"%d\n" % pid)
    os.write(telling, b"%d\n" % os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    os._exit(0)


def run(streams: Sequence[int], *, args: list[str], folder: str, env: dict[str, str]) -> None:
    """Be the program, and end."""
    status = 1
    try:
        for number, descriptor in enumerate(streams):
            os.dup2(descriptor, number)
        os.closerange(3, 100)
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(env)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        sys.stdin = open(0, encoding="utf-8")
        sys.stdout = io.TextIOWrapper(
            open(1, "wb", buffering=0 if env.get("PYTHONUNBUFFERED") else -1),
            encoding=env.get("PYTHONIOENCODING", "utf-8"),
            line_buffering=os.isatty(1),
            write_through=bool(env.get("PYTHONUNBUFFERED")),
        )
        sys.stderr = open(2, "w", encoding="utf-8", buffering=1)
        sys.argv = ["nmt", *args]
        main(args)
    except SystemExit as leaving:
        status = leaving.code if isinstance(leaving.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        with suppress(OSError):
            sys.stdout.flush()
        os._exit(status)


def close(descriptors: Sequence[int]) -> None:
    """Close them."""
    for descriptor in descriptors:
        os.close(descriptor)


serve(socket.socket(fileno=0))
