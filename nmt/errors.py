"""What a user can cause: one error class per kind, each with its exit status."""


class NmtError(Exception):
    """A mistake the program can name in one line: where, what was found, what was expected, what to do."""

    exit_status = 70


class UsageError(NmtError):
    """The command line contradicts itself or names something that is not there."""

    exit_status = 2


class ConfigError(UsageError):
    """A configuration key or value is unknown, of the wrong type, or contradicts another."""


class DataError(NmtError):
    """The text that was given can not be used as it is."""

    exit_status = 65


class ModelError(NmtError):
    """A model folder, checkpoint or tokenizer is damaged or does not fit."""

    exit_status = 65


class OutputError(NmtError):
    """An output can not be created, or something there must not be overwritten."""

    exit_status = 73


class StorageError(NmtError):
    """Reading or writing failed in the operating system: disk full, I/O error, no permission."""

    exit_status = 74


class ResourceError(NmtError):
    """Memory or a device ran out; trying again with less may work."""

    exit_status = 75


class DivergedError(NmtError):
    """Training diverged: the loss is not finite any more or beyond hope."""

    exit_status = 76


class Interrupted(NmtError):
    """A signal ended the work after everything finished was saved."""

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.exit_status = 128 + signal_number


class RankError(NmtError):
    """Another of the processes that train together has ended all; without a message that one tells why."""

    def __init__(self, message: str, exit_status: int) -> None:
        super().__init__(message)
        self.exit_status = exit_status
