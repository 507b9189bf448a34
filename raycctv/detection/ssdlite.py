"""SSDLite-MobileNetV2 in torch, with the layer names of the TensorFlow graph that its weights come from.

MobileNetV2: Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks" (2018). Batch norms are folded into
the convolutions, since the network is only ever used, never trained.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

INPUT_SIZE_PX = 300
CLASSES = 91

_INVERTED_RESIDUALS = (
    # (channels out, stride); every block but the first widens six times
    (16, 1), (24, 2), (24, 1), (32, 2), (32, 1), (32, 1), (64, 2), (64, 1), (64, 1), (64, 1),
    (96, 1), (96, 1), (96, 1), (160, 2), (160, 1), (160, 1), (320, 1),
)  # fmt: skip
_FEATURE_BLOCK = 13
"""The first feature map is what this block has widened: 19 x 19 x 576."""

_EXTRA_LAYERS = ((256, 512), (128, 256), (128, 256), (64, 128))
_FEATURES = (576, 1280, 512, 256, 256, 128)
_ANCHORS_PER_CELL = (3, 6, 6, 6, 6, 6)
_PREDICTOR_EPSILON = 0.001

_EXTRACTOR = "FeatureExtractor/MobilenetV2"

Weights = Mapping[str, npt.NDArray[np.float32]]


class SameConv(nn.Conv2d):
    """A convolution padded as TensorFlow's ``SAME`` does: what cannot be split evenly goes to the right and the bottom."""

    def forward(self, x: Tensor) -> Tensor:
        height, width = (self._padding_for(int(length), axis) for axis, length in enumerate(x.shape[2:]))
        if height % 2 or width % 2:
            x = functional.pad(x, (width // 2, width - width // 2, height // 2, height - height // 2))
            height = width = 0
        padding = (height // 2, width // 2)
        return functional.conv2d(x, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)

    def _padding_for(self, length: int, axis: int) -> int:
        stride, kernel = self.stride[axis], self.kernel_size[axis]
        return max(0, (-(-length // stride) - 1) * stride + kernel - length)


def _pointwise(channels_in: int, channels_out: int) -> SameConv:
    return SameConv(channels_in, channels_out, 1)


def _depthwise(channels: int, stride: int = 1) -> SameConv:
    return SameConv(channels, channels, 3, stride=stride, groups=channels)


class InvertedResidual(nn.Module):
    """Widen, convolve each channel, narrow; add the input where the shapes allow."""

    def __init__(self, channels_in: int, channels_out: int, stride: int, *, widen: int) -> None:
        super().__init__()
        self.expand = _pointwise(channels_in, channels_in * widen) if widen > 1 else None
        self.depthwise = _depthwise(channels_in * widen, stride)
        self.project = _pointwise(channels_in * widen, channels_out)
        self.residual = stride == 1 and channels_in == channels_out

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The block's output, and its input widened."""
        wide = functional.relu6(self.expand(x)) if self.expand is not None else x
        out = self.project(functional.relu6(self.depthwise(wide)))
        return (x + out if self.residual else out), wide


class ExtraLayer(nn.Module):
    """Halves the resolution beyond the backbone."""

    def __init__(self, channels_in: int, channels_between: int, channels_out: int) -> None:
        super().__init__()
        self.narrow = _pointwise(channels_in, channels_between)
        self.depthwise = _depthwise(channels_between, stride=2)
        self.widen = _pointwise(channels_between, channels_out)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu6(self.narrow(x))
        x = functional.relu6(self.depthwise(x))
        return functional.relu6(self.widen(x))


class Predictor(nn.Module):
    """One value group per anchor: a depthwise and a pointwise convolution."""

    def __init__(self, channels: int, values: int) -> None:
        super().__init__()
        self.depthwise = _depthwise(channels)
        self.pointwise = _pointwise(channels, values)

    def forward(self, x: Tensor) -> Tensor:
        values: Tensor = self.pointwise(functional.relu6(self.depthwise(x)))
        return values.permute(0, 2, 3, 1)


class SsdLite(nn.Module):
    """The whole network, from pixels to what :class:`raycctv.detection.anchors.Decoder` reads."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = SameConv(3, 32, 3, stride=2)
        channels = [32, *(out for out, _ in _INVERTED_RESIDUALS)]
        self.blocks = nn.ModuleList(
            InvertedResidual(channels[i], out, stride, widen=6 if i else 1)
            for i, (out, stride) in enumerate(_INVERTED_RESIDUALS)
        )
        self.last = _pointwise(320, 1280)
        extra_in = [1280, *(out for _, out in _EXTRA_LAYERS)]
        self.extras = nn.ModuleList(ExtraLayer(extra_in[i], *channels) for i, channels in enumerate(_EXTRA_LAYERS))
        per_cell = list(zip(_FEATURES, _ANCHORS_PER_CELL, strict=True))
        self.box_predictors = nn.ModuleList(Predictor(features, 4 * anchors) for features, anchors in per_cell)
        self.class_predictors = nn.ModuleList(Predictor(features, CLASSES * anchors) for features, anchors in per_cell)

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """From uint8 (N, 300, 300, 3) RGB to encodings float32 (N, 1917, 4) and scores float32 (N, 1917, 91)."""
        x = pictures.permute(0, 3, 1, 2).to(self.stem.weight.dtype) * (2 / 255) - 1
        features = self._features(x)
        batch = pictures.shape[0]
        encodings = [predict(f).reshape(batch, -1, 4) for predict, f in zip(self.box_predictors, features, strict=True)]
        logits = [predict(f).reshape(batch, -1, CLASSES) for predict, f in zip(self.class_predictors, features, strict=True)]
        return torch.cat(encodings, 1).float(), torch.sigmoid(torch.cat(logits, 1).float())

    def _features(self, x: Tensor) -> list[Tensor]:
        features = []
        x = functional.relu6(self.stem(x))
        for index, block in enumerate(self.blocks):
            x, wide = block(x)
            if index == _FEATURE_BLOCK:
                features.append(wide)
        features.append(functional.relu6(self.last(x)))
        for extra in self.extras:
            features.append(extra(features[-1]))
        return features


def from_tensorflow(weights: Weights) -> SsdLite:
    """The network with the weights of the TF.js graph, by their names there; shapes are TensorFlow's (height, width, in, out).

    Raises:
        KeyError: a weight is missing.
        RuntimeError: one has another shape.
    """
    network = SsdLite()
    convert = _Converter(weights)
    state: dict[str, Tensor] = convert.merged("stem", "Conv")
    for i, block in enumerate(network.blocks):
        name = f"expanded_conv_{i}" if i else "expanded_conv"
        if block.expand is not None:
            state |= convert.merged(f"blocks.{i}.expand", f"{name}/expand")
        state |= convert.scaled(f"blocks.{i}.depthwise", f"{name}/depthwise", f"{name}/depthwise/depthwise_weights")
        state |= convert.merged(f"blocks.{i}.project", f"{name}/project")
    state |= convert.merged("last", "Conv_1")
    for i, (between, out) in enumerate(_EXTRA_LAYERS):
        narrow, widen = f"layer_19_1_Conv2d_{i + 2}_1x1_{between}", f"layer_19_2_Conv2d_{i + 2}_3x3_s2_{out}"
        state |= convert.merged(f"extras.{i}.narrow", narrow)
        state |= convert.scaled(f"extras.{i}.depthwise", f"{widen}_depthwise", f"{widen}_depthwise/depthwise_weights")
        state |= convert.merged(f"extras.{i}.widen", widen)
    for i in range(len(_FEATURES)):
        state |= convert.predictor(f"box_predictors.{i}", f"BoxPredictor_{i}/BoxEncodingPredictor")
        state |= convert.predictor(f"class_predictors.{i}", f"BoxPredictor_{i}/ClassPredictor")
    network.load_state_dict(state)
    return network.eval()


class _Converter:
    """TensorFlow's weights under torch's names and in torch's order, batch norms folded in."""

    def __init__(self, weights: Weights) -> None:
        self._weights = weights

    def merged(self, name: str, source: str) -> dict[str, Tensor]:
        """A convolution whose scale the graph has folded in already."""
        bias = self._weights[f"{_EXTRACTOR}/{source}/BatchNorm/batchnorm/sub"]
        return _conv(name, self._weights[f"{_EXTRACTOR}/{source}/Conv2D/merged_input"].transpose(3, 2, 0, 1), bias)

    def scaled(self, name: str, source: str, kernel: str) -> dict[str, Tensor]:
        """A depthwise convolution, followed by its own scale."""
        scale = self._weights[f"{_EXTRACTOR}/{source}/BatchNorm/batchnorm/mul"]
        bias = self._weights[f"{_EXTRACTOR}/{source}/BatchNorm/batchnorm/sub"]
        return _conv(name, self._depthwise(f"{_EXTRACTOR}/{kernel}") * scale[:, None, None, None], bias)

    def predictor(self, name: str, source: str) -> dict[str, Tensor]:
        """A predictor: a depthwise convolution with a whole batch norm, and a plain one."""
        norm = f"{source}_depthwise/BatchNorm"
        gamma, beta, mean, variance = (
            self._weights[f"{norm}/{part}"] for part in ("gamma", "beta", "moving_mean", "moving_variance")
        )
        scale = gamma / np.sqrt(variance + _PREDICTOR_EPSILON)
        kernel = self._depthwise(f"{source}_depthwise/depthwise_weights") * scale[:, None, None, None]
        pointwise = self._weights[f"{source}/weights"].transpose(3, 2, 0, 1)
        return {
            **_conv(f"{name}.depthwise", kernel, beta - mean * scale),
            **_conv(f"{name}.pointwise", pointwise, self._weights[f"{source}/biases"]),
        }

    def _depthwise(self, name: str) -> npt.NDArray[np.float32]:
        return self._weights[name].transpose(2, 3, 0, 1)


def _conv(name: str, kernel: npt.NDArray[np.float32], bias: npt.NDArray[np.float32]) -> dict[str, Tensor]:
    return {
        f"{name}.weight": torch.from_numpy(np.array(kernel, np.float32)),
        f"{name}.bias": torch.from_numpy(np.array(bias, np.float32)),
    }
