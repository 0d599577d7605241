"""Figures of boards, from trees as their Linux shows them, and of GPUs, from a made-up NVML."""

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from perception.runtime.device import figures, jetson, nvml
from perception.runtime.device.figures import DeviceFigures, read_device, read_figures

MEMINFO = "MemTotal:        {total} kB\nMemFree:          100000 kB\nMemAvailable:    {available} kB\nBuffers: 5 kB\n"
NVPMODEL = """# POWER_MODEL: ID=9 NAME=COMMENT
< PARAM TYPE=FILE NAME=CPU_ONLINE >
CORE_0 /sys/devices/system/cpu/cpu0/online

< POWER_MODEL ID=0 NAME={0} >
CPU_ONLINE CORE_0 1
GPU MAX_FREQ -1

< POWER_MODEL ID=1 NAME={1} >
GPU MAX_FREQ 640000000

< POWER_MODEL ID=2 NAME={2} >
# mandatory section to configure the default mode
< PM_CONFIG DEFAULT=1 >
"""


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def link(root: Path, name: str, target: str) -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).symlink_to(root / target)


@pytest.fixture
def orin_agx(tmp_path: Path) -> Path:
    """JetPack 5: the GPU is called ga10b, rails come from the kernel's ina3221, the module's input is not measured."""
    gpu = "sys/devices/17000000.ga10b"
    rails = {
        f"sys/class/hwmon/hwmon3/{kind}": value
        for kind, value in {
            "name": "ina3221\n", "in1_label": "VDD_GPU_SOC\n", "in1_input": "19944\n", "curr1_input": "320\n",
            "in2_label": "VDD_CPU_CV\n", "in2_input": "19944\n", "curr2_input": "40\n",
            "in3_label": "VIN_SYS_5V0\n", "in3_input": "4968\n", "curr3_input": "760\n",
            "in7_label": "Sum of shunt voltages\n", "in7_input": "9\n", "curr4_input": "1120\n",
        }.items()
    }  # fmt: skip
    write(tmp_path, rails | {
        "proc/device-tree/model": "NVIDIA Jetson AGX Orin Developer Kit\0",
        "proc/meminfo": MEMINFO.format(total=31_400_000, available=20_000_000),
        "sys/class/hwmon/hwmon4/name": "ina3221\n",
        "sys/class/hwmon/hwmon4/in1_label": "NC\n", "sys/class/hwmon/hwmon4/in1_input": "0\n",
        "sys/class/hwmon/hwmon4/curr1_input": "0\n",
        "sys/class/hwmon/hwmon4/in2_label": "VDDQ_VDD2_1V8AO\n", "sys/class/hwmon/hwmon4/in2_input": "4968\n",
        "sys/class/hwmon/hwmon4/curr2_input": "80\n",
        "sys/class/hwmon/hwmon0/name": "pwmfan\n", "sys/class/hwmon/hwmon0/in1_label": "VDD_IN\n",
        "sys/class/thermal/thermal_zone0/type": "CPU-therm\n", "sys/class/thermal/thermal_zone0/temp": "48000\n",
        "sys/class/thermal/thermal_zone1/type": "GPU-therm\n", "sys/class/thermal/thermal_zone1/temp": "44593\n",
        f"{gpu}/load": "370\n", f"{gpu}/devfreq/17000000.ga10b/cur_freq": "1300500000\n",
        f"{gpu}/devfreq/17000000.ga10b/max_freq": "1300500000\n",
        "sys/devices/15340000.vic/devfreq/15340000.vic/cur_freq": "115200000\n",
        "etc/nvpmodel.conf": NVPMODEL.format("MAXN", "MODE_15W", "MODE_30W"),
        "var/lib/nvpmodel/status": "pmode:0000\nfmode:quiet\n",
    })  # fmt: skip
    for name, device in (("17000000.ga10b", gpu), ("15340000.vic", "sys/devices/15340000.vic")):
        link(tmp_path, f"{device}/devfreq/{name}/device", device)
        link(tmp_path, f"sys/class/devfreq/{name}", f"{device}/devfreq/{name}")
    return tmp_path


@pytest.fixture
def orin_nano(tmp_path: Path) -> Path:
    """JetPack 6: the GPU is called gpu on a bus, the module's input is measured, the GPU sleeps."""
    gpu = "sys/devices/platform/bus@0/17000000.gpu"
    write(tmp_path, {
        "proc/device-tree/model": "NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super\0",
        "proc/meminfo": MEMINFO.format(total=7_800_000, available=5_800_000),
        "sys/class/hwmon/hwmon1/name": "ina3221\n",
        "sys/class/hwmon/hwmon1/in1_label": "VDD_IN\n", "sys/class/hwmon/hwmon1/in1_input": "4960\n",
        "sys/class/hwmon/hwmon1/curr1_input": "1200\n",
        "sys/class/hwmon/hwmon1/in2_label": "VDD_CPU_GPU_CV\n", "sys/class/hwmon/hwmon1/in2_input": "4960\n",
        "sys/class/hwmon/hwmon1/curr2_input": "200\n",
        "sys/class/thermal/thermal_zone1/type": "gpu-thermal\n", "sys/class/thermal/thermal_zone1/temp": "-256000\n",
        f"{gpu}/load": "0\n", f"{gpu}/devfreq/17000000.gpu/cur_freq": "306000000\n",
        f"{gpu}/devfreq/17000000.gpu/max_freq": "1020000000\n",
        "etc/nvpmodel.conf": NVPMODEL.format("15W", "25W", "MAXN_SUPER"),
        "var/lib/nvpmodel/status": "pmode:0002\n",
    })  # fmt: skip
    link(tmp_path, f"{gpu}/devfreq/17000000.gpu/device", gpu)
    link(tmp_path, "sys/class/devfreq/17000000.gpu", f"{gpu}/devfreq/17000000.gpu")
    return tmp_path


@pytest.fixture
def nano(tmp_path: Path) -> Path:
    """JetPack 4: rails in milliwatts by iio; the load lies at gpu.0; no mode was set since the start."""
    rails = "sys/bus/i2c/drivers/ina3221x/6-0040/iio:device0"
    write(tmp_path, {
        "etc/nv_tegra_release": "# R32 (release), REVISION: 7.1\n",
        "proc/meminfo": MEMINFO.format(total=4_059_000, available=1_059_000),
        f"{rails}/rail_name_0": "POM_5V_IN\n", f"{rails}/in_power0_input": "2875\n",
        f"{rails}/rail_name_1": "POM_5V_GPU\n", f"{rails}/in_power1_input": "300\n",
        "sys/class/thermal/thermal_zone0/type": "AO-therm\n", "sys/class/thermal/thermal_zone0/temp": "39500\n",
        "sys/class/thermal/thermal_zone10/type": "GPU-other\n", "sys/class/thermal/thermal_zone10/temp": "99000\n",
        "sys/class/thermal/thermal_zone2/type": "GPU-therm\n", "sys/class/thermal/thermal_zone2/temp": "30500\n",
        "sys/class/devfreq/57000000.gpu/cur_freq": "76800000\n",
        "sys/class/devfreq/57000000.gpu/max_freq": "921600000\n",
        "sys/devices/gpu.0/load": "125\n",
        "etc/nvpmodel.conf": NVPMODEL.format("MAXN", "5W", "OTHER"),
    })  # fmt: skip
    return tmp_path


def test_orin_agx(orin_agx):
    watts = (19944 * 320 + 19944 * 40 + 4968 * 760 + 4968 * 80) / 1e6
    assert read_figures(root=orin_agx) == DeviceFigures(
        name="NVIDIA Jetson AGX Orin Developer Kit",
        memory_total_bytes=31_400_000 << 10,
        memory_used_bytes=11_400_000 << 10,
        temperature_c=44.593,
        power_w=pytest.approx(watts),
        load=0.37,
        clock_mhz=1300.5,
        clock_limit_mhz=1300.5,
        power_mode="MAXN",
    )


def test_orin_nano(orin_nano):
    assert read_figures(root=orin_nano) == DeviceFigures(
        name="NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super",
        memory_total_bytes=7_800_000 << 10,
        memory_used_bytes=2_000_000 << 10,
        temperature_c=None,
        power_w=pytest.approx(4.96 * 1.2),
        load=0.0,
        clock_mhz=306.0,
        clock_limit_mhz=1020.0,
        power_mode="MAXN_SUPER",
    )


def test_nano(nano):
    assert read_figures(root=nano) == DeviceFigures(
        name=None,
        memory_total_bytes=4_059_000 << 10,
        memory_used_bytes=3_000_000 << 10,
        temperature_c=30.5,
        power_w=2.875,
        load=0.125,
        clock_mhz=76.8,
        clock_limit_mhz=921.6,
        power_mode="5W",
    )


def test_what_is_missing_or_garbled_is_none(tmp_path, nano):
    assert read_figures(root=tmp_path / "nowhere") == DeviceFigures()
    write(tmp_path, {
        "proc/meminfo": "MemTotal: lots\n",
        "sys/class/thermal/thermal_zone2/temp": "\n",
        "sys/class/thermal/thermal_zone10/temp": "warm\n",
        "sys/class/devfreq/57000000.gpu/cur_freq": "",
        "sys/bus/i2c/drivers/ina3221x/6-0040/iio:device0/in_power0_input": "garbage",
        "sys/bus/i2c/drivers/ina3221x/6-0040/iio:device0/rail_name_1": "",
        "var/lib/nvpmodel/status": "pmode:0007\n",
    })  # fmt: skip
    (tmp_path / "sys/devices/gpu.0/load").unlink()
    assert read_figures(root=tmp_path) == DeviceFigures(clock_limit_mhz=921.6)


class FakeNvml(ModuleType):
    """As much of NVML as is used; a GPU that does not know its power."""

    NVML_TEMPERATURE_GPU, NVML_CLOCK_GRAPHICS = 0, 0

    class NVMLError(Exception):
        pass

    def nvmlInit(self):  # noqa: N802 - as NVML calls it
        if self.broken:
            raise self.NVMLError

    broken = False

    def __getattr__(self, name):
        def refuse(*_):
            raise self.NVMLError

        answers = {
            "nvmlDeviceGetHandleByIndex": lambda index: index if index < 2 else refuse(),
            "nvmlDeviceGetHandleByPciBusId": lambda bus: {b"0000:01:00.0": 1}.get(bus) or refuse(),
            "nvmlDeviceGetName": lambda gpu: ["GPU 0", b"GPU 1"][gpu],
            "nvmlDeviceGetMemoryInfo": lambda gpu: SimpleNamespace(total=8 << 30, used=1 << 30),
            "nvmlDeviceGetTemperature": lambda gpu, sensor: 51,
            "nvmlDeviceGetPowerUsage": refuse,
            "nvmlDeviceGetUtilizationRates": lambda gpu: SimpleNamespace(gpu=40),
            "nvmlDeviceGetClockInfo": lambda gpu, kind: 1200,
            "nvmlDeviceGetMaxClockInfo": lambda gpu, kind: 1980,
        }
        if name not in answers:
            raise AttributeError(name)
        return answers[name]


@pytest.fixture
def fake_nvml(monkeypatch: pytest.MonkeyPatch) -> FakeNvml:
    fake = FakeNvml("pynvml")
    monkeypatch.setitem(sys.modules, "pynvml", fake)
    nvml._library.cache_clear()
    yield fake
    nvml._library.cache_clear()


def test_a_gpu_by_nvml(fake_nvml, monkeypatch):
    monkeypatch.setattr(jetson, "is_jetson", lambda root: False)
    expected = DeviceFigures("GPU 0", 8 << 30, 1 << 30, 51.0, None, 0.4, 1200.0, 1980.0, None)
    assert read_figures() == expected
    assert read_figures(0, "0000:01:00.0").name == "GPU 1"
    assert read_figures(5) == read_figures(0, "0000:09:00.0") == DeviceFigures()


def test_a_board_is_asked_first(fake_nvml, monkeypatch, orin_nano):
    monkeypatch.setattr(jetson, "is_jetson", lambda root: True)
    monkeypatch.setattr(jetson, "read", lambda root, read=jetson.read: read(orin_nano))
    found = figures.read_figures()
    assert found.memory_total_bytes == 7_800_000 << 10
    assert found.temperature_c == 51.0


def test_without_nvml_there_are_no_figures(fake_nvml, monkeypatch):
    monkeypatch.setattr(jetson, "is_jetson", lambda root: False)
    fake_nvml.broken = True
    assert read_figures() == DeviceFigures()
    nvml._library.cache_clear()
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert read_figures() == DeviceFigures()


@pytest.mark.parametrize(
    ("device", "on_jetson", "asked"),
    [("cpu", False, None), ("cpu", True, 0), ("cuda", False, 0), ("cuda:2", False, 2), ("tpu", True, None)],
)
def test_which_device_is_asked(monkeypatch, device, on_jetson, asked):
    calls = []

    def read_figures(index=0, root=None):
        calls.append(index)
        return DeviceFigures(load=0.5)

    monkeypatch.setattr(figures, "read_figures", read_figures)
    monkeypatch.setattr(jetson, "is_jetson", lambda root: on_jetson)
    assert read_device(device) == (DeviceFigures() if asked is None else DeviceFigures(load=0.5))
    assert calls == ([] if asked is None else [asked])
