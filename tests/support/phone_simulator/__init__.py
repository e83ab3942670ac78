"""A phone for tests that need one: a device-side ADB daemon on loopback for the real adb, and what it reaches.

Nothing measured here is a phone's: the agent that ``am start`` starts is a process of this machine, and every simulated
phone says so (``getprop ro.qsr_edge.simulator`` answers 1).
"""
