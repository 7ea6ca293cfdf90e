"""The figures that were asked for, and where each stands among the results."""

from dataclasses import dataclass

__all__ = ["TARGETS", "Target"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A figure that was asked for.

    Attributes
    ----------
    text
        In words.
    result, path
        Where it stands; a mapping there counts as the sum of its values.
    least, most
        Bounds, either may be None.
    """

    text: str
    result: str
    path: str
    least: float | None = None
    most: float | None = None


# Model, part and figure of the classification result, with the least that was asked.
_CLASSIFIERS = (
    ("brain-mri", "five-layer-cnn-brain-mri", "inside", "accuracy", 0.92),
    ("brain-mri", "efficientnet-lite0-brain-mri", "inside", "accuracy", 0.97),
    ("chest-xray", "efficientnet-lite0-chest-xray-without-nih", "inside", "accuracy", 0.95),
    ("skin", "efficientnet-lite0-skin", "inside", "accuracy", 0.85),
    *(
        (name, f"{method}-{name}-without-{source}", "other_sources", "balanced_accuracy", least)
        for name, method, sources, least in (
            ("chest-xray", "side-comparison", ("kermany", "nih"), 0.75),
            ("fundus-dr", "efficientnet-lite0", ("kaggle", "idrid"), 0.80),
        )
        for source in sources
    ),
)
TARGETS = (
    Target(text="kill -9 during seal: rounds", result="crash", path="rounds", least=200),
    Target(
        text="kill -9 during seal: promises broken", result="crash", path="broken_promises", most=0
    ),
    Target(
        text="sealed, then opened: files that differ",
        result="roundtrip",
        path="sealed_and_opened.different_count",
        most=0,
    ),
    Target(
        text="durable receipt, median, ms",
        result="ledger",
        path="receipts.receipt.p50_ms",
        most=5,
    ),
    Target(
        text="durable receipt, 99th percentile, ms",
        result="ledger",
        path="receipts.receipt.p99_ms",
        most=25,
    ),
    *(
        Target(text=text, result="ledger", path=path, least=50_000)
        for text, path in (
            ("entries sealed a second, durable", "batches.batch_1024_events_per_second"),
            ("the same, of CPU time", "batches.batch_1024_events_per_cpu_second"),
            ("tree and proofs alone", "sealing.batch_1024_commitments_per_second"),
        )
    ),
    Target(
        text="offline verification in a log of a million, 99th percentile, ms",
        result="ledger",
        path="log.verify_offline.p99_ms",
        most=2,
    ),
    Target(
        text="seal of 1,000 images, times the plain loop",
        result="throughput",
        path="seal.ratio_of_totals",
        most=2,
    ),
    *(
        Target(
            text=f"{model}, {part.replace('_', ' ')}: {figure.replace('_', ' ')}",
            result="classification",
            path=f"data_sets.{name}.models.{model}.{part}.figures.{figure}.estimate",
            least=least,
        )
        for name, model, part, figure, least in _CLASSIFIERS
    ),
    *(
        Target(
            text=f"PneumoniaMNIST, official test, mean of three seeds: {figure}",
            result="pneumonia_mnist",
            path=f"mean.{figure}",
            least=least,
        )
        for figure, least in (("auroc", 0.975), ("accuracy", 0.91))
    ),
    Target(
        text="five-layer CNN, 3,000 images x 50 epochs at 224 pixels, minutes, from less",
        result="training_speed",
        path="minutes_for_3000_images_50_epochs",
        most=45,
    ),
    *(
        Target(text=text, result="watermark_robustness", path=path, least=least, most=most)
        for text, path, least, most in (
            (
                "watermark: PSNR of every large image, dB",
                "robustness.large.methods.medseal.quality.psnr_db.min",
                45.0,
                None,
            ),
            (
                "watermark: SSIM of every large image",
                "robustness.large.methods.medseal.quality.ssim.min",
                0.99,
                None,
            ),
            (
                "watermark, large images: conditions with fewer exact messages than asked",
                "robustness.large.asked.missed_count",
                None,
                0,
            ),
            (
                "watermark: wrong payloads read",
                "robustness.large.methods.medseal.wrong_payloads",
                None,
                0,
            ),
            (
                "watermark: seen in unmarked images",
                "false_positives.unmarked.accepted",
                None,
                0,
            ),
            (
                "watermark: seen with the wrong key",
                "false_positives.wrong_key.accepted",
                None,
                0,
            ),
            (
                "watermark: bound on taking one image for marked",
                "false_positives.unmarked.derived_bound_an_image",
                None,
                1e-6,
            ),
            (
                "watermark: images that removal does not restore",
                "removal.different_count",
                None,
                0,
            ),
            ("watermark, 512 x 512: embed, ms", "costs.512x512.embed_ms", None, 60),
            ("watermark, 512 x 512: extract, ms", "costs.512x512.extract_ms", None, 120),
            (
                "watermark, 512 x 512, turned by 5 degrees: extract, ms",
                "costs.512x512.extract_turned_by_5_ms",
                None,
                120,
            ),
            (
                "watermark, 4096 x 4096: peak memory of the process, MiB",
                "costs.4096x4096.memory_peak_mib",
                None,
                954,
            ),
        )
    ),
    *(
        Target(text=text, result="inference", path=path, least=least, most=most)
        for text, path, least, most in (
            (
                "five-layer CNN (8 bits), ms an image on one core",
                "five_layer.least_milliseconds",
                None,
                1.0,
            ),
            (
                "ResNet-50 as trained, in what the export gate lets pass, ms an image",
                "resnet50.least_milliseconds",
                None,
                10.0,
            ),
            (
                "JPEG file of 600 x 450 to probability, ms",
                "files_to_probability.jpeg_rgb_600x450.reduced_ms",
                None,
                2.2,
            ),
            (
                "JPEG 2000 of 12 bits, 1024 x 1024, to probability, ms",
                "files_to_probability.jpeg_2000.reduced_ms",
                None,
                14.0,
            ),
            (
                "two workers, times one (bfloat16)",
                "workers_images_a_second.bf16.ratio",
                1.7,
                None,
            ),
            (
                "100,000 JPEG files, minutes, from 20,000",
                "many_jpeg_files.minutes_for_100000",
                None,
                10.0,
            ),
        )
    ),
    *(
        Target(text=f"{name}: accepted", result="integrity", path=f"{path}.accepted", most=0)
        for name, path in (
            ("one bit flipped in a package", "package_bits"),
            ("package cut, reordered, with another's header", "package_cut_reordered_exchanged"),
            ("one bit flipped in a receipt", "receipt_bits"),
            ("one bit flipped in a checkpoint", "checkpoint_bits"),
        )
    ),
    Target(
        text="medseal --help, seconds, minimum",
        result="startup",
        path="help_seconds_minimum",
        most=0.5,
    ),
    Target(
        text="branches of the contract taken by its tests, %",
        result="contract_coverage",
        path="branch_percent",
        least=100,
    ),
    Target(
        text="faults of a network and kill -9: rounds",
        result="ledger_faults",
        path="rounds",
        least=200,
    ),
    Target(
        text="faults of a network and kill -9: promises broken",
        result="ledger_faults",
        path="broken_promises",
        most=0,
    ),
)
