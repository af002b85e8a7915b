"""Run the command line; the only place that turns errors into a message and an exit code.

The warm server runs it if there is one; else it runs here. Nothing is imported here that a command may not need.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # the module typing imports re, enum and contextlib: 8 ms
if TYPE_CHECKING:
    from compose.cli.console import Console

INTERRUPTED = 130
BROKEN_PIPE = 141
SIGINT = 2
REPORT_TO = "please report it with PYCOMPOSE_DEBUG=1 and what you did"


def main() -> int:
    """The `pycompose` program: runs the process's arguments and returns the exit code. Never raises.

    Where the warm server ran them it ends the process itself: there is nothing to be torn down, which takes 1 ms and more.
    """
    try:
        return _main()
    except KeyboardInterrupt:  # before the command had begun: while modules were imported
        return INTERRUPTED


def _main() -> int:
    sys.unraisablehook = _raise_again
    from compose.cli.warm import front

    _take_standard_descriptors()
    arguments = sys.argv[1:]
    code = front.run(arguments)
    if code is not None:
        os._exit(code)
    if sys.flags.no_site:
        import site

        site.main()  # the script leaves that to us: the way to the warm server needs no packages
    code = cold()
    if code == 0:
        from compose.cli.warm.start import start

        start(arguments)
    return code


def _take_standard_descriptors() -> None:
    """A descriptor 0 to 2 that the caller closed (`>&-`) is the null device, or the next socket becomes the output."""
    while True:
        fd = os.open(os.devnull, os.O_RDWR)
        if fd > 2:
            os.close(fd)
            return
        os.set_inheritable(fd, True)


def cold(pid: int = 0) -> int:
    """Run the process's arguments in this process, for process `pid` or itself; return the exit code. Never raises."""
    sys.unraisablehook = _raise_again
    # read by typer when it is imported: its rich formatting costs 60 ms and more
    os.environ["TYPER_USE_RICH"] = "0"
    from compose.cli.console import from_process

    arguments = sys.argv[1:]
    console = from_process(pid)
    try:
        code = _run(arguments, console)
        sys.stdout.flush()
    except BrokenPipeError:
        return _broken_pipe()
    except KeyboardInterrupt:
        code = INTERRUPTED
    except Exception as error:  # the edge: whatever was not foreseen becomes one line
        return _leave(1, console, error)
    return _leave(code, console)


def _leave(code: int, console: Console, error: Exception | None = None) -> int:
    """Write out what is left and explain `error`; the exit code. Output that cannot be written is an error of its own."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        return _broken_pipe()
    except OSError as failure:
        from compose.cli.console import unwritten

        _forget_output()
        console.error(unwritten(failure))
        return code or 1
    return code if error is None else _explain(error, console)


def _run(arguments: list[str], console: Console) -> int:
    import signal

    signal.signal(signal.SIGTERM, _terminate)
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # nohup's
        signal.signal(signal.SIGHUP, _terminate)  # or a terminal that outlives us would stay raw
    if arguments in (["--version"], ["-v"]):
        arguments = ["version"]
    if console.environ.get("PYCOMPOSE_DEBUG"):
        import faulthandler

        faulthandler.enable()
    from compose.cli import app

    return app.main(arguments, console)


def _terminate(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _raise_again(unraisable: sys.UnraisableHookArgs) -> None:
    """Ctrl-C that came in a callback or `__del__`, where Python can only ignore it: importing has such moments."""
    if unraisable.exc_type is not KeyboardInterrupt:
        sys.__unraisablehook__(unraisable)
        return
    import _thread

    _thread.start_new_thread(os.kill, (os.getpid(), SIGINT))  # a thread, for here it would be ignored again


def _explain(error: Exception, console: Console) -> int:
    """Print an error and say its exit code; an unexpected one with its place and how to report it."""
    from compose.errors import ComposeError
    from runtime.errors import EngineError

    write = console.error
    if os.environ.get("PYCOMPOSE_DEBUG"):
        import traceback

        traceback.print_exception(error)
    if isinstance(error, ComposeError):
        if error.message:
            write(error.message)
        return error.exit_code
    if isinstance(error, EngineError):
        write(error.message)
        return 1
    write(f"pycompose: unexpected {type(error).__name__} at {_place(error)}: {error}; {REPORT_TO}")
    return 1


def _place(error: Exception) -> str:
    trace = error.__traceback__
    place = "an unknown place"
    while trace is not None:
        code = trace.tb_frame.f_code
        place = f"{os.path.basename(os.path.dirname(code.co_filename))}/{os.path.basename(code.co_filename)}:{trace.tb_lineno}"
        trace = trace.tb_next
    return place


def _broken_pipe() -> int:
    """The reader of our output left: say nothing."""
    _forget_output()
    return BROKEN_PIPE


def _forget_output() -> None:
    """What is buffered goes nowhere, or the interpreter would try to write it again at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


if __name__ == "__main__":
    sys.exit(main())
