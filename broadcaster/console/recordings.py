"""Where a recording may be put by somebody who is not on this machine. Pure but for resolving links.

An operator's token changes outputs; it must not choose any folder of this machine. The configuration and whoever is
on the machine (the control socket) may.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from broadcaster.console.access import Caller
from broadcaster.console.denied import Denied


def check_folder(caller: Caller, command: Mapping[str, Any], folders: Sequence[Path]) -> None:
    """Raises Denied (403) for a sink command of a remote caller that names a folder outside all `folders`."""
    settings = command.get("settings")
    if caller.local or not isinstance(settings, Mapping) or "directory" not in settings:
        return
    named = settings["directory"]
    if isinstance(named, str) and Path(named).is_absolute():
        folder = Path(named).resolve()
        if any(folder.is_relative_to(allowed.resolve()) for allowed in folders):
            return
    places = " or ".join(str(folder) for folder in folders)
    raise Denied(
        403,
        "forbidden",
        f"From outside this machine a recording may go to {places} or below only; give an absolute path there, "
        "or add the sink on the machine itself (broadcaster sink add).",
    )
