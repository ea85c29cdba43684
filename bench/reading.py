"""How long a sentence takes to be made speakable: python bench/reading.py. One thread, the table of the tests."""

from __future__ import annotations

import statistics
import time
from pathlib import Path

from broadcaster.speech.normalise import reading

CASES = Path(__file__).parents[1] / "tests" / "unit" / "speakable_cases.tsv"
ROUNDS = 20


def main() -> None:
    rows = [line.split("\t") for line in CASES.read_text("utf-8").splitlines() if "\t" in line]
    for language in ("zh", "en"):
        texts = [written.replace("\\n", "\n") for lang, written, _ in rows if lang == language]
        for text in texts:
            reading(text, language)
        best = []  # of each text: what the machine's other work adds is no property of the code
        for text in texts:
            times = []
            for _ in range(ROUNDS):
                start = time.perf_counter_ns()
                reading(text, language)
                times.append(time.perf_counter_ns() - start)
            best.append(min(times) / 1e6)
        print(f"{language}: {len(texts)} texts, median {statistics.median(best):.2f} ms, longest {max(best):.2f} ms")


if __name__ == "__main__":
    main()
