"""Writes integer graphs as ExecuTorch programs."""

from collections.abc import Mapping

import torch
from executorch.exir import EdgeCompileConfig, ExecutorchProgramManager, to_edge
from torch.export import ExportedProgram, export

from qsr_edge.bundle.layout import Pack
from qsr_edge.conversion.backend import ConvertOptions, ModelFile
from qsr_edge.conversion.request import fixed_size_px
from qsr_edge.errors import BackendError, one_line
from qsr_edge.files import temporary_folder
from qsr_edge.graph.integer_graph import ConvolutionalGraph, TransformerGraph
from qsr_edge_converters.executorch.delegate import write_delegate
from qsr_edge_converters.executorch.inspection import check_integer_only, inspect_pte_content
from qsr_edge_converters.executorch.module import LARGEST_SIDE_PX, export_program
from qsr_edge_converters.executorch.swin import SwinModule
from qsr_edge_converters.executorch.trial import remember
from qsr_edge_converters.native_messages import quiet_sdk

METHOD = "forward"
"""Name of the only method of a file with one depth: what app code loads by default."""
_WEIGHTS = "weights"


def method_name(depth: int, pack: Pack) -> str:
    """Name of the method that runs a depth."""
    return METHOD if pack is Pack.PER_DEPTH else f"d{depth}"


def _exported(graph: ConvolutionalGraph, options: ConvertOptions) -> ExportedProgram:
    largest_px = options.input_size_px or (LARGEST_SIDE_PX, LARGEST_SIDE_PX)
    delegate = write_delegate(graph, largest_px, _WEIGHTS if options.pack is Pack.EXTERNAL else None)
    return export_program(delegate, graph.graph.scale, options.input_size_px)


def _lowered(programs: dict[str, ExportedProgram]) -> ExecutorchProgramManager:
    return to_edge(programs, compile_config=EdgeCompileConfig(_check_ir_validity=False)).to_executorch()


def write_network(graphs: Mapping[int, ConvolutionalGraph], options: ConvertOptions) -> tuple[ModelFile, ...]:
    """Write graphs by depth as .pte files, and a .ptd file with the weights if they are external.

    Raises:
        BackendError: naming the node that cannot be expressed exactly, or that the SDK did not lower to int8.
    """
    depths = tuple(sorted(graphs))
    groups = [(depth,) for depth in depths] if options.pack is Pack.PER_DEPTH else [depths]
    files = []
    for group in groups:
        with quiet_sdk():
            programs = {method_name(depth, options.pack): _exported(graphs[depth], options) for depth in group}
            try:
                lowered = _lowered(programs)
            except (RuntimeError, ValueError, AssertionError, NotImplementedError) as error:
                text = one_line(error, 300)
                raise BackendError(f"{options.metadata.name}: ExecuTorch cannot lower it: {text}") from error
        name = f"{options.metadata.name}-d{group[0]}" if options.pack is Pack.PER_DEPTH else options.metadata.name
        content = bytes(lowered.buffer)
        report = inspect_pte_content(content, f"{name}.pte")
        for depth in group:
            check_integer_only(report, method_name(depth, options.pack), graphs[depth].graph)
        files.append(ModelFile(name=f"{name}.pte", depths=group, content=content))
        weights = b""
        if options.pack is Pack.EXTERNAL:
            with temporary_folder("convert") as folder:
                lowered.write_tensor_data_to_file(str(folder))
                (data,) = folder.iterdir()
                weights = data.read_bytes()
            files.append(ModelFile(name=f"{name}.ptd", depths=(), content=weights))
        for depth in group:
            remember(depth, content, weights)
    return tuple(files)


def write_transformers(graphs: Mapping[int, TransformerGraph], options: ConvertOptions) -> tuple[ModelFile, ...]:
    """Write transformers as .pte files of portable integer kernels, one per depth and for one input size.

    Raises:
        BackendError: if a float has come in.
    """
    name = options.metadata.name
    size_px = fixed_size_px(name, options)
    example = torch.zeros(1, 3, *size_px, dtype=torch.uint8).contiguous(memory_format=torch.channels_last)
    files = []
    for depth, graph in sorted(graphs.items()):
        module = SwinModule(graph.swin).eval()
        with quiet_sdk():
            program = export(module, (example,), strict=False)
            edge = to_edge({METHOD: program}, compile_config=EdgeCompileConfig(_check_ir_validity=False))
            content = bytes(edge.to_executorch().buffer)
        file = f"{name}-d{depth}.pte"
        first_float = inspect_pte_content(content, file).first_float
        if first_float:
            raise BackendError(f"{file}: {first_float}, expected integers only; report it with ExecuTorch's version")
        files.append(ModelFile(name=file, depths=(depth,), content=content))
        remember(depth, content)
    return tuple(files)
