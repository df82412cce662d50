"""A process of its own that imports, for being killed: `python tests/intake/bring.py FOLDER`.

It goes on with what an earlier process left, says "ready" when it begins and "done" when it is through.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "firstbell.settings")
    import django

    django.setup()
    from firstbell.intake.apply import apply, look
    from firstbell.intake.command import import_path
    from firstbell.intake.models import Import

    print("ready", flush=True)
    left = Import.objects.exclude(state=Import.State.APPLIED).order_by("-pk").first()
    if left is None:
        import_path(Path(sys.argv[1]), "larch", yes=True)
    else:
        look(left)
        apply(left, "test")
    print("done", flush=True)
