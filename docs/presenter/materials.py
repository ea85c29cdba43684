"""Blender materials of the presenter: skin, eyes, cloth, hair, built node by node."""

from __future__ import annotations

import bpy
import numpy as np


class Nodes:
    """A material's node tree, built by a few words."""

    def __init__(self, name: str) -> None:
        self.material = bpy.data.materials.new(name)
        self.material.use_nodes = True
        self.tree = self.material.node_tree
        self.tree.nodes.clear()
        self.output = self.add("ShaderNodeOutputMaterial")

    def add(self, kind: str, **settings: object) -> bpy.types.Node:
        node = self.tree.nodes.new(kind)
        for key, value in settings.items():
            if hasattr(node, key):
                setattr(node, key, value)
            else:
                node.inputs[key].default_value = value
        return node

    def link(self, source: bpy.types.NodeSocket, target: bpy.types.NodeSocket) -> None:
        self.tree.links.new(source, target)

    def math(self, operation: str, a: object, b: object = 0.0, clamp: bool = False) -> bpy.types.NodeSocket:
        node = self.tree.nodes.new("ShaderNodeMath")
        node.operation, node.use_clamp = operation, clamp
        for socket, value in zip(node.inputs, (a, b), strict=False):
            if isinstance(value, bpy.types.NodeSocket):
                self.link(value, socket)
            else:
                socket.default_value = value
        return node.outputs[0]

    def mix(self, factor: object, a: object, b: object) -> bpy.types.NodeSocket:
        node = self.tree.nodes.new("ShaderNodeMix")
        node.data_type = "RGBA"
        for socket, value in ((node.inputs[0], factor), (node.inputs[6], a), (node.inputs[7], b)):
            if isinstance(value, bpy.types.NodeSocket):
                self.link(value, socket)
            else:
                socket.default_value = value
        return node.outputs[2]

    def principled(self, **settings: object) -> bpy.types.Node:
        node = self.add("ShaderNodeBsdfPrincipled", **settings)
        self.link(node.outputs[0], self.output.inputs[0])
        return node

    def attribute(self, name: str) -> bpy.types.NodeSocket:
        return self.add("ShaderNodeAttribute", attribute_name=name).outputs["Fac"]

    def noise(self, scale: float, detail: float = 3.0) -> bpy.types.NodeSocket:
        where = self.add("ShaderNodeTexCoord")
        node = self.add("ShaderNodeTexNoise", Scale=scale, Detail=detail)
        self.link(where.outputs["Object"], node.inputs["Vector"])
        return node.outputs["Fac"]

    def bump(self, height: bpy.types.NodeSocket, strength: float, distance: float) -> bpy.types.NodeSocket:
        node = self.add("ShaderNodeBump", Strength=strength, Distance=distance)
        self.link(height, node.inputs["Height"])
        return node.outputs[0]


def skin_material() -> bpy.types.Material:
    n = Nodes("skin")
    tone = n.mix(n.noise(55, 4), (0.73, 0.415, 0.285, 1), (0.78, 0.475, 0.34, 1))
    tone = n.mix(n.math("MULTIPLY", n.attribute("blush"), 0.5), tone, (0.78, 0.33, 0.27, 1))
    tone = n.mix(n.math("MULTIPLY", n.attribute("shadow"), 0.45), tone, (0.36, 0.18, 0.14, 1))
    tone = n.mix(n.math("MULTIPLY", n.attribute("lips"), 0.80), tone, (0.50, 0.075, 0.090, 1))
    tone = n.mix(n.attribute("scalp"), tone, (0.035, 0.022, 0.016, 1))
    tone = n.mix(n.attribute("inside"), tone, (0.25, 0.03, 0.03, 1))
    p = n.principled(**{"Subsurface Weight": 0.35, "Subsurface Scale": 0.006, "Specular IOR Level": 0.30})
    p.inputs["Subsurface Radius"].default_value = (1.0, 0.35, 0.18)
    n.link(tone, p.inputs["Base Color"])
    lips = n.attribute("lips")
    n.link(n.math("SUBTRACT", 0.50, n.math("MULTIPLY", lips, 0.16)), p.inputs["Roughness"])
    height = n.math("ADD", n.noise(900, 2), n.math("MULTIPLY", n.noise(260, 3), 0.7))
    n.link(n.bump(height, 0.10, 0.0006), p.inputs["Normal"])
    return n.material


def plain(name: str, colour: tuple[float, float, float], roughness: float, **settings: object) -> bpy.types.Material:
    n = Nodes(name)
    n.principled(**{"Base Color": (*colour, 1), "Roughness": roughness, **settings})
    return n.material


def cloth_material(name: str, colour: tuple[float, float, float], weave: float, bump: float) -> bpy.types.Material:
    """Fabric that is there only where the attribute `cover` is positive."""
    n = Nodes(name)
    p = n.add("ShaderNodeBsdfPrincipled", Roughness=0.8)
    p.inputs["Sheen Weight"].default_value = 0.08
    tone = n.mix(n.noise(weave * 0.4, 5), (*colour, 1), (*(c * 0.78 for c in colour), 1))
    n.link(tone, p.inputs["Base Color"])
    n.link(n.bump(n.noise(weave, 2), bump, 0.001), p.inputs["Normal"])
    clear = n.add("ShaderNodeBsdfTransparent")
    mix = n.add("ShaderNodeMixShader")
    n.link(n.math("GREATER_THAN", n.attribute("cover"), 0.0), mix.inputs[0])
    n.link(clear.outputs[0], mix.inputs[1])
    n.link(p.outputs[0], mix.inputs[2])
    n.link(mix.outputs[0], n.output.inputs[0])
    return n.material


def hair_material(name: str, melanin: float, rough: float) -> bpy.types.Material:
    n = Nodes(name)
    node = n.add("ShaderNodeBsdfHairPrincipled", parametrization="MELANIN")
    for key, value in {
        "Melanin": melanin,
        "Melanin Redness": 0.35,
        "Roughness": rough,
        "Radial Roughness": 0.4,
        "Random Color": 0.12,
    }.items():
        if key in node.inputs:
            node.inputs[key].default_value = value
    n.link(node.outputs[0], n.output.inputs[0])
    return n.material


def eye_material(centre: np.ndarray, radius: float, gaze: np.ndarray) -> bpy.types.Material:
    """Sclera, iris and pupil by the angle from the gaze."""
    n = Nodes("eye")
    where = n.add("ShaderNodeTexCoord")
    away = n.add("ShaderNodeVectorMath", operation="SUBTRACT")
    n.link(where.outputs["Object"], away.inputs[0])
    away.inputs[1].default_value = centre
    along = n.add("ShaderNodeVectorMath", operation="NORMALIZE")
    n.link(away.outputs[0], along.inputs[0])
    dot = n.add("ShaderNodeVectorMath", operation="DOT_PRODUCT")
    n.link(along.outputs[0], dot.inputs[0])
    dot.inputs[1].default_value = gaze
    angle = n.math("ARCCOSINE", n.math("MINIMUM", dot.outputs["Value"], 1.0))
    fibres = n.noise(1500, 4)

    def step(at: float, soft: float) -> bpy.types.NodeSocket:
        return n.math("DIVIDE", n.math("SUBTRACT", angle, at - soft), 2 * soft, clamp=True)

    iris = n.mix(fibres, (0.030, 0.014, 0.007, 1), (0.16, 0.075, 0.032, 1))
    iris = n.mix(step(0.44, 0.06), iris, (0.012, 0.007, 0.005, 1))
    white = n.mix(n.noise(300, 4), (0.74, 0.70, 0.68, 1), (0.80, 0.77, 0.75, 1))
    colour = n.mix(step(0.195, 0.02), (0.002, 0.002, 0.002, 1), iris)
    colour = n.mix(step(0.50, 0.035), colour, white)
    p = n.principled(**{"Roughness": 0.12, "Coat Weight": 1.0, "Coat Roughness": 0.02, "Subsurface Weight": 0.05})
    n.link(colour, p.inputs["Base Color"])
    return n.material
