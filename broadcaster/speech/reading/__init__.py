"""How written text is read aloud: the parts of `speech/normalise.py`, the lexicon, languages, SSML. Pure."""
