"""Which point of the 468-point face mesh is what: index tuples, nothing else.

The mesh is that of MediaPipe's face landmark network (its published topology, `face_mesh_connections.py` and
`canonical_face_model.obj`). "Left" and "right" are sides of the picture, not of the person.
"""

from __future__ import annotations

from typing import Final

POINTS: Final = 468

LIPS_OUTER: Final = (
    *(61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291),
    *(375, 321, 405, 314, 17, 84, 181, 91, 146),
)
"""From the left corner over the upper lip to the right corner and back below."""

LIPS_INNER_UPPER: Final = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308)
LIPS_INNER_LOWER: Final = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308)
"""The lips' inner edges from the left corner to the right; the n-th points of both lie above each other."""

MOUTH_CORNERS: Final = (61, 291)

FACE_OVAL: Final = (
    *(10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377),
    *(152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109),
)
"""From the middle of the forehead clockwise: down the right side, over the chin, up the left side."""

LEFT_EYE: Final = (133, 155, 154, 153, 145, 144, 163, 7, 33, 246, 161, 160, 159, 158, 157, 173)
RIGHT_EYE: Final = (263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466)
"""From the corner at the right, below the eye to the corner at the left, and back above."""

LEFT_LIDS: Final = ((160, 144), (159, 145), (158, 153))
RIGHT_LIDS: Final = ((385, 380), (386, 374), (387, 373))
"""Points of the upper lid with those of the lower lid below them."""

LEFT_EYE_CORNERS: Final = (33, 133)
RIGHT_EYE_CORNERS: Final = (362, 263)

CHIN: Final = 152
NOSE_BASE: Final = 2
"""Where nose and upper lip meet."""

NOSE_TIP: Final = 4
NOSE_BRIDGE_TOP: Final = 168
FOREHEAD: Final = 10

JAW_68: Final = (127, 234, 93, 132, 58, 136, 150, 176, 152, 400, 379, 365, 288, 361, 323, 454, 356)
"""Stand for points 0..16 of the 68-point scheme: ear, jaw, chin, jaw, ear. The point of least x and the point of
greatest y among all 68 are among these in every face that looks at the camera."""

STEADY: Final = (
    *(21, 162, 127, 251, 389, 356, 33, 133, 362, 263),
    *(168, 6, 197, 195, 5, 4, 1, 2, 98, 327, 129, 358),
    *(117, 118, 346, 347, 234, 454, 93, 323),
)
"""Points that neither speech nor blinks move: temples, corners of the eyes, nose, cheekbones, ears. Not the
forehead's: on a head of known motion, the network lifts the hairline by 2 % of the face when the mouth opens."""
