"""This machine as a device: the agent's procedure, and a process for each variant."""
