"""The 468-point face mesh as everybody here understands it: which point is what, and what follows from it.

    topology    indices of the mesh: lips, oval, eyes, chin, the points that stand for the 68-point scheme
    landmarks   the named point sets of an avatar (`config.avatar`), and the affine between two faces
    crop        what a neural engine cuts out (MuseTalk's rule) and the mask over it

Pure geometry in pixels, x right and y down, numpy alone. No stage: studio, head and the
preparation of avatars share it.
"""

from broadcaster.face.crop import crop_box, crop_edges
from broadcaster.face.landmarks import (
    affine_between,
    eye_openness,
    face_width,
    landmarks_of,
    mouth_openness,
    moved,
)
from broadcaster.face.mask import MASK_SIZE, mask_of
from broadcaster.face.topology import POINTS

__all__ = (
    "MASK_SIZE",
    "POINTS",
    "affine_between",
    "crop_box",
    "crop_edges",
    "eye_openness",
    "face_width",
    "landmarks_of",
    "mask_of",
    "mouth_openness",
    "moved",
)
