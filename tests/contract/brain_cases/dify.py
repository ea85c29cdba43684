"""The Dify engine against a server that speaks the API of its chat apps."""

from __future__ import annotations

from typing import Any

from pydantic import SecretStr

from broadcaster.config.brains import DifyAgent
from tests.contract.brain_cases.case import SECRET, BrainCase
from tests.fakes.dify_server import DifyServer
from tests.fakes.model_server import ModelServer


class DifyCase(BrainCase):
    engine = "dify"
    no_credit = "provider_quota_exceeded"
    setting = "inputs"

    def serve(self) -> ModelServer:
        return DifyServer()

    def link(self, server: DifyServer, **options: Any) -> DifyAgent:
        settings = {"inputs": {"who": "{persona}", "talk": "{history}"}, **options}
        return DifyAgent(url=server.url, api_key=SecretStr(SECRET), **settings)

    def texts_of(self, request: dict[str, Any]) -> list[str]:
        inputs = request["inputs"]
        said = [line.partition("：")[2] for line in inputs["talk"].splitlines()]
        return [inputs["who"], *said, request["query"]]

    def pictures_of(self, server: DifyServer) -> list[Any]:
        assert len(server.requests[-1]["files"]) == len(server.uploads)
        return [picture for _, picture in server.uploads]


CASES = [DifyCase()]
