"""Measuring bundles where they run: this machine and phones, by the protocol of docs/device-protocol.md."""
