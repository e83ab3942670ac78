"""The phones that can be simulated: what they say of themselves, and in whose words ``dumpsys`` answers.

Names and properties are those of real models, so that a client meets what it will meet; ``ro.qsr_edge.simulator`` tells
that this is none.
"""

from dataclasses import dataclass, field
from pathlib import Path

SAMPLES = Path(__file__).resolve().parents[2] / "unit" / "bench" / "dumpsys"

SIMULATOR_PROPERTY = "ro.qsr_edge.simulator"


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A model of phone.

    Args:
        serial: Of ``ro.serialno``; adb names a phone on loopback by its address all the same.
        battery_sample: File below ``SAMPLES`` that ``dumpsys battery`` follows.
        thermal_sample: The same of ``dumpsys thermalservice``.
        other: More properties.
    """

    brand: str
    manufacturer: str
    model: str
    product: str
    device: str
    serial: str
    soc_manufacturer: str
    soc_model: str
    hardware: str
    cores: int
    android: str
    sdk: int
    build: str
    battery_sample: str
    thermal_sample: str
    other: dict[str, str] = field(default_factory=dict)

    def properties(self) -> dict[str, str]:
        return {
            "ro.build.display.id": self.build,
            "ro.build.fingerprint": f"{self.brand}/{self.product}/{self.device}:{self.android}/{self.build}/1:user",
            "ro.build.version.release": self.android,
            "ro.build.version.sdk": str(self.sdk),
            "ro.hardware": self.hardware,
            "ro.product.board": self.device,
            "ro.product.brand": self.brand,
            "ro.product.cpu.abi": "arm64-v8a",
            "ro.product.cpu.abilist": "arm64-v8a",
            "ro.product.device": self.device,
            "ro.product.manufacturer": self.manufacturer,
            "ro.product.model": self.model,
            "ro.product.name": self.product,
            "ro.serialno": self.serial,
            "ro.soc.manufacturer": self.soc_manufacturer,
            "ro.soc.model": self.soc_model,
            "sys.boot_completed": "1",
            SIMULATOR_PROPERTY: "1",
            **self.other,
        }


PIXEL = Model(
    brand="google",
    manufacturer="Google",
    model="Pixel 8 Pro",
    product="husky",
    device="husky",
    serial="3A051FDJG000SM",
    soc_manufacturer="Google",
    soc_model="Tensor G3",
    hardware="husky",
    cores=9,
    android="14",
    sdk=34,
    build="AP1A.240405.002",
    battery_sample="battery_pixel_android14.txt",
    thermal_sample="thermal_pixel_android14.txt",
    other={"ro.boot.hardware.platform": "zuma"},
)
SAMSUNG = Model(
    brand="samsung",
    manufacturer="samsung",
    model="SM-G991B",
    product="o1sxeea",
    device="o1s",
    serial="R5CR10000SM",
    soc_manufacturer="Samsung",
    soc_model="s5e9840",
    hardware="exynos2100",
    cores=8,
    android="12",
    sdk=31,
    build="SP1A.210812.016",
    battery_sample="battery_samsung_android12.txt",
    thermal_sample="thermal_samsung_android12.txt",
    other={"ro.board.platform": "universal2100_r"},
)
# Android 11 had no ro.soc.*: a client has to make do with the platform.
XIAOMI = Model(
    brand="Xiaomi",
    manufacturer="Xiaomi",
    model="M2102J20SG",
    product="vayu_global",
    device="vayu",
    serial="a1b2000sm",
    soc_manufacturer="",
    soc_model="",
    hardware="qcom",
    cores=8,
    android="11",
    sdk=30,
    build="RKQ1.200826.002",
    battery_sample="battery_xiaomi_android11.txt",
    thermal_sample="thermal_xiaomi_android11.txt",
    other={"ro.board.platform": "msmnile", "ro.miui.ui.version.name": "V125"},
)

MODELS = {"pixel": PIXEL, "samsung": SAMSUNG, "xiaomi": XIAOMI}
