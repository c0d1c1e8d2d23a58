"""Several processes that train one model: how they meet, agree, and end together when one of them is lost."""

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, cast

import torch
from torch import Tensor

from nmt.config.schema import TrainingConfig
from nmt.errors import NmtError, RankError, ResourceError, UsageError
from nmt.hardware import is_out_of_memory, num_usable_cores

# torch.distributed is imported where it is used: a training of one process has no need of it

PLACE = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")  # as torchrun and its like tell every process
MEET_SECONDS = 300.0  # for all to start
ANSWER_SECONDS = 3.0  # for what a rank that fails has to tell the others
LISTEN_SECONDS = 5.0  # for the others to notice, where the first rank holds what they look for
LEAVE_SECONDS = 1.0  # torchrun ends all as soon as one has left: the one that speaks leaves first
LOST = ("Connection closed by peer", "Connection reset by peer", "Broken pipe", "gloo", "NCCL")


class Ranks:
    """The processes of a training, numbered from 0; for one alone every question has its own answer."""

    rank = 0
    world_size = 1
    num_local = 1  # of them on this machine

    @property
    def is_first(self) -> bool:
        """Whether this is the one that writes, evaluates and reports."""
        return self.rank == 0

    def from_first(self, compute: Callable[[], Any]) -> Any:
        """What the first rank computes, in all of them; it must be JSON."""
        return compute()

    def sum(self, number: float) -> float:
        """The sum of the numbers of all ranks."""
        return number

    def most(self, number: int) -> int:
        """The largest of the numbers of all ranks."""
        return number

    def spread(self, tensor: Tensor, whole: Tensor | None) -> None:
        """Fill a tensor of every rank, or the shards of one, with the whole that the first rank gives."""
        assert whole is not None
        tensor.copy_(whole)

    def place(self, device: torch.device) -> torch.device:
        """The device of this rank, of the kind of `device`."""
        return device

    def threads(self, asked: int, frozen: int = 0) -> int:
        """CPU threads for this rank, 0 for all cores: as many as were asked for, or as the run began with."""
        return asked or frozen


class _Group(Ranks):
    """Ranks that are connected by torch.distributed, and by a store in which they leave notes."""

    def __init__(self, backend: str, *, wait_seconds: float) -> None:
        from torch import distributed
        from torch.distributed.rendezvous import rendezvous

        self.rank, self.world_size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
        self.num_local = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
        self.wait_seconds = wait_seconds
        until_all_are_here = timedelta(seconds=MEET_SECONDS)
        store, _, _ = next(iter(rendezvous("env://", timeout=until_all_are_here)))
        # torchrun keeps one store, and would let those it starts again find what the last ones have left
        attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
        self.store = distributed.distributed_c10d.PrefixStore(f"nmt {attempt}", store)
        self.store.set(f"come/{self.rank}", "")
        self.store.wait([f"come/{rank}" for rank in range(self.world_size)], until_all_are_here)
        wait = timedelta(seconds=wait_seconds)
        distributed.init_process_group(
            backend, store=self.store, rank=self.rank, world_size=self.world_size, timeout=wait
        )
        # questions have connections of their own, as gradients may keep the others open after an error
        self.questions: distributed.ProcessGroup | None = distributed.new_group(backend="gloo", timeout=wait)

    def from_first(self, compute: Callable[[], Any]) -> Any:
        from torch import distributed

        data = json.dumps(compute()).encode() if self.is_first else b""
        size = self.most(len(data))
        received = torch.zeros(size, dtype=torch.uint8)
        if self.is_first:
            received = torch.frombuffer(bytearray(data), dtype=torch.uint8)
        distributed.broadcast(received, 0, group=self.questions)
        return json.loads(received.numpy().tobytes())

    def sum(self, number: float) -> float:
        from torch import distributed

        total = torch.tensor(number, dtype=torch.float64)
        distributed.all_reduce(total, group=self.questions)
        return float(total)

    def most(self, number: int) -> int:
        from torch import distributed

        largest = torch.tensor(number)
        distributed.all_reduce(largest, distributed.ReduceOp.MAX, group=self.questions)
        return int(largest)

    def spread(self, tensor: Tensor, whole: Tensor | None) -> None:
        from torch import distributed
        from torch.distributed.tensor import DTensor, distribute_tensor

        full = torch.empty(tensor.shape, dtype=tensor.dtype, device=tensor.device)
        if self.is_first:
            assert whole is not None
            full.copy_(whole)
        distributed.broadcast(full, 0)
        if isinstance(tensor, DTensor):
            full = distribute_tensor(full, tensor.device_mesh, tensor.placements, src_data_rank=None)
        tensor.copy_(full)

    def place(self, device: torch.device) -> torch.device:
        if device.type != "cuda":
            return device
        own = int(os.environ.get("LOCAL_RANK", "0")) if torch.cuda.device_count() > 1 else 0
        if own >= torch.cuda.device_count():
            raise UsageError(
                f"rank {self.rank} is number {own + 1} on its machine, where torch finds "
                f"{torch.cuda.device_count()} GPUs; start as many processes as there are"
            )
        torch.cuda.set_device(own)
        return torch.device("cuda", own)

    def threads(self, asked: int, frozen: int = 0) -> int:
        share = max(1, num_usable_cores() // self.num_local)
        return asked or min(frozen or share, share)

    def part(self) -> None:
        """Leave when all is done."""
        from torch import distributed

        distributed.destroy_process_group()

    def leave(self, error: BaseException, *, stopped_by: int) -> BaseException:
        """Leave the others because of an error; returns what to raise here, after one rank spoke for all.

        The reason that is first told is that of all ranks. Who finds a connection closed looks for it, and
        if there is none a rank was lost.
        """
        own, gone, speaks, text = _reason(error), [0], self.rank == 1, ""
        try:
            text, gone = self._agree_on_reason(own)
            speaks = self._speaks()
            self._wait_for_others(gone)
        except RuntimeError:  # the store was with the first rank, and went with it
            text = text or self._lost(gone)
        if own is not None and (self.is_first or not own["message"]):
            return error
        if stopped_by and 0 in gone:  # by a signal that the first rank had too, and has told of
            return RankError("", 128 + stopped_by)
        reason = json.loads(text)
        return RankError(reason["message"] if speaks else "", reason["exit_status"])

    def _agree_on_reason(self, own: dict[str, Any] | None) -> tuple[str, list[int]]:
        """Why all ranks end, in JSON, and which of them can not be asked."""
        from torch import distributed

        self.store.set(f"here/{self.rank}", "")
        text = self._note("reason", json.dumps(own)) if own else ""
        distributed.destroy_process_group(self.questions)
        self.questions = None  # closes its connections, which the others notice
        if text or (text := self._await_note("reason")):
            return text, []
        gone = [rank for rank in range(self.world_size) if not self.store.check([f"here/{rank}"])]
        return self._note("reason", self._lost(gone)), gone

    def _lost(self, gone: list[int]) -> str:
        """The reason, in JSON, if all that is known is that these ranks do not answer."""
        found = f"a rank did not answer for {self.wait_seconds:g} s (training.wait_seconds)"
        if gone:
            names = f"rank {gone[0]}" if len(gone) == 1 else f"one of the ranks {', '.join(map(str, gone))}"
            found = f"{names} of {self.world_size} is gone, killed or cut off"
        message = f"{found}; start again, the training goes on from the last checkpoint"
        return json.dumps({"message": message, "exit_status": ResourceError.exit_status})

    def _note(self, key: str, text: str) -> str:
        """Leave a note in the store unless there is one; returns the one that is there."""
        return self.store.compare_set(key, "", text).decode()

    def _await_note(self, key: str) -> str:
        end = time.monotonic() + ANSWER_SECONDS
        while not self.store.check([key]):
            if time.monotonic() > end:
                return ""
            time.sleep(0.05)
        return self.store.get(key).decode()

    def _speaks(self) -> bool:
        """Whether it is this rank that tells the reason: the first, or another if that is gone or busy."""
        if not self.is_first:
            self._await_note("speaker")
        return self._note("speaker", str(self.rank)) == str(self.rank)

    def _wait_for_others(self, gone: list[int]) -> None:
        """Let the others read the notes, which may lie with the first rank; let the first leave first."""
        if not self.is_first:
            time.sleep(LEAVE_SECONDS if "TORCHELASTIC_RUN_ID" in os.environ else 0)
            return
        end = time.monotonic() + LISTEN_SECONDS
        for key in (f"here/{rank}" for rank in range(self.world_size) if rank not in gone):
            while not self.store.check([key]) and time.monotonic() < end:
                time.sleep(0.05)
        time.sleep(0.2)  # to look for what they have just been told is there


def _reason(error: BaseException) -> dict[str, Any] | None:
    """What to tell the others of an error; nothing if all it says is that one of them is lost.

    The message is empty if the rank that has the error has to tell of it itself.
    """
    if isinstance(error, RuntimeError) and any(mark in str(error) for mark in LOST):
        return None
    message, exit_status = "", 70
    if isinstance(error, NmtError):
        message = "; ".join([str(error), *getattr(error, "__notes__", [])])
        exit_status = error.exit_status
    elif isinstance(error, SystemExit):
        exit_status = error.code if isinstance(error.code, int) else 0
    elif isinstance(error, Exception) and is_out_of_memory(error):
        exit_status = ResourceError.exit_status
    return {"message": message, "exit_status": exit_status}


@contextmanager
def join(training: TrainingConfig, *, stop_signal: Callable[[], int]) -> Iterator[Ranks]:
    """Meet the other processes of a training, if the environment says that there are any.

    Whatever ends one of them ends all, with the same exit status and one message. Raises UsageError if the
    environment is not whole, ResourceError if the others do not come.
    """
    if os.environ.get("WORLD_SIZE", "1") == "1":
        yield Ranks()
        return
    group = _meet(training)
    try:
        yield group
    except BaseException as error:
        raised = group.leave(error, stopped_by=stop_signal())
        if raised is error:
            raise
        raise raised from error
    group.part()


def _meet(training: TrainingConfig) -> _Group:
    missing = [name for name in PLACE if name not in os.environ]
    if missing:
        raise UsageError(
            f"WORLD_SIZE is {os.environ['WORLD_SIZE']}, but {' and '.join(missing)} not set; "
            "start the processes with torchrun"
        )
    on_gpu = training.device in ("auto", "cuda") and torch.cuda.is_available()
    try:
        return _Group("cpu:gloo,cuda:nccl" if on_gpu else "gloo", wait_seconds=training.wait_seconds)
    except (RuntimeError, ValueError) as error:
        raise ResourceError(
            f"rank {os.environ['RANK']} of {os.environ['WORLD_SIZE']} can not meet the others at "
            f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}: {str(error).splitlines()[0]}"
        ) from error


def work_alone() -> bool:
    """Take this process out of those started with it; returns whether it is the one that is to go on."""
    os.environ.pop("WORLD_SIZE", None)
    return is_first()


def is_first() -> bool:
    """Whether this is the process, of those started together, that writes and talks."""
    return os.environ.get("RANK", "0") == "0"


def whole(tensor: Tensor) -> Tensor:
    """The tensor itself, or, if it lies in shards, all of it; then every rank has to ask."""
    put_together = getattr(tensor, "full_tensor", None)
    return tensor if put_together is None else cast(Tensor, put_together())
