"""`python -m broadcaster.cli`."""

from broadcaster.cli.main import main

main()
