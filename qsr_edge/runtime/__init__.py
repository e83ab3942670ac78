"""Upscaling on this machine: tiles of bounded size, each through a back end's runner."""
