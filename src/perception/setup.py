"""Install the library, its executables, and the top-level launch/ and config/ folders."""

from pathlib import Path

from setuptools import find_packages, setup

PACKAGE = "perception"
HERE = Path(__file__).parent
# Relative on purpose: colcon's symlink install links data files by the path given here.
TOP = Path("../..")


def data_files():
    """Every file below the top-level launch/ and config/, each under share/perception/<its own folder>."""
    entries = [
        ("share/ament_index/resource_index/packages", [f"resource/{PACKAGE}"]),
        (f"share/{PACKAGE}", ["package.xml"]),
    ]
    for folder in ("launch", "config"):
        by_folder = {}
        for file in sorted((HERE / TOP / folder).rglob("*")):
            if file.is_file() and "__pycache__" not in file.parts:
                relative = file.relative_to(HERE / TOP)
                by_folder.setdefault(relative.parent, []).append(str(TOP / relative))
        entries += [(f"share/{PACKAGE}/{parent}", files) for parent, files in by_folder.items()]
    return entries


setup(
    name=PACKAGE,
    version="0.1.0",
    packages=find_packages(include=[PACKAGE, f"{PACKAGE}.*"]),
    package_data={PACKAGE: ["py.typed", "evaluation/report/templates/*"]},
    data_files=data_files(),
    python_requires=">=3.10",
    install_requires=["setuptools"],
    zip_safe=False,
    maintainer="The perception maintainers",
    maintainer_email="perception@example.com",
    description="3D perception for edge devices, as ROS 2 nodes and a library",
    license="Apache-2.0",
    entry_points={
        "console_scripts": [
            "perception = perception.cli:main",
            # The names that `ros2 run perception <name>` and the launch file use.
            "segmentation = perception.nodes.segmentation:main",
            "detection = perception.nodes.detection:main",
            "container = perception.nodes.container:main",
            "replay = perception.nodes.replay:main",
        ],
        # What can execute a bundle, by the name in its bundle.yaml; loaded only when a bundle asks for it.
        "perception.engines": [
            "torch = perception.models.engine:TorchSegmentationEngine",
        ],
    },
)
