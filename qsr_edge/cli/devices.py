"""``qsr-edge devices``."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from qsr_edge.bench.devices import discover
from qsr_edge.bench.discovery import DeviceOptions, Found
from qsr_edge.bench.protocol.condition import THERMAL_NAMES, Condition
from qsr_edge.bench.protocol.decoding import encode_device
from qsr_edge.bench.protocol.header import DeviceInfo
from qsr_edge.errors import BenchError


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    found: Found
    info: DeviceInfo | None
    condition: Condition | None
    state: str
    remedy: str


def _row(found: Found) -> _Row:
    if found.device is None or found.on_demand:
        return _Row(found=found, info=None, condition=None, state=found.state, remedy=found.remedy)
    try:
        info, condition = found.device.describe(), found.device.condition()
    except BenchError as error:
        return _Row(found=found, info=None, condition=None, state="out of reach", remedy=str(error))
    return _Row(found=found, info=info, condition=condition, state=found.state, remedy=found.remedy)


def _json(row: _Row) -> dict[str, object]:
    told = {"state": row.state, "remedy": row.remedy}
    if row.info is None or row.condition is None:
        return {"kind": row.found.kind, "id": row.found.id, "names": list(row.found.names), **told}
    known = encode_device(row.info)
    return {**known, "condition": row.condition.as_json(), **told}


def _cells(row: _Row) -> tuple[str, ...]:
    name = row.found.names[0] if row.found.names else ""
    if row.info is None or row.condition is None:
        return (row.found.id, name, "", "", "", "", row.state)
    info, now = row.info, row.condition
    battery = "" if now.battery_percent is None else f"{now.battery_percent} %"
    battery += " +" if battery and now.plugged_in else ""
    temperature_mc = now.temperature_mc if now.battery_temperature_mc is None else now.battery_temperature_mc
    heat = [] if temperature_mc is None else [f"{temperature_mc / 1000:.1f} °C"]
    heat += [] if now.thermal_status is None else [f"status {THERMAL_NAMES[now.thermal_status]}"]
    state = f"{row.state}, simulator" if info.simulator else row.state
    return (info.id, info.name, info.processor, info.system, battery, ", ".join(heat), state)


@click.command("devices")
@click.option("--adb", type=click.Path(path_type=Path), help="The adb program.  [of ANDROID_HOME, or on the PATH]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(adb: Path | None, as_json: bool) -> None:
    """List what 'qsr-edge bench --device' can measure on: this machine, phones that are connected, any browser.

    Heat is the battery's, elsewhere the hottest zone's, and Android's thermal status; "+" means plugged in.
    """
    discovery = discover(DeviceOptions(adb=adb))
    with ThreadPoolExecutor(8) as pool:
        rows = list(pool.map(_row, discovery.found))
    if as_json:
        unseen = list(discovery.unseen)
        click.echo(json.dumps({"devices": [_json(row) for row in rows], "unseen": unseen}, indent=2))
        return
    table = Table()
    for column in ("id", "name", "processor", "system", "battery", "heat", "state"):
        table.add_column(column, overflow="fold")  # an id that is cut short chooses no device
    for row in rows:
        table.add_row(*_cells(row))
    Console().print(table)
    for message in [f"{row.found.id}: {row.remedy}" for row in rows if row.remedy] + list(discovery.unseen):
        click.echo(message)
