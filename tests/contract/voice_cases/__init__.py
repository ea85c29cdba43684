"""What the suite over the voice engines knows of each of them: one small file per engine (see `case.py`)."""
