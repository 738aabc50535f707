"""Counts what a package's functions do: their calls and their bytecode instructions."""

import sys
from collections import Counter
from types import CodeType, FrameType
from typing import Any


class Count:
    """Counts while it is entered, in this thread's interpreter.

    Attributes:
        calls: How often each function was entered or went on, by its qualified name.
        instructions: How many they executed. Every version of Python compiles to others.
    """

    def __init__(self, package: str) -> None:
        self.calls: Counter[str] = Counter()
        self.instructions = 0
        self._package = package

    # From Python 3.12 on a trace function gets no instructions of frames that it has not seen before.
    if sys.version_info >= (3, 12):

        def __enter__(self) -> "Count":
            monitoring = sys.monitoring
            events = monitoring.events
            monitoring.use_tool_id(monitoring.PROFILER_ID, "asgi_sessions")
            for event, callback in (
                (events.PY_START, self._call),
                (events.PY_RESUME, self._call),
                (events.PY_THROW, self._call),
                (events.INSTRUCTION, self._instruction),
            ):
                monitoring.register_callback(monitoring.PROFILER_ID, event, callback)
            monitoring.set_events(
                monitoring.PROFILER_ID, events.PY_START | events.PY_RESUME | events.PY_THROW | events.INSTRUCTION
            )
            return self

        def __exit__(self, *_: object) -> None:
            sys.monitoring.set_events(sys.monitoring.PROFILER_ID, sys.monitoring.events.NO_EVENTS)
            sys.monitoring.free_tool_id(sys.monitoring.PROFILER_ID)

        def _call(self, code: CodeType, *_: object) -> None:
            if code.co_filename.startswith(self._package):
                self.calls[code.co_qualname] += 1

        def _instruction(self, code: CodeType, _: int) -> None:
            if code.co_filename.startswith(self._package):
                self.instructions += 1

    else:

        def __enter__(self) -> "Count":
            sys.settrace(self._trace)
            return self

        def __exit__(self, *_: object) -> None:
            sys.settrace(None)

        def _trace(self, frame: FrameType, event: str, _: Any) -> Any:
            if event == "call":
                if not frame.f_code.co_filename.startswith(self._package):
                    return None
                self.calls[frame.f_code.co_qualname] += 1
                frame.f_trace_opcodes, frame.f_trace_lines = True, False
            elif event == "opcode":
                self.instructions += 1
            return self._trace
