"""What a nozzle may do to envelopes on their way: a chain of steps, each of one kind, in the order they are listed."""

from nozzles.transforms.chain import Transform, TransformSettings, make_transforms

__all__ = ["Transform", "TransformSettings", "make_transforms"]
