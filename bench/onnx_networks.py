"""Networks of the published sizes with random weights, as .onnx files: what they cost does not depend on the weights.

Layers as published: Wav2Lip's generator at 96 pixels, FeatherTalk's MobileOne U-Net at 160 (its branches folded into
one, as for use) and an encoder of FeatherHuBERT's kind. Batch norms are folded into the convolutions.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from tests.support.onnx_files import Dim, Graph
from tests.support.onnx_heads import FEATHERTALK, WAV2LIP

HUBERT_WIDTH = 1024
HUBERT_CHANNELS = 216
HUBERT_BLOCKS = 12
"""Chosen for 3.4 M parameters, what is said of FeatherHuBERT."""


class Network(Graph):
    def __init__(self) -> None:
        super().__init__()
        self._random = np.random.default_rng(1)

    def kernel(self, *shape: int, fan_in: int) -> str:
        values = self._random.normal(0, (2 / fan_in) ** 0.5, shape)
        return self.weight(values.astype(np.float32))

    def constant(self, *values: float) -> str:
        return self.weight(np.array(values if len(values) > 1 else values[0], np.float32))

    def conv(
        self,
        x: str,
        into: int,
        out: int,
        size: int = 3,
        stride: Any = 1,
        pad: int = 1,
        groups: int = 1,
        relu: bool = True,
    ) -> str:
        strides = [stride, stride] if isinstance(stride, int) else list(stride)
        made = self.node(
            "Conv",
            x,
            self.kernel(out, into // groups, size, size, fan_in=into // groups * size * size),
            self.weight(np.zeros(out, np.float32)),
            kernel_shape=[size, size],
            strides=strides,
            pads=[pad] * 4,
            group=groups,
        )
        return self.node("Relu", made) if relu else made

    def residual(self, x: str, channels: int, times: int) -> str:
        for _ in range(times):
            x = self.node("Relu", self.node("Add", self.conv(x, channels, channels, relu=False), x))
        return x

    def transposed(self, x: str, into: int, out: int, stride: int) -> str:
        made = self.node(
            "ConvTranspose",
            x,
            self.kernel(into, out, 3, 3, fan_in=9 * into),
            self.weight(np.zeros(out, np.float32)),
            kernel_shape=[3, 3],
            strides=[stride, stride],
            pads=[1] * 4 if stride == 2 else [0] * 4,
            output_padding=[1, 1] if stride == 2 else [0, 0],
        )
        return self.node("Relu", made)

    def separable(self, x: str, into: int, out: int, stride: int = 1) -> str:
        """A MobileOne block, folded: depthwise 3x3, then 1x1; added to what came in where both fit."""
        made = self.conv(self.conv(x, into, into, stride=stride, groups=into), into, out, size=1, pad=0)
        return self.node("Add", x, made) if stride == 1 and into == out else made

    def double(self, x: str, into: int, out: int, stride: int) -> str:
        return self.separable(self.separable(x, into, out, stride), out, out)

    def up(self, x: str, skip: str, into: int, out: int) -> str:
        scales = self.constant(1.0, 1.0, 2.0, 2.0)
        larger = self.node("Resize", x, "", scales, mode="linear", coordinate_transformation_mode="align_corners")
        return self.double(self.node("Concat", larger, skip, axis=1), into, out, 1)

    def group_norm(self, x: str, channels: int, groups: int = 8) -> str:
        apart = self.node("Reshape", x, self.weight(np.array([1, groups, -1], np.int64)))
        ones, zeros = (self.weight(np.full(groups, value, np.float32)) for value in (1, 0))
        normal = self.node("InstanceNormalization", apart, ones, zeros, epsilon=1e-5)
        back = self.node("Reshape", normal, self.weight(np.array([1, channels, -1], np.int64)))
        scale, shift = (self.weight(np.full((channels, 1), value, np.float32)) for value in (1, 0))
        return self.node("Add", self.node("Mul", back, scale), shift)

    def gelu(self, x: str) -> str:
        erf = self.node("Erf", self.node("Div", x, self.constant(2**0.5)))
        return self.node("Mul", self.node("Mul", x, self.node("Add", erf, self.constant(1.0))), self.constant(0.5))

    def line(
        self, x: str, into: int, out: int, size: int, stride: int = 1, dilation: int = 1, groups: int = 1
    ) -> str:
        pad = 0 if stride > 1 or size < 3 else dilation * (size - 1) // 2
        return self.node(
            "Conv",
            x,
            self.kernel(out, into // groups, size, fan_in=into // groups * size),
            kernel_shape=[size],
            strides=[stride],
            dilations=[dilation],
            pads=[pad, pad],
            group=groups,
        )


def wav2lip(batch: Dim = "batch") -> Network:
    net = Network()
    x = net.input("video", [batch, 6, 96, 96])
    skips = [net.conv(x, 6, 16, 7, 1, 3)]
    for into, out, more in ((16, 32, 2), (32, 64, 3), (64, 128, 2), (128, 256, 2), (256, 512, 1)):
        skips.append(net.residual(net.conv(skips[-1], into, out, 3, 2), out, more))
    skips.append(net.conv(net.conv(skips[-1], 512, 512, 3, 1, 0), 512, 512, 1, 1, 0))
    a = net.residual(net.conv(net.input("audio", [batch, 1, 80, 16]), 1, 32), 32, 2)
    for into, out, stride, more in ((32, 64, (3, 1), 2), (64, 128, (3, 3), 2), (128, 256, (3, 2), 1)):
        a = net.residual(net.conv(a, into, out, 3, stride), out, more)
    y = net.conv(net.conv(net.conv(a, 256, 512, 3, 1, 0), 512, 512, 1, 1, 0), 512, 512, 1, 1, 0)
    y = net.node("Concat", y, skips.pop(), axis=1)
    for into, out, stride, more in (
        (1024, 512, 1, 1),
        (1024, 512, 2, 2),
        (768, 384, 2, 2),
        (512, 256, 2, 2),
        (320, 128, 2, 2),
        (160, 64, 2, 2),
    ):
        y = net.residual(net.transposed(y, into, out, stride), out, more)
        y = net.node("Concat", y, skips.pop(), axis=1)
    y = net.conv(net.conv(y, 80, 32), 32, 3, 1, 1, 0, relu=False)
    net.output(net.node("Sigmoid", y), "output", [batch, 3, 96, 96])
    return net


def feathertalk() -> Network:
    net, ch = Network(), (32, 64, 128, 256, 512)
    levels = [net.separable(net.input("input", [1, 6, 160, 160]), 6, ch[0])]
    for into, out in pairwise(ch):
        levels.append(net.double(levels[-1], into, out, 2))
    a = net.separable(net.separable(net.input("audio", [1, 16, 32, 32]), 16, ch[1]), ch[1], ch[2])
    a = net.separable(net.conv(a, ch[2], ch[3], 3, 2), ch[3], ch[3])
    a = net.conv(a, ch[3], ch[4], 3, 2, 3)
    a = net.separable(net.separable(a, ch[4], ch[4]), ch[4], ch[4])
    y = net.node("Concat", levels.pop(), a, axis=1)
    y = net.double(net.double(y, 2 * ch[4], ch[4], 1), ch[4], ch[3], 1)
    for into, out in ((ch[4], ch[3] // 2), (ch[3], ch[2] // 2), (ch[2], ch[1] // 2), (ch[1], ch[0])):
        y = net.up(y, levels.pop(), into, out)
    y = net.conv(y, ch[0], 3, 1, 1, 0, relu=False)
    net.output(net.node("Sigmoid", y), "output", [1, 3, 160, 160])
    return net


def feather_hubert() -> Network:
    net, c = Network(), HUBERT_CHANNELS
    x = net.node("Unsqueeze", net.input("waveform", [1, "samples"]), net.weight(np.array([1], np.int64)))
    channels = (1, 64, 128, 256, 384, c, c, c)
    kernels, strides = (10, 3, 3, 3, 3, 2, 2), (5, 2, 2, 2, 2, 2, 2)
    for into, out, size, stride in zip(channels, channels[1:], kernels, strides, strict=False):
        x = net.gelu(net.group_norm(net.line(x, into, out, size, stride), out))
    for block in range(HUBERT_BLOCKS):
        y = net.line(net.group_norm(x, c), c, 2 * c, 1)
        y = net.gelu(net.line(y, 2 * c, 2 * c, 5, dilation=(1, 2, 4, 8)[block % 4], groups=2 * c))
        x = net.node("Add", x, net.line(y, 2 * c, c, 1))
    y = net.line(net.gelu(net.group_norm(x, c)), c, HUBERT_WIDTH, 1)
    net.output(net.node("Transpose", y, perm=[0, 2, 1]), "hidden", [1, "n", HUBERT_WIDTH])
    return net


def written(folder: Path, name: str) -> tuple[Path, int]:
    """The folder of "wav2lip" or "feathertalk", and how many parameters draw a picture."""
    folder.mkdir(parents=True, exist_ok=True)
    if name == "wav2lip":
        manifest, net = {**WAV2LIP, "name": "wav2lip-96"}, wav2lip()
    else:
        sound = {**FEATHERTALK["sound"], "width": HUBERT_WIDTH, "shape": [16, 32, 32], "before": 8, "after": 8}
        sound |= {"past_ms": 600, "normalise": "speech"}
        manifest, net = {**FEATHERTALK, "name": "feathertalk-160", "sound": sound}, feathertalk()
        feather_hubert().save(folder / sound["model"])
    net.save(folder / manifest["model"])
    (folder / "network.yaml").write_text(yaml.safe_dump(manifest, sort_keys=False), encoding="utf-8")
    return folder, net.parameters
