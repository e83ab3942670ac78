"""Scenarios: what a phone goes through, as TOML."""

from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from qsr_edge.codec import Decoder
from qsr_edge.errors import PolicyError
from qsr_edge.simulation.phone import Conditions

MAX_SECONDS = 6 * 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """Some time with the same conditions.

    Attributes:
        seconds: how long.
        ambient_c: temperature of the air.
        sun_w: heat absorbed from the sun.
        other_w: power of all but the network.
        charging_w: power that comes in.
        power_save: whether the user asked to save power.
    """

    seconds: int
    ambient_c: float
    sun_w: float = 0.0
    other_w: float
    charging_w: float = 0.0
    power_save: bool = False

    @property
    def conditions(self) -> Conditions:
        """What acts on the phone."""
        return Conditions(ambient_c=self.ambient_c, sun_w=self.sun_w, other_w=self.other_w, charging_w=self.charging_w)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A course of phases.

    Attributes:
        name: what it is called.
        description: one line.
        width_px: of the input of a frame.
        height_px: of the input of a frame.
        frames_per_second: that come in; each must be done before the next. 0: frames are waiting, one after another.
        skin_c: at the beginning.
        battery_percent: at the beginning.
        device_speed: of this phone relative to the bundle's latency table; 2 is twice as fast.
        phases: in order.
    """

    name: str
    description: str
    width_px: int
    height_px: int
    frames_per_second: int
    skin_c: float
    battery_percent: float
    device_speed: float = 1.0
    phases: tuple[Phase, ...]

    def __post_init__(self) -> None:
        """Refuse what cannot be simulated.

        Raises:
            PolicyError: naming the value.
        """
        seconds = sum(phase.seconds for phase in self.phases)
        for value, low, high, what in (
            (self.width_px, 1, 8192, "width_px"),
            (self.height_px, 1, 8192, "height_px"),
            (self.frames_per_second, 0, 240, "frames_per_second"),
            (self.skin_c, -20, 60, "skin_c"),
            (self.battery_percent, 0, 100, "battery_percent"),
            (self.device_speed, 0.01, 100, "device_speed"),
            (seconds, 1, MAX_SECONDS, "seconds of all phases"),
        ):
            if not low <= value <= high:
                raise PolicyError(f"scenario {self.name}: {what} = {value}, expected {low} to {high}")
        for phase in self.phases:
            for value, low, high, what in (
                (phase.seconds, 1, MAX_SECONDS, "seconds"),
                (phase.ambient_c, -20, 60, "ambient_c"),
                (phase.sun_w, 0, 20, "sun_w"),
                (phase.other_w, 0, 20, "other_w"),
                (phase.charging_w, 0, 100, "charging_w"),
            ):
                if not low <= value <= high:
                    raise PolicyError(f"scenario {self.name}: {what} = {value}, expected {low} to {high}")

    @property
    def seconds(self) -> int:
        """How long it takes."""
        return sum(phase.seconds for phase in self.phases)

    def phase_at(self, second: int) -> Phase:
        """The phase that a second lies in."""
        for phase in self.phases:
            if second < phase.seconds:
                return phase
            second -= phase.seconds
        return self.phases[-1]


def scenario_names() -> tuple[str, ...]:
    """Names of the bundled scenarios."""
    folder = resources.files("qsr_edge.simulation") / "scenarios"
    return tuple(sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml")))


def read_scenario(name: str) -> Scenario:
    """A bundled scenario by name, or a file by path (anything that ends in ``.toml``).

    Raises:
        PolicyError: for an unknown name, bad TOML, unknown or missing keys, wrong types or values out of range.
        OSError: if the file cannot be read.
    """
    if name.endswith(".toml"):
        content = Path(name).read_bytes()
    elif name in scenario_names():
        content = (resources.files("qsr_edge.simulation") / "scenarios" / f"{name}.toml").read_bytes()
    else:
        raise PolicyError(
            f"no scenario is called {name!r}; give one of {', '.join(scenario_names())}, or the path of a .toml file"
        )
    decoder = Decoder(error=PolicyError)
    return decoder.decode(Scenario, decoder.parse_toml(content, name), name)
