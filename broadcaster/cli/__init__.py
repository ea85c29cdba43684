"""The command line: `broadcaster COMMAND`. Main thread; every command imports what it needs when it runs.

Exit status: 0 done; 1 failed or refused; 2 wrong usage; 69 no daemon answers; 75 another instance holds the
channel; 78 bad configuration or missing files; 130 interrupted.
"""

from broadcaster.cli.main import main

__all__ = ["main"]
