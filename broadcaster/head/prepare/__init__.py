"""Any video or photograph as an avatar: what `broadcaster avatar prepare` does. Runs off the air, in the command.

order       what is to be made, and the folder in which it grows
work        a video: the stages in order, resumable
photo       a photograph
reading     a video file -> upright BT.709 pictures at a constant rate (`frames`, `tonemap`: their colours)
mesh        a picture -> faces with their 468-point meshes (three TFLite networks through OpenCV)
looking     a picture -> the face, or why it cannot be used (`covered`: what is before the mouth)
survey      what was seen, on disk while it grows
planning    the usable stretches, and the loop
seam        where a loop closes best: cut, crossfade or there and back
stabilise   meshes over time, without jitter
making      the avatar's folder (`config.avatar`): `writing`, `teeth`, `sheet`
report      what was found: text and JSON
checking    what is wrong with an avatar that was prepared
"""
