"""One file per sink adapter; each runs in a child process of its own (`child`), fed by playout through a pipe."""
