"""A network that stands still: a socket whose kernel drops what arrives, and tells nobody.

The sender's kernel sends it again and again, as it does where a real network loses everything.
"""

import ctypes
import socket
import struct
from typing import Protocol

# From <linux/filter.h>: the smallest programs in classic BPF. Each instruction is `struct
# sock_filter`: code, jump if true, jump if false, constant.
_LOAD_LENGTH, _IF_GREATER, _RETURN = 0x80, 0x25, 0x06
_ATTACH, _DETACH = 26, 27  # SO_ATTACH_FILTER and SO_DETACH_FILTER of <asm-generic/socket.h>
_WHOLE = 0xFFFF  # bytes that are kept of a segment
HEADER = 60  # bytes: the largest header of a segment


class _Settable(Protocol):
    def setsockopt(self, level: int, option: int, value: int | bytes, /) -> None: ...


def freeze(place: _Settable, *, larger_than: int = 0) -> None:
    """Drop each segment that arrives; or only those of more than so many bytes, with the header."""
    program = ctypes.create_string_buffer(
        b"".join(
            struct.pack("HBBI", *instruction)
            for instruction in (
                (_LOAD_LENGTH, 0, 0, 0),
                (_IF_GREATER, 1, 0, larger_than),
                (_RETURN, 0, 0, _WHOLE),
                (_RETURN, 0, 0, 0),
            )
        )
    )
    told = struct.pack("HL", 4, ctypes.addressof(program))  # struct sock_fprog
    place.setsockopt(socket.SOL_SOCKET, _ATTACH, told)


def thaw(place: _Settable) -> None:
    """Let everything arrive again."""
    place.setsockopt(socket.SOL_SOCKET, _DETACH, 0)
