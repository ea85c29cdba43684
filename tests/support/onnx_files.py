"""Writes small .onnx files, so that networks for tests need no package that makes them.

The format is protocol buffers; the numbers of the fields are those of `onnx.proto3` (github.com/onnx/onnx).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Dim = int | str
Value = int | float | str | list[int] | list[float]

TYPES = {"float32": 1, "uint8": 2, "int64": 7, "float16": 10}

OPSET = 17
IR_VERSION = 8


class Graph:
    """Nodes in the order they are added; every call gives the name of what it makes."""

    def __init__(self) -> None:
        self._nodes: list[bytes] = []
        self._weights: list[bytes] = []
        self._inputs: list[bytes] = []
        self._outputs: list[bytes] = []
        self._names = 0
        self.parameters = 0

    def input(self, name: str, shape: Sequence[Dim], dtype: str = "float32") -> str:
        """A string for a dimension means that it may be anything."""
        self._inputs.append(_value(name, shape, dtype))
        return name

    def weight(self, array: NDArray[np.generic]) -> str:
        name = self._new()
        dims = b"".join(_number(1, size) for size in array.shape)
        data = _number(2, TYPES[array.dtype.name]) + _text(8, name) + _data(9, np.ascontiguousarray(array).tobytes())
        self._weights.append(dims + data)
        self.parameters += array.size
        return name

    def node(self, kind: str, *inputs: str, name: str = "", **attributes: Value) -> str:
        made = name or self._new()
        body = b"".join(_text(1, each) for each in inputs) + _text(2, made) + _text(4, kind)
        self._nodes.append(body + b"".join(_data(5, _attribute(key, value)) for key, value in attributes.items()))
        return made

    def output(self, made: str, name: str, shape: Sequence[Dim], dtype: str = "float32") -> None:
        self.node("Identity", made, name=name)
        self._outputs.append(_value(name, shape, dtype))

    def save(self, path: Path) -> Path:
        parts = ((1, self._nodes), (5, self._weights), (11, self._inputs), (12, self._outputs))
        graph = b"".join(_data(number, each) for number, found in parts for each in found) + _text(2, "network")
        model = _number(1, IR_VERSION) + _data(7, graph) + _data(8, _text(1, "") + _number(2, OPSET))
        path.write_bytes(model)
        return path

    def _new(self) -> str:
        self._names += 1
        return f"t{self._names}"


def _attribute(name: str, value: Value) -> bytes:
    said = _text(1, name)
    match value:
        case int():
            return said + _number(3, value) + _number(20, 2)
        case float():
            return said + _key(2, 5) + struct.pack("<f", value) + _number(20, 1)
        case str():
            return said + _data(4, value.encode()) + _number(20, 3)
        case [float(), *_]:
            return said + b"".join(_key(7, 5) + struct.pack("<f", each) for each in value) + _number(20, 6)
    return said + b"".join(_number(8, int(each)) for each in value) + _number(20, 7)


def _value(name: str, shape: Iterable[Dim], dtype: str) -> bytes:
    dims = (_number(1, dim) if isinstance(dim, int) else _text(2, dim) for dim in shape)
    tensor = _number(1, TYPES[dtype]) + _data(2, b"".join(_data(1, dim) for dim in dims))
    return _text(1, name) + _data(2, _data(1, tensor))


def _key(field: int, wire: int) -> bytes:
    return _varint(field << 3 | wire)


def _varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _number(field: int, value: int) -> bytes:
    return _key(field, 0) + _varint(value)


def _data(field: int, value: bytes) -> bytes:
    return _key(field, 2) + _varint(len(value)) + value


def _text(field: int, value: str) -> bytes:
    return _data(field, value.encode())
