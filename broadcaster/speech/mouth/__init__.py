"""Which mouth belongs to which moment of speech: phonemes, their visemes, and where they lie in the sound."""
