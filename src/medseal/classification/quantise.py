"""From an ONNX graph to one of 8 bits: ways to fit its scales, and the graph by one of them."""

from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from medseal.classification.onnx_graph import INPUT, quiet
from medseal.classification.onnx_stem import fold_stem
from medseal.errors import ConfigurationError
from medseal.weights.engine import without_telemetry

if TYPE_CHECKING:
    import onnx

__all__ = ["RECIPES", "Recipe", "quantised"]

# Where the range of an activation ends, and whether biases make up for the mean error. Mean: at
# the mean of the extremes of each image, and they do. Trimmed: at the extremes of all images after
# one of 10,000 values of each was left out on either side, and they do not.
Recipe = Literal["mean-range", "trimmed-range"]
# In the order in which an export tries them; the time of an image is the same with all.
RECIPES: tuple[Recipe, ...] = get_args(Recipe)
_TRIMMED = 1e-4
_GREY_NDIM = 3


def quantised(
    graph: "onnx.ModelProto", images: NDArray[np.uint8] | None, *, recipe: Recipe = RECIPES[0]
) -> "onnx.ModelProto":
    """Return the graph with weights and activations of 8 bits, scales fitted to `images`.

    Parameters
    ----------
    graph
        As `to_onnx` returns it; left as it is.
    images
        Standardised training images, (n, rows, columns) or (n, rows, columns, 3).
    recipe
        How.

    Raises
    ------
    ConfigurationError
        No images, or NNCF is not installed.
    """
    if images is None or len(images) == 0:
        raise ConfigurationError("int8 needs training images to fit its scales on")
    without_telemetry()
    try:
        import nncf  # noqa: PLC0415  # optional
    except ImportError as error:
        raise ConfigurationError("nncf is needed: pip install 'medseal[export]'") from error
    folded = type(graph)()
    folded.CopyFrom(graph)
    if images.ndim == _GREY_NDIM:
        fold_stem(folded, images)
    inputs = [{INPUT: images[i : i + 1]} for i in range(len(images))]
    with quiet():
        result: onnx.ModelProto = nncf.quantize(
            folded,
            nncf.Dataset(inputs),
            preset=nncf.QuantizationPreset.MIXED,
            subset_size=len(inputs),
            advanced_parameters=_parameters(recipe),
        )
    return result


def _parameters(recipe: Recipe) -> Any:
    """Return what NNCF is told beyond its defaults."""
    from nncf.quantization import advanced_parameters, range_estimator  # noqa: PLC0415  # optional

    if recipe == "mean-range":
        return None
    ends = {
        end: range_estimator.StatisticsCollectorParameters(
            statistics_type=range_estimator.StatisticsType.QUANTILE,
            aggregator_type=kind,
            quantile_outlier_prob=_TRIMMED,
        )
        for end, kind in (
            ("min", range_estimator.AggregatorType.MIN),
            ("max", range_estimator.AggregatorType.MAX),
        )
    }
    ranges = range_estimator.RangeEstimatorParameters(**ends)
    return advanced_parameters.AdvancedQuantizationParameters(
        activations_range_estimator_params=ranges, disable_bias_correction=True
    )
