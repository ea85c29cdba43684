"""Stand-in for the submodule that the official CosyVoice source imports."""
