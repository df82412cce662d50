"""Serving the desk: one ASGI process, with a worker thread beside it."""

from __future__ import annotations

import errno
import socket

import typer
import uvicorn
from django.conf import settings

from firstbell.jobs.worker import Worker


def serve_desk(host: str, port: int, *, work: bool) -> None:
    """Answer on host:port until interrupted; `work`: also run jobs in this process."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise
            typer.echo(
                f"Port {port} is taken. Nothing was started; choose another: firstbell serve --port 8001", err=True
            )
            raise typer.Exit(1) from error
    if not (settings.PACKAGE / "desk" / "static" / "vendor").exists():
        typer.echo("Fonts, icons and scripts are missing: run `make setup` first.", err=True)
        raise typer.Exit(1)
    worker = Worker() if work else None
    thread = worker.start_in_thread() if worker else None
    typer.echo(f"Firstbell answers on http://{'localhost' if host == '127.0.0.1' else host}:{port}  (Ctrl-C stops it)")
    config = uvicorn.Config(
        "firstbell.asgi:application", host=host, port=port, log_level="warning", access_log=False,
        timeout_graceful_shutdown=3, lifespan="off", server_header=False,
    )  # fmt: skip
    try:
        uvicorn.Server(config).run()
    finally:
        if worker and thread:
            worker.stop()
            thread.join(timeout=5)
