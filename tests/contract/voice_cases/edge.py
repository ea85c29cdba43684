"""Microsoft Edge's voices through edge-tts: a websocket, and an SDK that takes no address."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Any

from broadcaster.config import voices
from tests.contract.voice_cases.case import BROKEN, NOTHING, OTHER_RATE, UNSEEN, WHOLE, Fault, Outcome, VoiceCase
from tests.contract.voice_cases.case import VoiceServer as Server
from tests.fakes.edge_server import EdgeServer


class EdgeCase(VoiceCase):
    engine = "edge"
    exact = False
    words = True
    outcomes = {
        Fault.ODD_CHUNKS: WHOLE,
        Fault.TRUNCATED: BROKEN,
        Fault.SHORT: UNSEEN,
        Fault.ERROR: Outcome("none", "retry", says="no sound"),
        Fault.JSON: NOTHING,
        Fault.UNAUTHORIZED: Outcome("none", "final", says="401"),
        Fault.TOO_MANY: Outcome("none", "retry", says="429"),
        Fault.SERVER_ERROR: Outcome("none", "retry", says="500"),
        Fault.DROPPED: NOTHING,
        Fault.RESET: BROKEN,
        Fault.OTHER_RATE: Outcome("all", "well", rate=OTHER_RATE),
        Fault.STEREO: Outcome("all", "well", channels=2),
        Fault.EMPTY: Outcome("none", "retry", says="no sound"),
    }
    impossible = {Fault.HALF_SAMPLE: "there are no samples on the wire, only MP3"}

    def serve(self) -> AbstractAsyncContextManager[Server]:
        return EdgeServer()

    def link(self, server: Server, **options: Any) -> voices.LinkBase:
        return voices.EdgeVoice(**options)

    def patch(self, monkeypatch: Any, server: Server) -> None:
        import edge_tts.communicate

        assert isinstance(server, EdgeServer)
        monkeypatch.setattr(edge_tts.communicate, "WSS_URL", server.url)

    def text_of(self, request: Any) -> str:
        return request.text

    def speed_of(self, request: Any) -> float | None:
        return 1 + int(request.rate.rstrip("%")) / 100


CASES = [EdgeCase()]
