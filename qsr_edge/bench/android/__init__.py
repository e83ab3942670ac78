"""Android phones by adb: measured by the benchmark app, or by the runtimes' own programs."""
