"""A server that says whatever bytes a test wants, as no HTTP library would."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

import pytest


@pytest.fixture
def raw_server() -> Iterator[Callable[[Callable[[bytes], bytes]], str]]:
    """Start servers that answer each connection's first request once; return the address of the API there."""
    with contextlib.ExitStack() as stack:

        def start(answer: Callable[[bytes], bytes]) -> str:
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            stack.callback(listener.shutdown, socket.SHUT_RDWR)  # ends its thread
            threading.Thread(target=_serve, args=(listener, answer), daemon=True).start()
            return f"http://127.0.0.1:{listener.getsockname()[1]}/v1"

        yield start


def _serve(listener: socket.socket, answer: Callable[[bytes], bytes]) -> None:
    with contextlib.suppress(OSError):
        while True:
            peer, _ = listener.accept()
            with peer, contextlib.suppress(ConnectionError):
                peer.sendall(answer(peer.recv(65536)))
