"""A client of server-sent events, written from the text of the standard and from nothing of Quaff's."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass
class Message:
    """What `EventSource` hands to its listeners."""

    data: str
    type: str = "message"
    last_event_id: str = ""


class Interpreter:
    """Section 9.2.6 of the standard: "Interpreting an event stream"."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.retry: int | None = None
        self.last_event_id = ""
        self._data = self._type = ""
        self._id = ""

    def read(self, stream: bytes) -> Interpreter:
        """Read the whole of a stream."""
        text = stream.decode("utf-8", "replace").removeprefix("\ufeff")
        lines = re.split("\r\n|\n|\r", text)
        # What follows the last line end is no line, and an event without an empty line behind it is dropped.
        for line in lines[:-1]:
            self._read_line(line)
        return self

    def _read_line(self, line: str) -> None:
        if line == "":
            self._dispatch()
        elif line.startswith(":"):
            pass
        else:
            name, _, value = line.partition(":")
            self._read_field(name, value.removeprefix(" "))

    def _read_field(self, name: str, value: str) -> None:
        if name == "event":
            self._type = value
        elif name == "data":
            self._data += value + "\n"
        elif name == "id" and "\0" not in value:
            self._id = value
        elif name == "retry" and re.fullmatch("[0-9]+", value):
            self.retry = int(value)

    def _dispatch(self) -> None:
        self.last_event_id = self._id
        if self._data != "":
            self.messages.append(Message(self._data.removesuffix("\n"), self._type or "message", self._id))
        self._data = self._type = ""
