"""Networks that a user brings (Wav2Lip or FeatherTalk style): a face crop and a sound feature in, a face out.

network     `network.yaml`: what the .onnx files take and give
sessions    the .onnx files in onnxruntime, held to it
picture     crops, inputs and masks of an avatar
sound       the sound features these networks know
engine      port `TalkingHead`
"""
