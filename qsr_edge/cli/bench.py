"""``qsr-edge bench``."""

import json
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import click
from click.core import ParameterSource
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from qsr_edge.assets import demo_photo
from qsr_edge.bench.device import ComesByItself, Device, Runner
from qsr_edge.bench.devices import ALL, HOST, find_devices
from qsr_edge.bench.discovery import DEFAULT_WAIT_S, DeviceOptions
from qsr_edge.bench.duration import parse_duration_ms
from qsr_edge.bench.fleet import run_fleet
from qsr_edge.bench.latency_table import check_update, update_bundles
from qsr_edge.bench.plan import RunRequest, add_images, least_length_ms, new_header
from qsr_edge.bench.protocol.header import RunHeader
from qsr_edge.bench.protocol.job import FULL, QUICK, Gate
from qsr_edge.bench.protocol.log import RESULTS_NAME, RunLog, read_log, run_header
from qsr_edge.bench.result import RunResult, evaluate_run, result_json
from qsr_edge.bench.run import measure_run
from qsr_edge.bench.table import COLUMNS, average_lines, caption, depth_ratios, markdown, rows
from qsr_edge.cli.invitation import show_invitation
from qsr_edge.errors import BenchError, OutputExistsError, QsrError

_WIDE = 120
_PATH = click.Path(path_type=Path, readable=False)


@click.command("bench")
@click.option("--device", "query", default=None, help="host (this machine), a part of a phone's model, product or "
              "serial, all (phones), or browser (any that opens it); see 'qsr-edge devices'.  [host]")  # fmt: skip
@click.option("--bundle", "bundles", multiple=True, type=_PATH, help="Folder or .zip; several times to compare.")
@click.option("--depth", "depths", multiple=True, type=int, help="Only this depth; several times for more.  [all]")
@click.option("--kernels", multiple=True, help="Kernels of the runtime; several times to compare.  [its default]")
@click.option("--threads", type=click.IntRange(1, 256), default=1, show_default=True)
@click.option("--size", default=None, help="Width x height of the input.  [320x180, or the bundle's fixed size]")
@click.option("--quick", is_flag=True, help=f"{QUICK.queries} queries and {QUICK.steady_ms // 1000} s of each variant."
              f"  [{FULL.queries} and {FULL.steady_ms // 1000}]")  # fmt: skip
@click.option("--sustained", default=None, metavar="TIME", help="Then run each variant so long without a pause, such "
              "as 30m.")  # fmt: skip
@click.option("--image", "images", multiple=True, type=_PATH, help="Original to reduce, upscale and compare; several "
              "times for more.  [a bundled photo]")  # fmt: skip
@click.option("--no-images", is_flag=True, help="Upscale no pictures.")
@click.option("--start-below", type=click.FloatRange(-20, 100), default=None, metavar="DEGREES",
              help="Wait until the battery (elsewhere the hottest zone) is no hotter.")  # fmt: skip
@click.option("--cool-down", default="10m", show_default=True, metavar="TIME", help="How long to wait for that.")
@click.option("--output", "-o", type=_PATH, help="Folder of the run.  [runs/ID]")
@click.option("--resume", "resumed", type=_PATH, help="Go on with the run in this folder.")
@click.option("--update-bundle", is_flag=True, help="Write the measured latencies into the bundle, for its selector.")
@click.option("--adb", type=_PATH, help="Android's adb program.  [of ANDROID_HOME, or the PATH]")
@click.option("--wait-for-device", default=f"{DEFAULT_WAIT_S:.0f}s", show_default=True, metavar="TIME",
              help="How long a phone or browser that vanished is waited for, and a browser at first.")  # fmt: skip
@click.option("--keep-files", is_flag=True, help="Leave pushed models on the phone, for the next run.")
@click.option("--lan", is_flag=True, help="Let a browser of another machine in this network be the device.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Where a browser is waited for.  [any]")
@click.option("--runner", type=click.Choice([runner.value for runner in Runner]), default=Runner.APP.value,
              show_default=True, help="What runs the models on a phone: our app, or a runtime's binary.")  # fmt: skip
@click.option("--runner-binary", type=_PATH, help="That binary, made for the phone.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
@click.option("--markdown", "as_markdown", is_flag=True, help="Print them as a Markdown table.")
def command(
    query: str | None,
    bundles: tuple[Path, ...],
    depths: tuple[int, ...],
    kernels: tuple[str, ...],
    threads: int,
    size: str | None,
    quick: bool,
    sustained: str | None,
    images: tuple[Path, ...],
    no_images: bool,
    start_below: float | None,
    cool_down: str,
    output: Path | None,
    resumed: Path | None,
    update_bundle: bool,
    adb: Path | None,
    wait_for_device: str,
    keep_files: bool,
    lan: bool,
    port: int,
    runner: str,
    runner_binary: Path | None,
    as_json: bool,
    as_markdown: bool,
) -> None:
    """Measure bundles here, on phones or in browsers: latency, memory, golden bytes, quality on the device.

    Variants take turns, so that heat and other load meet all alike. Results are appended to results.jsonl as they come;
    --resume goes on after a stop. 'qsr-edge report' makes a page of them.
    """
    if bool(resumed) == bool(bundles):
        raise click.UsageError("give --bundle (once or more) for a new run, or --resume for one that was stopped")
    if images and no_images:
        raise click.UsageError("--image and --no-images contradict each other")
    if as_json and as_markdown:
        raise click.UsageError("give either --json or --markdown")
    options = DeviceOptions(
        adb=adb,
        wait_for_device_s=_duration_ms(wait_for_device, "--wait-for-device") / 1000,
        keep_files=keep_files,
        runner=Runner(runner),
        runner_binary=runner_binary,
        lan=lan,
        port=port,
        invite=show_invitation,
    )
    if resumed is not None:
        header = run_header(read_log(resumed))
        _check_resumed(resumed, header, options)
        devices = _chosen(query or header.device.id, options)
        if len(devices) != 1 or devices[0].id != header.device.id:
            raise BenchError(f"{resumed}: belongs to {header.device.name} ({header.device.id}); go on there")
        folder, device = resumed, devices[0]
    else:
        devices = _chosen(query or HOST, options)
        if update_bundle and devices[1:]:
            raise BenchError("--update-bundle with several devices: a bundle has one latency table; choose the device")
        if update_bundle and options.runner is Runner.BENCHMARK_MODEL:
            raise BenchError("--update-bundle needs percentiles, and benchmark_model tells averages only; use the app")
        effort = replace(
            QUICK if quick else FULL,
            sustained_ms=0 if sustained is None else _duration_ms(sustained, "--sustained"),
        )
        request = RunRequest(
            bundles=bundles,
            depths=depths,
            kernels=kernels,
            threads=threads,
            size_px=_size(size),
            effort=effort,
            gate=_gate(start_below, cool_down),
            originals=() if no_images else images or (demo_photo(),),
            runner=options.runner,
        )
        if query == ALL:
            _fleet(devices, output, as_json, as_markdown)
            return
        [device] = devices
        header = new_header(request, device)
        if update_bundle:
            check_update(header)
        folder = _begin(header, request.originals, output)
    console = Console(stderr=True)
    _measure(folder, device, console)
    result = evaluate_run(read_log(folder))
    updated, problem = [], None
    if update_bundle:
        try:
            updated = update_bundles(result)
        except QsrError as error:
            problem = error  # the figures are shown first
    if as_json:
        click.echo(json.dumps({**result_json(result), "folder": str(folder), "updated": updated}, indent=2))
    elif as_markdown:
        click.echo(markdown(result))
    else:
        _print(Console(), result)
        for path in updated:
            click.echo(f"wrote the latencies into {path}")
        click.echo(f"wrote {folder / RESULTS_NAME}; a page of it: qsr-edge report {folder} -o report.html")
    if problem is not None:
        raise problem


def _chosen(query: str, options: DeviceOptions) -> tuple[Device, ...]:
    """The devices that are meant; what is kept open for one is closed with the command."""
    devices = find_devices(query, options)
    waited_for = [device for device in devices if isinstance(device, ComesByItself)]
    if (options.lan or options.port) and not waited_for:
        raise click.UsageError("--lan and --port tell where a browser is waited for; give them with --device browser")
    for device in waited_for:
        click.get_current_context().call_on_close(device.close)
    return devices


def _duration_ms(text: str, option: str) -> int:
    try:
        return parse_duration_ms(text, option)
    except BenchError as error:
        raise click.UsageError(str(error)) from error


def _size(wanted: str | None) -> tuple[int, int] | None:
    if wanted is None:
        return None
    width, _, height = wanted.partition("x")
    if not (width.isdecimal() and height.isdecimal() and 1 <= int(width) <= 8192 and 1 <= int(height) <= 8192):
        raise click.UsageError(f"--size {wanted}: expected width x height such as 320x180, 1 to 8192 each")
    return int(height), int(width)


def _gate(start_below: float | None, cool_down: str) -> Gate:
    return Gate(
        max_temperature_mc=None if start_below is None else round(1000 * start_below),
        max_wait_ms=_duration_ms(cool_down, "--cool-down"),
    )


_HEADERS_OWN = ("depths", "kernels", "threads", "size", "quick", "sustained", "images", "no_images", "start_below",
                "cool_down", "output")  # fmt: skip


def _check_resumed(folder: Path, header: RunHeader, options: DeviceOptions) -> None:
    """Refuse what a run that was begun cannot take any more."""
    context = click.get_current_context()
    for parameter in context.command.params:
        name = parameter.name or ""
        if name in _HEADERS_OWN and context.get_parameter_source(name) is not ParameterSource.DEFAULT:
            raise BenchError(f"--resume measures what the run was begun with, so {parameter.opts[0]} cannot be given")
    if header.runner != options.runner.value:
        raise BenchError(f"{folder}: was begun with --runner {header.runner}; go on with the same")


def _begin(header: RunHeader, originals: Sequence[Path], output: Path | None) -> Path:
    """A new run's folder, its header written."""
    folder = output or Path("runs") / header.run
    if (folder / RESULTS_NAME).exists():
        raise OutputExistsError(f"{folder}: holds a run already; --resume goes on with it, or choose another --output")
    whole = add_images(header, originals, folder)
    RunLog(folder / RESULTS_NAME).append(whole)
    return folder


def _measure(folder: Path, device: Device, console: Console) -> None:
    columns = (
        TextColumn("{task.percentage:>3.0f} %"),
        BarColumn(),
        TimeElapsedColumn(),
        TextColumn("left:"),
        TimeRemainingColumn(),
        TextColumn("{task.description}", markup=False),
    )
    header = run_header(read_log(folder))
    count = len(header.variants)
    least = timedelta(seconds=round(least_length_ms(header.job.effort(), count) / 1000))
    console.print(
        f"measuring {count} variant{'s' * (count != 1)}: at least {least} (h:mm:ss) in all, without "
        "loading, pictures and pauses",
        soft_wrap=True,
        highlight=False,
    )
    complete = False
    try:
        with Progress(*columns, console=console, transient=True) as progress:
            task = progress.add_task("starting", total=1.0)
            measure_run(
                folder,
                device,
                on_progress=lambda share, text: progress.update(task, completed=share, description=text),
            )
        complete = True
    finally:
        if not complete:
            click.echo(f"measured so far: {folder / RESULTS_NAME}; go on: qsr-edge bench --resume {folder}", err=True)


def _fleet(devices: Sequence[Device], output: Path | None, as_json: bool, as_markdown: bool) -> None:
    """Every device by a process with the same options."""
    context = click.get_current_context()
    parent = output or Path("runs") / time.strftime("%Y%m%d-%H%M%S-all")
    shared = [*_given_options(context), "--json"]
    commands = {
        device.id: ["bench", "--device", device.id, "--output", str(parent / _folder_name(device.id)), *shared]
        for device in devices
    }
    console = Console(stderr=True)
    try:
        with console.status(f"measuring {len(devices)} devices", spinner="dots") as status:
            ends = run_fleet(
                commands, on_change=lambda running: status.update(f"measuring {len(running)}: {', '.join(running)}")
            )
    except KeyboardInterrupt:
        click.echo(f"measured so far: {parent}; go on with each: qsr-edge bench --resume FOLDER, of", err=True)
        for each in devices:
            click.echo(f"  {parent / _folder_name(each.id)}", err=True)
        raise
    failed = [f"{device}: {end.message}" for device, end in ends.items() if end.exit_code]
    if as_json:
        runs = {device: json.loads(end.output) for device, end in ends.items() if not end.exit_code}
        click.echo(json.dumps({"runs": runs, "failed": failed}, indent=2))
    else:
        for device, end in ends.items():
            if not end.exit_code:
                result = evaluate_run(read_log(parent / _folder_name(device)))
                if as_markdown:
                    click.echo(f"{markdown(result)}\n")
                else:
                    _print(Console(), result)
        click.echo(f"wrote {parent}; a page of them: qsr-edge report {parent}/* -o report.html", err=as_markdown)
    if failed:
        raise BenchError(f"{len(failed)} of {len(ends)} devices failed: {'; '.join(failed)}")


def _folder_name(device: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in device)


def _given_options(context: click.Context) -> list[str]:
    """The options of this call as arguments, without those that are each device's own."""
    arguments: list[str] = []
    for parameter in context.command.params:
        value = context.params.get(parameter.name or "")
        own = parameter.name in ("query", "output", "as_json", "as_markdown")
        # Not `in (None, False)`: a temperature of 0.0 is equal to False.
        if own or value is None or value is False:
            continue
        for entry in value if isinstance(value, tuple) else (value,):
            arguments += [parameter.opts[0]] if entry is True else [parameter.opts[0], str(entry)]
    return arguments


def _print(console: Console, result: RunResult) -> None:
    lines = rows(result)
    if console.width < _WIDE:
        # Figures below each other, variants beside each other.
        header, *lines = [tuple(column) for column in zip(COLUMNS, *lines, strict=True)]
    else:
        header = COLUMNS
    table = Table()
    for i, column in enumerate(header):
        table.add_column(column, justify="right" if i else "left", overflow="fold")
    for line in lines:
        table.add_row(*line)
    console.print(table)
    console.print(caption(result), markup=False, highlight=False)
    for average in average_lines(result):
        console.print(average)
    ratios = depth_ratios(result)
    if ratios is not None:
        console.print(f"medians: {ratios}")
