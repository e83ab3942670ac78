"""Integer graphs -> .mlpackage folders, the same bytes for the same network.

Importing this module imports coremltools, so only ``CoremlBackend.convert`` does.
"""

import contextlib
import io
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qsr_edge.bundle.layout import Deployment, Pack
from qsr_edge.conversion.backend import ConvertOptions, ModelMetadata, ModelPackage
from qsr_edge.conversion.request import fixed_size_px
from qsr_edge.errors import BackendError, one_line
from qsr_edge.files import temporary_folder
from qsr_edge.graph.integer_graph import ConvolutionalGraph, TransformerGraph
from qsr_edge.graph.ir import Constants, Graph
from qsr_edge.graph.swin import SwinGraph
from qsr_edge.quant.arithmetic import Profile
from qsr_edge_converters.coreml.flavor import CoremlFlavor, chosen_flavor
from qsr_edge_converters.coreml.program import INPUT_NAME, build_program
from qsr_edge_converters.coreml.sdk import ct
from qsr_edge_converters.coreml.swin import build_swin_program

LARGEST_SIDE_PX = 2048
"""The largest side of an input of any size; larger images are tiled."""
_USUAL_SIZE_PX = (256, 256)
_SUFFIX = ".mlpackage"
_NAMESPACE = uuid.UUID("5d0d0f7e-2f1c-5c53-9d7c-6f0c3a1f6b11")
"""Where a package's identifiers come from. coremltools draws them at random; equal networks are to give equal bytes."""
FLAVOR_KEY = "qsr_edge.flavor"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Opset:
    """An operator set: coremltools' target, and the systems that it came with."""

    target: Any
    minimum_os: str


_IOS17 = _Opset(target=ct.target.iOS17, minimum_os="iOS 17, macOS 14")
_IOS18 = _Opset(target=ct.target.iOS18, minimum_os="iOS 18, macOS 15")
_COMPUTE_UNITS = {
    CoremlFlavor.EXACT: "CPU and GPU",
    CoremlFlavor.ANE: "Neural Engine; int8 products on A17 Pro, M4 and newer",
}


def function_name(depth: int) -> str:
    """Name of the function that runs a depth in a package of several."""
    return f"d{depth}"


def write_network(graphs: Mapping[int, ConvolutionalGraph], options: ConvertOptions) -> tuple[ModelPackage, ...]:
    """Write graphs by depth, one package each or all as functions of one.

    Raises:
        GraphError: if a graph is malformed.
        BackendError: naming the node that cannot be expressed, or the graph that coremltools refuses.
    """
    depths = tuple(sorted(graphs))
    # Opset iOS17 packs weights of 8 bits only, and has one function to a program.
    old = options.pack is Pack.PER_DEPTH and all(graph.bits == 8 for graph in graphs.values())
    opset = _IOS17 if old else _IOS18
    flavor = chosen_flavor(options)
    deployment = Deployment(
        flavor=flavor,
        compute_units=_COMPUTE_UNITS[flavor],
        minimum_os=opset.minimum_os,
        byte_exact=flavor is CoremlFlavor.EXACT,
    )
    name = options.metadata.name
    with temporary_folder("convert") as folder:
        paths = {}
        for depth, graph in graphs.items():
            graph.verify()
            paths[depth] = folder / f"{name}-d{depth}{_SUFFIX}"
            _write_package(graph.graph, graph.constants, options, opset, paths[depth])
        if options.pack is Pack.PER_DEPTH:
            return tuple(
                ModelPackage(name=path.name, depths=(depth,), members=_members(path), deployment=deployment)
                for depth, path in sorted(paths.items())
            )
        shared = folder / f"{name}{_SUFFIX}"
        _write_shared(paths, options, shared)
        return (ModelPackage(name=shared.name, depths=depths, members=_members(shared), deployment=deployment),)


def _input(options: ConvertOptions) -> Any:
    usual = options.input_size_px or _USUAL_SIZE_PX
    if options.more_sizes_px:
        sizes = [(1, 3, *size) for size in (usual, *options.more_sizes_px)]
        shape = ct.EnumeratedShapes(shapes=sizes, default=sizes[0])
    elif options.input_size_px:
        shape = ct.Shape((1, 3, *usual))
    else:
        sides = [ct.RangeDim(1, LARGEST_SIDE_PX, default) for default in usual]
        shape = ct.Shape((1, 3, *sides))
    return ct.ImageType(name=INPUT_NAME, shape=shape, color_layout=ct.colorlayout.RGB)


def write_transformers(graphs: Mapping[int, TransformerGraph], options: ConvertOptions) -> tuple[ModelPackage, ...]:
    """Write transformers, one package per depth, for one input size.

    Raises:
        BackendError: if the options ask for another flavour, or coremltools refuses a graph.
    """
    name = options.metadata.name
    size_px = fixed_size_px(name, options)
    flavor = chosen_flavor(options)
    if flavor is not CoremlFlavor.EXACT:
        raise BackendError(f"{name}: transformers have the flavour exact only; use --flavor exact")
    deployment = Deployment(flavor=flavor, compute_units="CPU", minimum_os=_IOS18.minimum_os, byte_exact=True)
    packages = []
    with temporary_folder("convert") as folder:
        for depth, graph in sorted(graphs.items()):
            swin = graph.swin
            path = folder / f"{name}-d{depth}{_SUFFIX}"
            _save(build_swin_program(swin, size_px, opset=_IOS18.target), swin, options, _IOS18, path)
            packages.append(
                ModelPackage(name=path.name, depths=(depth,), members=_members(path), deployment=deployment)
            )
    return tuple(packages)


def _write_package(graph: Graph, constants: Constants, options: ConvertOptions, opset: _Opset, path: Path) -> None:
    size = None if options.more_sizes_px else options.input_size_px
    program = build_program(graph, constants, chosen_flavor(options), opset=opset.target, size_px=size)
    _save(program, graph, options, opset, path)


def _save(program: Any, graph: Graph | SwinGraph, options: ConvertOptions, opset: _Opset, path: Path) -> None:
    program.functions["main"].set_output_types([ct.ImageType(color_layout=ct.colorlayout.RGB)])
    try:
        # The default passes would rewrite the graph; these write what stands there. Bars and hints go to stderr.
        with contextlib.redirect_stderr(io.StringIO()):
            model = ct.convert(
                program,
                source="milinternal",
                convert_to="mlprogram",
                inputs=[_input(options)],
                minimum_deployment_target=opset.target,
                compute_precision=ct.precision.FLOAT32,
                pass_pipeline=ct.PassPipeline.EMPTY,
                skip_model_load=True,
            )
    except (ValueError, RuntimeError, NotImplementedError, AssertionError) as error:
        text = one_line(error, 300)
        raise BackendError(f"graph {graph.name}: coremltools cannot write it: {text}") from error
    spec = model.get_spec()
    _describe(spec.description, options, graph)
    for feature in (*spec.description.input, *spec.description.output):
        feature.shortDescription = _feature_description(feature.name, graph.scale)
    ct.models.MLModel(spec, weights_dir=model.weights_dir, skip_model_load=True).save(str(path))


def _feature_description(name: str, scale: int) -> str:
    if name == INPUT_NAME:
        return "RGB image, 8 bits a channel"
    return f"RGB image, {scale} times as wide and high"


def _describe(description: Any, options: ConvertOptions, graph: Graph | SwinGraph) -> None:
    """What Xcode shows, and what tells where the model came from; no date, so that equal networks give equal bytes."""
    given: ModelMetadata = options.metadata
    metadata = description.metadata
    metadata.author, metadata.license, metadata.versionString = given.author, given.licence, given.version
    metadata.shortDescription = given.description
    metadata.userDefined.clear()
    facts = {
        "com.github.apple.coremltools.version": ct.__version__,
        "qsr_edge.bits": graph.bits,
        FLAVOR_KEY: chosen_flavor(options).value,
        "qsr_edge.profile": graph.profile.value if isinstance(graph, Graph) else Profile.SCALED.value,
        "qsr_edge.scale": graph.scale,
    }
    if options.pack is Pack.PER_DEPTH:
        facts["qsr_edge.depth"] = graph.depth
    for key, value in facts.items():
        metadata.userDefined[key] = str(value)


def _write_shared(paths: dict[int, Path], options: ConvertOptions, shared: Path) -> None:
    together = ct.utils.MultiFunctionDescriptor()
    for depth, path in sorted(paths.items()):
        together.add_function(str(path), src_function_name="main", target_function_name=function_name(depth))
    together.default_function_name = function_name(max(paths))
    loose = shared.with_name(f"loose{_SUFFIX}")
    with contextlib.redirect_stderr(io.StringIO()):
        ct.utils.save_multifunction(together, str(loose))
        deepest = ct.models.MLModel(str(paths[max(paths)]), skip_model_load=True).get_spec()
        model = ct.models.MLModel(str(loose), skip_model_load=True)
        spec = model.get_spec()
        spec.description.metadata.CopyFrom(deepest.description.metadata)
        ct.models.MLModel(spec, weights_dir=model.weights_dir, skip_model_load=True).save(str(shared))


def _members(package: Path) -> dict[str, bytes]:
    """The files of a package by path, with its manifest rewritten: identifiers that depend on their items alone."""
    members = {
        path.relative_to(package).as_posix(): path.read_bytes() for path in sorted(package.rglob("*")) if path.is_file()
    }
    table = json.loads(members["Manifest.json"])
    names = {key: str(uuid.uuid5(_NAMESPACE, entry["path"])).upper() for key, entry in table["itemInfoEntries"].items()}
    entries = {names[key]: entry for key, entry in table["itemInfoEntries"].items()}
    table["itemInfoEntries"] = dict(sorted(entries.items(), key=lambda item: item[1]["path"]))
    table["rootModelIdentifier"] = names[table["rootModelIdentifier"]]
    members["Manifest.json"] = (json.dumps(table, indent=2) + "\n").encode()
    return members
