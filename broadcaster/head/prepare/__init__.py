"""Any video or photograph as an avatar: what `broadcaster avatar prepare` does. Runs off the air, in the command.

reading     a video file -> upright BT.709 pictures at a constant rate
mesh        a picture -> faces with their 468-point meshes (two TFLite networks through OpenCV)
stabilise   meshes over time, without jitter
seam        where the loop closes best: cut, crossfade or there and back
writing     the avatar's folder (`config.avatar`)
report      what was found: text, JSON and a contact sheet
work        the stages in order, resumable
"""
