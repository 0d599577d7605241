"""The parameters of every node."""

from __future__ import annotations

from dataclasses import replace

from perception.ros.class_scores import problem_with_scores
from perception.ros.parameters import ParameterRow

BUNDLE = ParameterRow(
    "bundle",
    "spvcnn_street",
    "The network: a bundle's folder, or its name in config/models; the service `~/load_bundle` changes it at once.",
    takes_effect="on configure",
)
#: Where and how the network runs.
NETWORK = (
    ParameterRow(
        "device",
        "cpu",
        "Where the network runs: cpu, cuda, or cuda:N for the GPU number N.",
        takes_effect="on configure",
    ),
    ParameterRow(
        "threads",
        0,
        "CPU threads of the network; 0: as OMP_NUM_THREADS says, else one for each core.",
        minimum=0,
        maximum=256,
        takes_effect="on configure",
    ),
    ParameterRow(
        "engine_cache",
        "",
        "Folder for built TensorRT engines; empty: $PERCEPTION_ENGINE_CACHE, else a folder in the user's cache.",
        takes_effect="on configure",
    ),
    ParameterRow(
        "engine_settings",
        "",
        "YAML file that says how TensorRT engines are built, such as `precision: fp16`; empty: "
        "$PERCEPTION_ENGINE_SETTINGS, else as exported.",
        takes_effect="on configure",
    ),
    ParameterRow("autostart", False, "Configure and activate without being asked to.", takes_effect="at start"),
)
#: How clouds are received and read.
CLOUDS = (
    ParameterRow(
        "input_reliability",
        "best_effort",
        "Reliability of the subscription to `~/input/pointcloud`.",
        choices=("best_effort", "reliable"),
        takes_effect="on activate",
    ),
    ParameterRow(
        "intensity_scale",
        0.0,
        "Factor that brings intensity to 0..1; 0 chooses by type: 1 for floats, 1/255 for uint8, 1/65535 for uint16.",
        minimum=0.0,
        maximum=1e6,
    ),
    ParameterRow(
        "intensity_if_missing",
        -1.0,
        "Intensity (0..1) of every point of a cloud without that field; negative refuses such clouds.",
        minimum=-1.0,
        maximum=1.0,
    ),
)
ALWAYS_RUN = ParameterRow("always_run", False, "Run the network even while nobody subscribes to its results.")

#: When /diagnostics calls a frame late.
LATENCY = (
    ParameterRow(
        "max_processing_time_ms",
        100.0,
        "/diagnostics warns when a frame takes longer from the start of decoding to publication.",
        minimum=1.0,
        maximum=60_000.0,
    ),
    ParameterRow(
        "max_consecutive_delay_ms",
        1000.0,
        "/diagnostics reports an error when every frame has been late for longer than this.",
        minimum=0.0,
        maximum=600_000.0,
    ),
)

SEGMENTATION = (
    BUNDLE,
    *NETWORK,
    *CLOUDS,
    ParameterRow(
        "max_points",
        300_000,
        "Points of a cloud, in order, that are labelled; those beyond get class 255 and are counted.",
        minimum=1,
        maximum=10_000_000,
    ),
    ALWAYS_RUN,
    ParameterRow(
        "palette",
        "bundle",
        "Colours of the visualization cloud: the bundle's, ones that differ for colour-blind eyes too, or the "
        "probability (dark red 0, white 1).",
        choices=("bundle", "color_blind", "probability"),
    ),
    ParameterRow(
        "filtered_classes",
        ("",),
        "Names of the classes whose points the filtered cloud leaves out.",
    ),
    ParameterRow(
        "filter_min_probability",
        0.0,
        "A point is left out of the filtered cloud only when its class is at least this probable.",
        minimum=0.0,
        maximum=1.0,
    ),
    *LATENCY,
)

DETECTION = (
    replace(BUNDLE, default="flatformer_street"),
    *NETWORK,
    *CLOUDS,
    ParameterRow(
        "max_points",
        300_000,
        "Points of a cloud, in order, that the network sees; those beyond are counted.",
        minimum=1,
        maximum=10_000_000,
    ),
    ALWAYS_RUN,
    ParameterRow("classes", ("",), "Names of the classes of which objects are published; none: all."),
    ParameterRow(
        "min_score",
        0.0,
        "Objects score at least this; those below the bundle's own limit are never found.",
        minimum=0.0,
        maximum=1.0,
    ),
    ParameterRow(
        "class_min_scores",
        ("",),
        "The same for single classes, instead of `min_score`, such as `car=0.4`.",
        check=problem_with_scores,
    ),
    ParameterRow(
        "max_range_m",
        0.0,
        "Objects are at most this far from the sensor, seen from above; 0: at any distance.",
        minimum=0.0,
        maximum=1000.0,
    ),
    ParameterRow("output_frame", "", "tf frame in which objects are published; none: that of the cloud."),
    ParameterRow(
        "fixed_frame",
        "odom",
        "tf frame that stands still in the world: networks of several sweeps see past clouds through it.",
    ),
    ParameterRow(
        "max_sweep_age_s",
        0.5,
        "Past clouds that are older than this, compared with the newest, are no sweeps of it.",
        minimum=0.0,
        maximum=10.0,
    ),
    ParameterRow(
        "max_transform_wait_ms",
        20.0,
        "For how long a cloud may wait for its transform, where one is needed.",
        minimum=0.0,
        maximum=1000.0,
    ),
    ParameterRow(
        "palette",
        "bundle",
        "Colours of the markers: the bundle's, or ones that differ for colour-blind eyes too.",
        choices=("bundle", "color_blind"),
    ),
    ParameterRow(
        "marker_lifetime_s",
        0.5,
        "After which markers disappear where no new ones come; 0: never.",
        minimum=0.0,
        maximum=60.0,
    ),
    *LATENCY,
)

TABLES: dict[str, tuple[ParameterRow, ...]] = {"detection": DETECTION, "segmentation": SEGMENTATION}
