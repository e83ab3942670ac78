from tests.cli.conftest import tiny_bundle, tiny_checkpoint

__all__ = ["tiny_bundle", "tiny_checkpoint"]
