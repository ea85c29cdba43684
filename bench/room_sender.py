"""A room in full swing: sends comments to the source `ingest` at a steady rate, and says what that cost. A process.

`python -m bench.room_sender --port PORT --rate 10000 --seconds 60` prints one JSON object: `sent`, `accepted`,
`refused` (lines), `cpu_s` (of this process), `wall_s`, `latest_ms` (how far it fell behind its own pace).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import time

from websockets.asyncio.client import ClientConnection, connect

BATCHES_PER_S = 100
VIEWERS = 30_000
"""More than the director remembers at a time."""
CHEERS = ("666", "66666", "哈哈哈哈", "来了来了", "主播好", "冲冲冲", "好听", "nice")
ASKED = (
    "今天播到几点", "这件衣服哪里买的", "主播是哪里人", "能唱首歌吗", "你是真人吗", "明天还播吗", "怎么加入粉丝团",
    "这个适合新手吗", "what is your name", "今天吃什么",
)  # fmt: skip
OPENINGS = ("", "主播", "请问", "想问一下", "小声问问")
ENDINGS = ("", "？", "呀？", "啊", "！！")


def comments(rng: random.Random) -> list[str]:
    """A thousand texts: cheers, questions in many words, and chatter that is never the same."""
    texts = [rng.choice(CHEERS) for _ in range(300)]
    texts += [rng.choice(OPENINGS) + rng.choice(ASKED) + rng.choice(ENDINGS) for _ in range(400)]
    texts += ["".join(chr(rng.randrange(0x4E00, 0x9000)) for _ in range(rng.randrange(4, 24))) for _ in range(300)]
    rng.shuffle(texts)
    return texts


async def _acknowledged(socket: ClientConnection, messages: int) -> tuple[int, int]:
    accepted = refused = 0
    for _ in range(messages):
        answer = json.loads(await socket.recv())
        accepted += answer["accepted"]
        refused += len(answer["refused"]) + answer.get("refused_more", 0)
    return accepted, refused


async def send(port: int, rate: int, seconds: float, run: str) -> dict[str, float]:
    rng = random.Random(5)
    texts = comments(rng)
    per_batch, batches = rate // BATCHES_PER_S, round(seconds * BATCHES_PER_S)
    number = 0
    latest = 0.0
    async with connect(f"ws://127.0.0.1:{port}/ingest", compression=None, max_queue=1024) as socket:
        answers = asyncio.create_task(_acknowledged(socket, batches))
        began, cpu = time.monotonic(), time.process_time()
        for batch in range(batches):
            lines = []
            for _ in range(per_batch):
                number += 1
                viewer = number * 7919 % VIEWERS
                lines.append(
                    f'{{"kind":"comment","id":"{run}{number}","viewer":{{"id":"v{viewer}","name":"观众{viewer}"}},'
                    f'"text":"{texts[number * 31 % len(texts)]}"}}'
                )
            await socket.send("\n".join(lines))
            due = began + (batch + 1) / BATCHES_PER_S
            now = time.monotonic()
            latest = max(latest, now - due)
            await asyncio.sleep(max(0.0, due - now))
        accepted, refused = await asyncio.wait_for(answers, 30)
        return {
            "sent": number,
            "accepted": accepted,
            "refused": refused,
            "cpu_s": time.process_time() - cpu,
            "wall_s": time.monotonic() - began,
            "latest_ms": 1000 * latest,
        }


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.room_sender", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--rate", type=int, default=10_000, help="comments a second, a multiple of 100")
    parser.add_argument("--seconds", type=float, default=60.0)
    options = parser.parse_args()
    print(json.dumps(asyncio.run(send(options.port, options.rate, options.seconds, f"{os.getpid()}-"))))


if __name__ == "__main__":
    main()
